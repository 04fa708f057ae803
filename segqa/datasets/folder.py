"""A folder data set: `images/` and `masks/` paired by file stem, tags from `metadata.csv` and from the file names."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import NoReturn, Protocol

from segqa.case import Case, Source, Target
from segqa.checks import compile_pattern
from segqa.datasets import pictures
from segqa.datasets.dataset import Dataset
from segqa.datasets.location import located, name_of
from segqa.datasets.metadata import Tags, read_metadata
from segqa.datasets.pairing import Unpaired, describe_no_pair, describe_no_picture
from segqa.datasets.remote import RemoteFolder
from segqa.datasets.roster import Roster
from segqa.errors import CaseError, DatasetError
from segqa.mask import Image
from segqa.texts import Joining, Texts


@dataclass(frozen=True, slots=True)
class Files:
    """A case's pixels in two files.

    Attributes:
        image_path: the image.
        mask_path: its mask.
        cutoff: object is where the mask's grey value is above it.
    """

    image_path: Path
    mask_path: Path
    cutoff: int = 127

    def digest(self) -> bytes:
        """16 bytes of the image file's SHA-256."""
        return pictures.file_digest(self.image_path)

    def image(self) -> Image:
        """The image, RGB uint8 `[H, W, 3]`, upright."""
        return pictures.read_image(self.image_path)

    def target(self) -> Target:
        """The mask, upright."""
        return pictures.read_target(self.mask_path, self.cutoff)

    def target_digest(self) -> bytes:
        """16 bytes of the SHA-256 of the mask file's own, and of the cutoff."""
        return pictures.target_digest(pictures.file_digest(self.mask_path), self.cutoff)

    def stamp(self) -> str:
        """Names, sizes and times of both files."""
        return f"{_stamp(self.image_path)} {_stamp(self.mask_path)} {self.cutoff}"

    def sizes(self) -> str:
        """Names and sizes of both files: what a copy of them keeps."""
        return f"{_size(self.image_path)} {_size(self.mask_path)} {self.cutoff}"


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A case that the listing already knows to be broken: each reading says why."""

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


_NOWHERE = Unreadable("no pixels yet")


class _Place(Protocol):
    """A folder, here or elsewhere; as a text it is what the user typed."""

    name: str

    def names(self, part: str) -> list[str]:
        """What lies in a folder of it, sorted; `DatasetError` where there is no such folder."""
        ...

    def is_folder(self, part: str, name: str) -> bool:
        """Whether that is a folder itself."""
        ...

    def content(self, name: str) -> bytes | None:
        """What stands in a file; None where there is none, `DatasetError` where it cannot be read."""
        ...

    def source(self, image: str, mask: str, cutoff: int) -> Source:
        """Where the pixels of a case come from whose files have these names in `images/` and `masks/`."""
        ...


class _LocalFolder:
    """A folder of this machine."""

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise DatasetError(f"data set not found: {root}; expected a folder with images/ and masks/")
        self._root, self._images, self._masks = root, root / "images", root / "masks"
        self.name = name_of(root)

    def __str__(self) -> str:
        return str(self._root)

    def names(self, part: str) -> list[str]:
        """What lies in `images/` or `masks/`."""
        if not (self._root / part).is_dir():
            raise DatasetError(f"no folder {part}/ in {self}; expected images/ and masks/ in it")
        with os.scandir(self._root / part) as listed:
            return sorted(entry.name for entry in listed)

    def is_folder(self, part: str, name: str) -> bool:
        """Asked of what is no picture only: where files are links, it takes a look at each."""
        return (self._root / part / name).is_dir()

    def content(self, name: str) -> bytes | None:
        """What stands in `metadata.csv`."""
        path = self._root / name
        try:
            return path.read_bytes() if path.is_file() else None
        except OSError as error:
            raise DatasetError(f"cannot read {path}: {error.strerror}") from error

    def source(self, image: str, mask: str, cutoff: int) -> Files:
        """The two files of a case."""
        return Files(self._images / image, self._masks / mask, cutoff)


def open_folder(
    folder: str | os.PathLike[str], *, name_pattern: str | None = None, mask_cutoff: int = 127, prompt: str = ""
) -> Dataset:
    """The data set in a folder; no pixel is read.

    Every stem found in `images/` or `masks/` is a case. What does not pair (no mask, no image, two masks) is a case,
    too: one that is an error when it is read.

    Args:
        folder: a path, or an address that fsspec can list, such as `s3://bucket/photos`. It holds `images/` and
            `masks/`, and may hold `metadata.csv`: a column `id`, the others are tags; a column `prompt` is the case's
            prompt.
        name_pattern: a regular expression with named groups, searched in each file's stem, for more tags. On the same
            name `metadata.csv` wins.
        mask_cutoff: object is where a mask's grey value is above it.
        prompt: for the cases that have none of their own.

    Raises:
        DatasetError: the folder or one of its two parts is missing or holds no picture, `metadata.csv` is malformed, or
            no image has a mask, or an address leads nowhere: a package is not installed, no credentials, no network.
        SettingsError: the pattern is no regular expression or has no named group.
    """
    pattern = None if name_pattern is None else compile_pattern(name_pattern)
    location = located(folder)
    place: _Place = RemoteFolder(location) if isinstance(location, str) else _LocalFolder(location)
    images, other_images = _pictures(place, "images")
    masks, other_masks = _pictures(place, "masks")
    others = sorted([*other_images, *other_masks])
    unpaired = _require_pairs(place, images, masks, others)
    stems = sorted({*images, *masks})
    named = _tags_of_names(stems, pattern)
    metadata = place.content("metadata.csv")
    listed, left_out = ({}, []) if metadata is None else read_metadata(metadata, f"{place}/metadata.csv")

    def case(stem: str) -> Case:
        tags = {**named.get(stem, {}), **listed.get(stem, {})}
        own_prompt = tags.pop("prompt", "")
        return Case(id=stem, prompt=own_prompt or prompt, source=_NOWHERE, tags=tags)

    found = ((images.get(stem, []), masks.get(stem, [])) for stem in stems)
    pairs = _Pairs.of(place, found, unpaired, mask_cutoff)
    notes = _notes(others, stems, named if pattern else None, listed)
    return Dataset.of(place.name, replace(Roster.of(map(case, stems)), source=pairs), [*notes, *left_out])


def _require_pairs(
    place: _Place, images: Mapping[str, list[str]], masks: Mapping[str, list[str]], others: list[str]
) -> Unpaired:
    """Refuse a folder without any pair of an image and a mask; return the files that are no pair."""
    for part, found in (("images", images), ("masks", masks)):
        if not found:
            raise DatasetError(describe_no_picture(str(place), part, others))
    unpaired = Unpaired.of(images, masks, others)
    if images.keys().isdisjoint(masks):
        raise DatasetError(describe_no_pair(str(place), unpaired))
    return unpaired


def _pictures(place: _Place, part: str) -> tuple[dict[str, list[str]], list[str]]:
    """The pictures in a part of the folder by stem, and the names of what is none. Hidden files are passed over."""
    found: dict[str, list[str]] = defaultdict(list)
    other = []
    for name in place.names(part):
        if name.startswith("."):
            continue
        path = PurePosixPath(name)
        if path.suffix.lower() in pictures.SUFFIXES:
            # one spelling of é, whichever way the file system keeps it
            found[unicodedata.normalize("NFC", path.stem)].append(name)
        else:
            other.append(f"{part}/{name}{'/' * place.is_folder(part, name)}")
    return dict(found), other


@dataclass(frozen=True, slots=True)
class _Pairs:
    """Where the pixels of each case come from: of many files the names alone take little room.

    Attributes:
        place: where the files are.
        images: their names; empty where a case is broken.
        masks: the same.
        problems: what is wrong with the cases at some places.
        cutoff: of the masks.
    """

    place: _Place
    images: Texts
    masks: Texts
    problems: Mapping[int, str]
    cutoff: int

    @classmethod
    def of(cls, place: _Place, found: Iterable[tuple[list[str], list[str]]], unpaired: Unpaired, cutoff: int) -> _Pairs:
        """For the images and masks that were found of each case."""
        names: tuple[Joining, Joining] = Joining(), Joining()
        problems: dict[int, str] = {}
        for at, pair in enumerate(found):
            problem = _problem(*pair, unpaired)
            if problem:
                problems[at] = problem
            for column, files in zip(names, pair, strict=True):
                column.append("" if problem else files[0])
        images, masks = (column.texts() for column in names)
        return cls(place, images, masks, problems, cutoff)

    def __call__(self, at: int) -> Source:
        """Of the case at a place."""
        if at in self.problems:
            return Unreadable(self.problems[at])
        return self.place.source(self.images[at], self.masks[at], self.cutoff)


def _problem(images: list[str], masks: list[str], unpaired: Unpaired) -> str:
    """Why the files of a stem are no case: it has one image and one mask."""
    for what, other, names, others in (("mask", "image", masks, images), ("image", "mask", images, masks)):
        if not names:
            return unpaired.explain(others[0], what)
        if len(names) > 1:
            return f"{len(names)} {what}s for one {other}: {', '.join(names)}; keep one of them"
    return ""


def _tags_of_names(stems: Iterable[str], pattern: re.Pattern[str] | None) -> Tags:
    """The tags that the pattern finds in the stems; a stem that it does not match is absent."""
    if pattern is None:
        return {}
    matches = {stem: pattern.search(stem) for stem in stems}
    return {
        stem: {key: value for key, value in match.groupdict().items() if value is not None}
        for stem, match in matches.items()
        if match
    }


def _notes(other: list[str], stems: list[str], named: Tags | None, listed: Tags) -> list[str]:
    """What the listing passed over, a sentence each."""
    alone = sorted(set(listed) - set(stems))
    suffixed = any(Path(name).stem in stems for name in alone)
    found = [
        ([name for name in other if not name.endswith("/")], "not a picture, left out"),
        ([name for name in other if name.endswith("/")], "a folder, left out (pictures stand directly in images/)"),
        (alone, "in metadata.csv without image or mask" + " (an id is a file's stem, without .png)" * suffixed),
        (sorted(set(stems) - set(listed)) if listed else [], "without a row in metadata.csv"),
        (
            sorted(set(stems) - set(named)) if named is not None else [],
            "with a name that the name pattern does not match",
        ),
    ]
    return [
        f"{len(names)} {what}: {', '.join(names[:3])}{', …' if len(names) > 3 else ''}"
        for names, what in found
        if names
    ]


def _stamp(path: Path) -> str:
    """Name, size and time of a file; of one that cannot be looked at, its name."""
    try:
        status = path.stat()
    except OSError:
        return path.name
    return f"{path.name} {status.st_size} {status.st_mtime_ns}"


def _size(path: Path) -> str:
    """Name and size of a file; of one that cannot be looked at, its name."""
    try:
        return f"{path.name} {path.stat().st_size}"
    except OSError:
        return path.name
