"""A case is one image with its prompt and its target: the unit of a run."""

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
    """The true mask of a case, and what is worth knowing of how it was read.

    Attributes:
        mask: `[H, W]` bool.
        note: something odd that does not stop the case, such as an anti-aliased mask file; else empty.
    """

    mask: Mask
    note: str = ""


class Source(Protocol):
    """Where the pixels of a case come from. Each call reads anew; every failure is a `CaseError`."""

    def digest(self) -> bytes:
        """16 bytes that change when the image does."""
        ...

    def image(self) -> Image:
        """The image, RGB uint8 `[H, W, 3]`, upright."""
        ...

    def target(self) -> Target:
        """The true mask."""
        ...

    def target_digest(self) -> bytes:
        """16 bytes that change when the target does."""
        ...

    def stamp(self) -> str:
        """Something cheap that changes when image or target do, without reading a pixel (sizes and times of files)."""
        ...


@dataclass(frozen=True, slots=True)
class Unreadable:
    """The source of a case that is known to be broken before it is read: each reading says why."""

    reason: str

    def _raise(self) -> NoReturn:
        raise CaseError(self.reason)

    def digest(self) -> bytes:
        """Raises `CaseError`."""
        self._raise()

    def image(self) -> Image:
        """Raises `CaseError`."""
        self._raise()

    def target(self) -> Target:
        """Raises `CaseError`."""
        self._raise()

    def target_digest(self) -> bytes:
        """Raises `CaseError`."""
        self._raise()

    def stamp(self) -> str:
        """The reason itself."""
        return self.reason

    def sizes(self) -> str:
        """The reason itself."""
        return self.reason


@contextmanager
def case_errors(case_id: str) -> Iterator[None]:
    """Turn whatever code that reads a case raises, `sys.exit` too, into a `CaseError`; Ctrl-C stays what it is."""
    try:
        yield
    except (CaseError, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise CaseError(f"the source of {case_id!r} failed: {type(error).__name__}: {error}") from error


@dataclass(frozen=True, slots=True)
class Case:
    """One image with its prompt and its target. Making one reads no pixel.

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
        """The image, RGB uint8 `[H, W, 3]`, upright; read anew at each call.

        Raises:
            CaseError: it cannot be read.
        """
        return self._read(self.source.image)

    def target(self) -> Mask:
        """The true mask, bool `[H, W]`; read anew at each call.

        Raises:
            CaseError: it cannot be read.
        """
        return self._read(self.source.target).mask

    def digest(self) -> bytes:
        """16 bytes that change when the image does.

        Raises:
            CaseError: it cannot be read.
        """
        return self._read(self.source.digest)

    def target_digest(self) -> bytes:
        """16 bytes that change when the target does.

        Raises:
            CaseError: it cannot be read.
        """
        return self._read(self.source.target_digest)

    def _read(self, read: Callable[[], T]) -> T:
        """Ask the source, whose every failure is a `CaseError` here, whoever wrote it."""
        with case_errors(self.id):
            return read()
