"""A case's pixels in two files, here or elsewhere, read by the rules of their data set."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from PIL import Image as Pillow

from segqa.data import image_io as pictures
from segqa.data.bit_depth import read_rgb
from segqa.data.case import Target
from segqa.data.exif_orientation import ExifHeader, read_header
from segqa.data.mask import Image
from segqa.data.mask_io import read_raster
from segqa.data.mask_rule import apply_mask_rule
from segqa.data.reading_rules import ReadingRules, fit_to_image
from segqa.errors import CaseError


class ImageFile(Protocol):
    """A file that holds a picture."""

    @property
    def name(self) -> str:
        """The last part of its path."""
        ...

    def read(self) -> bytes:
        """The content; raises `CaseError`."""
        ...

    def open(self) -> AbstractContextManager[Pillow.Image]:
        """The picture, its header read and no pixel decoded; what fails while it is open becomes a `CaseError`."""
        ...

    def open_header(self) -> AbstractContextManager[Pillow.Image]:
        """The same, where nobody will decode it; of a file elsewhere just the beginning may be fetched."""
        ...

    def stamp(self) -> str:
        """Something cheap that changes when the file does."""
        ...

    def sizes(self) -> str:
        """Name and size, which a copy keeps."""
        ...


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file of this machine.

    Attributes:
        path: of it.
    """

    path: Path

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.name

    def read(self) -> bytes:
        """The content.

        Raises:
            CaseError: it cannot be read.
        """
        return pictures.read_file(self.path)

    @contextmanager
    def open(self) -> Iterator[Pillow.Image]:
        """The picture, its header read and no pixel decoded."""
        with pictures.open_path(self.path) as picture:
            yield picture

    def open_header(self) -> AbstractContextManager[Pillow.Image]:
        """The same; of what is not decoded only the beginning is read."""
        return self.open()

    def stamp(self) -> str:
        """Name, size and time; of a file that cannot be looked at, its name."""
        try:
            status = self.path.stat()
        except OSError:
            return self.path.name
        return f"{self.path.name} {status.st_size} {status.st_mtime_ns}"

    def sizes(self) -> str:
        """Name and size; of a file that cannot be looked at, its name."""
        try:
            return f"{self.path.name} {self.path.stat().st_size}"
        except OSError:
            return self.path.name


@dataclass(frozen=True, slots=True)
class CaseFiles:
    """A case's pixels in two files.

    Attributes:
        image_file: the image.
        mask_file: its mask.
        reading: the rules of the data set.
    """

    image_file: ImageFile
    mask_file: ImageFile
    reading: ReadingRules

    def digest(self) -> bytes:
        """16 bytes of the image file's SHA-256, and of how it is read where that is not its 8 bits."""
        digest = pictures.content_digest(self.image_file.read())
        rule = self.reading.image.text
        return pictures.content_digest(digest + rule.encode()) if rule else digest

    def image(self) -> Image:
        """The image, RGB uint8 `[H, W, 3]`, upright."""
        rule = self.reading.image
        with self.image_file.open() as picture:
            return read_rgb(picture, rule)

    def target(self) -> Target:
        """The mask, upright."""
        rules, header = self.reading.rules, self._image_header()
        with self.mask_file.open() as picture:
            own, raster = read_header(picture), read_raster(picture)
        target = apply_mask_rule(self.mask_file.name, raster, rules.mask)
        return target if header is None else fit_to_image(self.mask_file.name, target, own, header, rules)

    def target_digest(self) -> bytes:
        """16 bytes of the SHA-256 of the mask file's own, and of how it is read."""
        rules = self.reading.rules
        digest = rules.digest(pictures.content_digest(self.mask_file.read()))
        return pictures.content_digest(digest + self.digest()) if rules.needs_image else digest

    def stamp(self) -> str:
        """Names, sizes and times of both files, and the settings of the data set."""
        return f"{self.image_file.stamp()} {self.mask_file.stamp()} {self.reading.settings_text}"

    def sizes(self) -> str:
        """Names and sizes of both files: what a copy of them keeps; and the settings of the data set."""
        return f"{self.image_file.sizes()} {self.mask_file.sizes()} {self.reading.settings_text}"

    def _image_header(self) -> ExifHeader | None:
        """Shape and orientation of the image; None where it cannot be read, which reading the image itself says."""
        try:
            with self.image_file.open_header() as picture:
                return read_header(picture)
        except CaseError:
            return None
