"""Read a case from two files, local or remote, by the rules of its data set."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from PIL import Image as Pillow

from segqa.data import image_io
from segqa.data.bit_depth import read_rgb
from segqa.data.case import Target
from segqa.data.exif_orientation import ExifHeader, read_header
from segqa.data.mask import Image
from segqa.data.mask_io import read_raster
from segqa.data.mask_rule import apply_mask_rule
from segqa.data.reading_rules import ReadingRules, fit_to_image
from segqa.errors import CaseError


class ImageFile(Protocol):
    """An image file."""

    @property
    def name(self) -> str:
        """The last part of the path."""
        ...

    def read(self) -> bytes:
        """Return the content; raise `CaseError` where it cannot be read."""
        ...

    def open(self) -> AbstractContextManager[Pillow.Image]:
        """Open the image without decoding a pixel; errors inside the block become a `CaseError`."""
        ...

    def open_header(self) -> AbstractContextManager[Pillow.Image]:
        """Open the image for its header alone; of a remote file only the beginning may be fetched."""
        ...

    def stamp(self) -> str:
        """Return a cheap stamp that changes when the file changes."""
        ...

    def sizes(self) -> str:
        """Return name and size, which a copy keeps."""
        ...


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A local file.

    Attributes:
        path: of it.
    """

    path: Path

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.name

    def read(self) -> bytes:
        """Return the content.

        Raises:
            CaseError: it cannot be read.
        """
        return image_io.read_file(self.path)

    @contextmanager
    def open(self) -> Iterator[Pillow.Image]:
        """Open the image without decoding a pixel."""
        with image_io.open_path(self.path) as image:
            yield image

    def open_header(self) -> AbstractContextManager[Pillow.Image]:
        """Open the image for its header alone; only the beginning of the file is read."""
        return self.open()

    def stamp(self) -> str:
        """Return name, size and time; the name alone where `stat` fails."""
        try:
            status = self.path.stat()
        except OSError:
            return self.path.name
        return f"{self.path.name} {status.st_size} {status.st_mtime_ns}"

    def sizes(self) -> str:
        """Return name and size; the name alone where `stat` fails."""
        try:
            return f"{self.path.name} {self.path.stat().st_size}"
        except OSError:
            return self.path.name


@dataclass(frozen=True, slots=True)
class CaseFiles:
    """The source of a case in two files.

    Attributes:
        image_file: the image.
        mask_file: its mask.
        reading: the rules of the data set.
    """

    image_file: ImageFile
    mask_file: ImageFile
    reading: ReadingRules

    def digest(self) -> bytes:
        """Return 16 bytes of the SHA-256 of the image file and, unless it has 8 bits, of the rule that reads it."""
        digest = image_io.digest_content(self.image_file.read())
        rule = self.reading.image.text
        return image_io.digest_content(digest + rule.encode()) if rule else digest

    def image(self) -> Image:
        """Return the image, RGB uint8 `[H, W, 3]`, upright."""
        rule = self.reading.image
        with self.image_file.open() as image:
            return read_rgb(image, rule)

    def target(self) -> Target:
        """Read the mask, upright."""
        rules, header = self.reading.rules, self._image_header()
        with self.mask_file.open() as image:
            own, raster = read_header(image), read_raster(image)
        target = apply_mask_rule(self.mask_file.name, raster, rules.mask)
        return target if header is None else fit_to_image(self.mask_file.name, target, own, header, rules)

    def target_digest(self) -> bytes:
        """Return 16 bytes of the SHA-256 of the mask file and of the rule that reads it."""
        rules = self.reading.rules
        digest = rules.digest(image_io.digest_content(self.mask_file.read()))
        return image_io.digest_content(digest + self.digest()) if rules.needs_image else digest

    def stamp(self) -> str:
        """Return names, sizes and times of both files, and the settings of the data set."""
        return f"{self.image_file.stamp()} {self.mask_file.stamp()} {self.reading.settings_text}"

    def sizes(self) -> str:
        """Return names and sizes of both files, which a copy keeps, and the settings of the data set."""
        return f"{self.image_file.sizes()} {self.mask_file.sizes()} {self.reading.settings_text}"

    def _image_header(self) -> ExifHeader | None:
        """Read size and orientation of the image; None where that fails, since reading the image reports it."""
        try:
            with self.image_file.open_header() as image:
                return read_header(image)
        except CaseError:
            return None
