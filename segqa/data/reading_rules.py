"""Find the rules by which the files of a data set are read, once, from its settings and a sample of its files."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from segqa.data.bit_depth import DeepValues, ImageRule, find_image_rule, is_deep, read_deep_values
from segqa.data.case import Target
from segqa.data.exif_orientation import ExifHeader, read_header, turn_upright
from segqa.data.image_io import digest_content
from segqa.data.mask import resize_nearest
from segqa.data.mask_io import MaskValues, inspect_mask, read_raster
from segqa.data.mask_rule import MIDDLE, MaskRule, find_mask_rule
from segqa.errors import CaseError
from segqa.settings import MaskOrientation, ReadingSettings

if TYPE_CHECKING:
    from segqa.data.case_files import ImageFile

SAMPLE = 64
"""So many images and masks of a data set are looked at to find its rules."""

_SEARCHED = 1024  # where the masks of the sample are blank, so many more are looked at until one is not
_THREADS = 8

T = TypeVar("T")

Pair: TypeAlias = "tuple[ImageFile, ImageFile]"
"""The image and the mask of a case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The rules by which images and masks of a data set are read.

    Attributes:
        mask: which values mean the object.
        image: how images of more than 8 bits become 8 bits.
        orientation: what masks were drawn on whose image has an EXIF orientation that they lack; None if unknown.
        resize: whether masks are scaled to their images.
    """

    mask: MaskRule
    image: ImageRule
    orientation: MaskOrientation | None = None
    resize: bool = False

    @property
    def needs_image(self) -> bool:
        """Return whether the target depends on the image file, too."""
        return self.resize or self.orientation == "raw"

    @property
    def notes(self) -> tuple[str, ...]:
        """The notes in a run, one sentence each; empty for binary masks and images of 8 bits."""
        turned = "masks are turned as the EXIF orientation of their images says (mask_orientation = raw)"
        return tuple(filter(None, (self.mask.note, self.image.text, turned * (self.orientation == "raw"))))

    @property
    def summary(self) -> dict[str, str]:
        """The rules in words, for the provenance of a run; runs of one data set must agree in them."""
        return {"masks": self.mask.text, "images": self.image.text, "orientation": self.orientation or ""}

    def digest(self, mask_digest: bytes) -> bytes:
        """Return 16 bytes that change with the digest of a mask file and with the rules."""
        rule = self.mask
        plain = rule.white == 255 and not rule.by_index and not rule.of_fractions
        if plain and rule.kind in {"binary", "soft", "cutoff"}:
            return digest_content(mask_digest + bytes([rule.cutoff if rule.kind == "cutoff" else MIDDLE]))
        return digest_content(mask_digest + rule.text.encode())


class ReadingRules:
    """The rules of a data set, found on first use; equal in every process, part and shard.

    Args:
        settings: decide first.
        pairs: the files of all cases in a seeded order, the same on every machine.
    """

    def __init__(self, settings: ReadingSettings, pairs: Callable[[], Iterator[Pair]]) -> None:
        self._settings = settings
        self._pairs = pairs
        self._lock = threading.RLock()
        self._images: tuple[ImageRule, Sequence[ExifHeader | None]] | None = None
        self._rules: Rules | None = None

    @classmethod
    def from_rules(cls, settings: ReadingSettings, rules: Rules) -> ReadingRules:
        """Build from known rules."""
        reading = cls(settings, lambda: iter(()))
        reading._images, reading._rules = (rules.image, ()), rules
        return reading

    def __reduce__(self) -> tuple[Callable[..., ReadingRules], tuple[ReadingSettings, Rules]]:
        """Other processes get the rules, not the files to find them from."""
        return ReadingRules.from_rules, (self._settings, self.rules)

    @property
    def settings_text(self) -> str:
        """The settings, without reading a file."""
        return str(astuple(self._settings))

    @property
    def image(self) -> ImageRule:
        """The rule for images; no mask is read."""
        return self._inspect_images()[0]

    @property
    def rules(self) -> Rules:
        """The rules for images and masks; the first access reads the sample."""
        with self._lock:
            if self._rules is None:
                self._rules = self._find()
            return self._rules

    def _inspect_images(self) -> tuple[ImageRule, Sequence[ExifHeader | None]]:
        """Find the rule for images; return it with the header of each sampled image."""
        with self._lock:
            if self._images is None:
                seen = _map_files(_inspect_image, (image for image, _ in islice(self._pairs(), SAMPLE)))
                deep = [values for _, values in seen if values is not None]
                self._images = find_image_rule(deep, self._settings.image_bits), [header for header, _ in seen]
            return self._images

    def _find(self) -> Rules:
        image, headers = self._inspect_images()
        pairs = self._pairs()
        masks = _map_files(_inspect_mask, (mask for _, mask in islice(pairs, SAMPLE)))
        values = [seen for _, seen in masks if seen is not None]
        if all(each.is_blank for each in values):
            values += _find_first_mask(mask for _, mask in islice(pairs, _SEARCHED))
        return Rules(
            mask=find_mask_rule(values, self._settings),
            image=image,
            orientation=self._settings.mask_orientation or _find_orientation(zip(headers, masks, strict=True)),
            resize=self._settings.mask_resize,
        )


def fit_to_image(name: str, target: Target, own: ExifHeader, image: ExifHeader, rules: Rules) -> Target:
    """Turn and scale a mask to its image as far as the rules allow.

    Args:
        name: of the mask file, for errors.
        target: as the mask file holds it, turned by its own EXIF orientation if it has one.
        own: the header of the mask file.
        image: that of the image.
        rules: of the data set.

    Raises:
        CaseError: the image has an EXIF orientation, the mask has none, and nobody has said what it was drawn on.
    """
    mask = target.mask
    if image.is_turned and not own.is_turned:
        _require_orientation(name, own, image, rules)
        mask = turn_upright(mask, image.orientation) if rules.orientation == "raw" else mask
    if rules.resize and has_same_proportions((mask.shape[1], mask.shape[0]), image.size):
        mask = resize_nearest(mask, image.size[::-1])
    return target if mask is target.mask else replace(target, mask=mask.copy())


def has_same_proportions(mask: tuple[int, int], image: tuple[int, int]) -> bool:
    """Return whether a mask has the proportions of its image, up to rounding to whole pixels.

    >>> has_same_proportions((40, 32), (80, 64)), has_same_proportions((64, 80), (80, 64))
    (True, False)
    """
    (width, height), (image_width, image_height) = mask, image
    if min(width, height, image_width, image_height) == 0:
        return False
    factor = (width + height) / (image_width + image_height)
    return abs(width - factor * image_width) <= 1 and abs(height - factor * image_height) <= 1


def explain_sizes(image: tuple[int, int], mask: tuple[int, int]) -> str:
    """Explain how a mask may have got its size, and what to do; empty where that is unknown.

    >>> explain_sizes((80, 64), (40, 32))
    ': the mask has the proportions of the image; mask_resize = true scales it, each pixel from the nearest'
    """
    if has_same_proportions(mask, image):
        return ": the mask has the proportions of the image; mask_resize = true scales it, each pixel from the nearest"
    return ": width and height are exchanged; turn the mask by 90°" if mask == image[::-1] else ""


def _map_files(look: Callable[[ImageFile], T], files: Iterable[ImageFile]) -> list[T]:
    """Map a function over files with threads, in order."""
    with ThreadPoolExecutor(_THREADS, "segqa-look") as pool:
        return list(pool.map(look, files))


def _inspect_image(file: ImageFile) -> tuple[ExifHeader | None, DeepValues | None]:
    """Read the header of an image and the values of one with more than 8 bits; None where that fails."""
    try:
        with file.open_header() as image:
            header, deep = read_header(image), is_deep(image)
        if not deep:
            return header, None
        with file.open() as image:
            return header, read_deep_values(image)
    except CaseError:
        return None, None


def _inspect_mask(file: ImageFile) -> tuple[ExifHeader | None, MaskValues | None]:
    """Read header and values of a mask; None where that fails."""
    try:
        with file.open() as image:
            return read_header(image), inspect_mask(read_raster(image))
    except CaseError:
        return None, None


def _find_first_mask(masks: Iterable[ImageFile]) -> Iterator[MaskValues]:
    """Find the first mask that is not blank."""
    found = (_inspect_mask(mask)[1] for mask in masks)
    return islice((values for values in found if values is not None and not values.is_blank), 1)


def _find_orientation(
    pairs: Iterable[tuple[ExifHeader | None, tuple[ExifHeader | None, MaskValues | None]]],
) -> MaskOrientation | None:
    """Find what the masks were drawn on, where their sizes show it: only the upright or only the stored pixels fit."""
    seen = [(image, mask) for image, (mask, _) in pairs if image and mask and not mask.is_turned]
    fits = [_match_orientation(mask.size, image) for image, mask in seen if image.is_turned]
    return "upright" if "upright" in fits and "raw" not in fits else None


def _match_orientation(mask: tuple[int, int], image: ExifHeader) -> MaskOrientation | None:
    """Return what a mask of this size must have been drawn on; None where its size does not show it."""
    upright, raw = has_same_proportions(mask, image.size), has_same_proportions(mask, image.stored_size)
    if upright == raw:
        return None
    return "upright" if upright else "raw"


def _require_orientation(name: str, own: ExifHeader, image: ExifHeader, rules: Rules) -> None:
    """Refuse a mask that may have been drawn on the stored pixels or on the upright image."""
    fits = _match_orientation(own.size, image)
    if fits == "upright" or rules.orientation == "raw" or (rules.orientation == "upright" and fits is None):
        return
    turned = f"the image is turned by its EXIF orientation {image.orientation} and mask {name} has none"
    if fits == "raw":
        raise CaseError(
            f'{turned}; the mask has the size of the stored pixels: set mask_orientation = "raw" to turn it'
        )
    raise CaseError(
        f"{turned}, so it may have been drawn on the upright image or on the stored pixels; set mask_orientation to "
        '"upright" or to "raw"'
    )
