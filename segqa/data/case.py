"""Define a case: one image with its prompt and its target, the unit of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NoReturn, Protocol, TypeVar

from segqa.data.mask import Image, Mask
from segqa.errors import CaseError

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """The true mask of a case, with a note on how it was read.

    Attributes:
        mask: `[H, W]` bool.
        note: something odd that does not stop the case, such as an anti-aliased mask file; else empty.
    """

    mask: Mask
    note: str = ""


class Source(Protocol):
    """A source of the pixels of a case. Each call reads the files again; every failure is a `CaseError`."""

    def digest(self) -> bytes:
        """Return 16 bytes that change when the image changes."""
        ...

    def image(self) -> Image:
        """Return the image, RGB uint8 `[H, W, 3]`, upright."""
        ...

    def target(self) -> Target:
        """Return the true mask."""
        ...

    def target_digest(self) -> bytes:
        """Return 16 bytes that change when the target changes."""
        ...

    def stamp(self) -> str:
        """Return a stamp that changes with image or target, without reading a pixel (sizes and times of files)."""
        ...


@dataclass(frozen=True, slots=True)
class Unreadable:
    """The source of a case that is known to be broken: each read raises the reason."""

    reason: str

    def _raise(self) -> NoReturn:
        raise CaseError(self.reason)

    def digest(self) -> bytes:
        """Raise `CaseError`."""
        self._raise()

    def image(self) -> Image:
        """Raise `CaseError`."""
        self._raise()

    def target(self) -> Target:
        """Raise `CaseError`."""
        self._raise()

    def target_digest(self) -> bytes:
        """Raise `CaseError`."""
        self._raise()

    def stamp(self) -> str:
        """Return the reason."""
        return self.reason

    def sizes(self) -> str:
        """Return the reason."""
        return self.reason


@contextmanager
def catch_case_errors(case_id: str) -> Iterator[None]:
    """Turn whatever code that reads a case raises, `sys.exit` included, into a `CaseError`; let Ctrl-C pass."""
    try:
        yield
    except (CaseError, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise CaseError(f"the source of {case_id!r} failed: {type(error).__name__}: {error}") from error


@dataclass(frozen=True, slots=True)
class Case:
    """One image with its prompt and its target. Creating it reads no pixel.

    Attributes:
        id: unique in its data set; the stem of the file's name.
        prompt: what to segment (`"person."`).
        tags: what is known of it beside the pixels (`{"camera": "C2"}`).
        source: where the pixels come from.
    """

    id: str
    prompt: str
    source: Source = field(repr=False, compare=False)
    tags: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def image(self) -> Image:
        """Read the image, RGB uint8 `[H, W, 3]`, upright.

        Raises:
            CaseError: it cannot be read.
        """
        return self._read(self.source.image)

    def target(self) -> Mask:
        """Read the true mask, bool `[H, W]`.

        Raises:
            CaseError: it cannot be read.
        """
        return self._read(self.source.target).mask

    def digest(self) -> bytes:
        """Return 16 bytes that change when the image changes.

        Raises:
            CaseError: it cannot be read.
        """
        return self._read(self.source.digest)

    def target_digest(self) -> bytes:
        """Return 16 bytes that change when the target changes.

        Raises:
            CaseError: it cannot be read.
        """
        return self._read(self.source.target_digest)

    def _read(self, read: Callable[[], T]) -> T:
        """Call the source and turn every failure into a `CaseError`."""
        with catch_case_errors(self.id):
            return read()
