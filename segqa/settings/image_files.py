"""The settings that say how image and mask files of a folder are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from segqa.errors import SettingsError
from segqa.settings import checks
from segqa.settings.declaration import Option, setting

MaskOrientation: TypeAlias = Literal["upright", "raw"]
"""Whether masks were drawn on images turned upright by their EXIF orientation, or on the stored pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingSettings:
    """How the files of a folder are read; segqa decides what is not set, once for the whole data set.

    Raises:
        SettingsError: both `mask_cutoff` and `mask_values` are set.
    """

    mask_cutoff: int | None = setting(
        None,
        checks.grey,
        "Pixels of a mask file above this grey value are the object",
        details="The scale is that of 8 bits at any bit depth. By default segqa infers the rule from the masks, see "
        "[data.md](data.md#how-masks-and-images-are-read)",
        option=Option(name="mask-cutoff", metavar="GREY", type=int),
    )
    mask_values: tuple[int, ...] = setting(
        (),
        checks.whole_numbers,
        "Pixels of a mask file with one of these values are the object, such as `[1, 3]` of a label map",
        details="Excludes `mask_cutoff`",
    )
    mask_resize: bool = setting(
        False,
        checks.flag,
        "Resize masks of another size but the same aspect ratio to their images, by the nearest pixel",
    )
    mask_orientation: MaskOrientation | None = setting(
        None,
        checks.one_of(get_args(MaskOrientation)),
        "Orientation of masks without an EXIF orientation whose images have one",
        details="`upright`: the mask was drawn on the upright image; `raw`: on the stored pixels",
    )
    image_bits: int | None = setting(
        None,
        checks.bits,
        "Number of bits that the images in 16-bit files use",
        details="By default segqa infers 8, 10, 12, 14 or 16 for the whole data set",
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "mask_values", tuple(self.mask_values))
        if self.mask_cutoff is not None and self.mask_values:
            raise SettingsError("mask_cutoff and mask_values exclude each other; keep one of them")
