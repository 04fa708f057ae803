"""Open a folder as a data set: `images/` and `masks/` paired by stem, tags from `metadata.csv` and file names."""

from __future__ import annotations

import os
import random
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Protocol

from segqa.data import image_io
from segqa.data.case import Case, Source, Unreadable
from segqa.data.case_files import CaseFiles, ImageFile, LocalFile
from segqa.data.case_table import CaseTable
from segqa.data.dataset import Dataset
from segqa.data.file_pairing import UnpairedFiles, describe_no_image, describe_no_pair
from segqa.data.metadata_csv import Tags, read_metadata
from segqa.data.reading_rules import Pair, ReadingRules
from segqa.data.remote_folder import RemoteFolder
from segqa.data.storage import find_nearest_folder, get_location_name, resolve_location
from segqa.data.string_columns import StringBuilder, StringColumn
from segqa.errors import DatasetError
from segqa.settings import MaskOrientation, ReadingSettings
from segqa.settings.checks import compile_pattern
from segqa.support.escaping import to_utf8

_NOWHERE = Unreadable("no pixels yet")


class _Folder(Protocol):
    """A folder, local or remote; as a string it is what the user typed."""

    name: str

    def names(self, part: str) -> list[str]:
        """List a subfolder, sorted; raise `DatasetError` where it does not exist."""
        ...

    def is_folder(self, part: str, name: str) -> bool:
        """Return whether an entry is a folder."""
        ...

    def content(self, name: str) -> bytes | None:
        """Read a file; None where it does not exist, `DatasetError` where it cannot be read."""
        ...

    def file(self, part: str, name: str) -> ImageFile:
        """Return a file in `images/` or `masks/`."""
        ...


class _LocalFolder:
    """A local folder."""

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            near = find_nearest_folder(root)
            hint = f"; did you mean {str(root.with_name(near))!r}?" if near else ""
            raise DatasetError(f"data set not found: {root}; expected a folder with images/ and masks/{hint}")
        self._root, self._images, self._masks = root, root / "images", root / "masks"
        self.name = get_location_name(root)

    def __str__(self) -> str:
        return str(self._root)

    def names(self, part: str) -> list[str]:
        """List `images/` or `masks/`."""
        if not (self._root / part).is_dir():
            raise DatasetError(f"no folder {part}/ in {self}; expected images/ and masks/ in it")
        with os.scandir(self._root / part) as listed:
            return sorted(entry.name for entry in listed)

    def is_folder(self, part: str, name: str) -> bool:
        """Return whether an entry is a folder; called for non-images only, since it follows links."""
        return (self._root / part / name).is_dir()

    def content(self, name: str) -> bytes | None:
        """Read `metadata.csv`."""
        path = self._root / name
        try:
            return path.read_bytes() if path.is_file() else None
        except OSError as error:
            raise DatasetError(f"cannot read {path}: {error.strerror}") from error

    def file(self, part: str, name: str) -> LocalFile:
        """Return a file in `images/` or `masks/`."""
        return LocalFile((self._images if part == "images" else self._masks) / name)


def open_folder(
    folder: str | os.PathLike[str],
    *,
    name_pattern: str | None = None,
    mask_cutoff: int | None = None,
    mask_values: Sequence[int] = (),
    mask_resize: bool = False,
    mask_orientation: MaskOrientation | None = None,
    image_bits: int | None = None,
    prompt: str = "",
) -> Dataset:
    """Open the data set in a folder; no pixel is read.

    Every stem in `images/` or `masks/` is a case. A stem without an image or without a mask, or with two, is an error
    when it is read. The first read decides how masks and images are read: by the arguments below, else by a seeded
    sample of 64 cases (`docs/data.md`).

    Args:
        folder: a path, or an address that fsspec can list, such as `s3://bucket/photos`. It holds `images/` and
            `masks/`, and may hold `metadata.csv`: a column `id`, the others are tags; a column `prompt` is the case's
            prompt.
        name_pattern: a regular expression with named groups, searched in each file's stem, for more tags. On the same
            name `metadata.csv` wins.
        mask_cutoff: object is where a mask's grey value is above it, on the scale of 8 bits (0 to 254).
        mask_values: object is where a mask holds one of these values, such as the classes of a label map.
        mask_resize: scale masks of another size and the same proportions to the size of their images.
        mask_orientation: what masks without an EXIF orientation were drawn on where their images have one: `"upright"`
            images, or the `"raw"` stored pixels.
        image_bits: how many bits the images in 16-bit files use, from 8 to 16.
        prompt: for the cases that have none of their own.

    Raises:
        DatasetError: the folder or one of its two parts is missing or empty, `metadata.csv` is malformed, no image has
            a mask, or an address leads nowhere: a package is not installed, no credentials, no network.
        SettingsError: the pattern is no regular expression or has no named group, or two settings exclude each other.
    """
    settings = ReadingSettings(
        mask_cutoff=mask_cutoff,
        mask_values=tuple(mask_values),
        mask_resize=mask_resize,
        mask_orientation=mask_orientation,
        image_bits=image_bits,
    )
    pattern = None if name_pattern is None else compile_pattern(name_pattern)
    location = resolve_location(folder)
    place: _Folder = RemoteFolder(location) if isinstance(location, str) else _LocalFolder(location)
    return _list_cases(place, pattern, prompt, settings)


def to_dataset(dataset: Dataset | str | os.PathLike[str]) -> Dataset:
    """Return a data set, or open the one in a folder."""
    return dataset if isinstance(dataset, Dataset) else open_folder(dataset)


def _list_cases(place: _Folder, pattern: re.Pattern[str] | None, prompt: str, settings: ReadingSettings) -> Dataset:
    """Build a data set from the files in a folder; see `open_folder` for the arguments."""
    images, other_images = _list_images(place, "images")
    masks, other_masks = _list_images(place, "masks")
    others = sorted([*other_images, *other_masks])
    unpaired = _require_pairs(place, images, masks, [name for name in others if not _is_hidden(name)])
    stems = sorted({*images, *masks})
    named = _extract_tags(stems, pattern)
    metadata = place.content("metadata.csv")
    listed, left_out = ({}, []) if metadata is None else read_metadata(metadata, f"{place}/metadata.csv")

    def case(stem: str) -> Case:
        tags = {**named.get(stem, {}), **listed.get(stem, {})}
        own_prompt = tags.pop("prompt", "")
        return Case(id=stem, prompt=own_prompt or prompt, source=_NOWHERE, tags=tags)

    found = ((images.get(stem, []), masks.get(stem, [])) for stem in stems)
    pairs = _PairSources.from_stems(place, found, unpaired, settings)
    notes = _describe_skipped(others, stems, named if pattern else None, listed)
    cases = replace(CaseTable.from_cases(map(case, stems)), source=pairs)
    return replace(Dataset.from_cases(place.name, cases, [*notes, *left_out]), reading=pairs.reading)


def _require_pairs(
    place: _Folder, images: Mapping[str, list[str]], masks: Mapping[str, list[str]], others: list[str]
) -> UnpairedFiles:
    """Refuse a folder without any pair of image and mask; return the files that belong to no pair."""
    for part, found in (("images", images), ("masks", masks)):
        if not found:
            raise DatasetError(describe_no_image(str(place), part, others))
    unpaired = UnpairedFiles.from_files(images, masks, others)
    if images.keys().isdisjoint(masks):
        raise DatasetError(describe_no_pair(str(place), unpaired))
    return unpaired


def _list_images(place: _Folder, part: str) -> tuple[dict[str, list[str]], list[str]]:
    """List the images of a subfolder by stem, and the names of all other files, hidden images included."""
    found: dict[str, list[str]] = defaultdict(list)
    other = []
    for name in place.names(part):
        path = PurePosixPath(name)
        if name.startswith("."):
            if path.suffix.lower() in image_io.SUFFIXES:
                other.append(f"{part}/{name}")
            continue
        if path.suffix.lower() in image_io.SUFFIXES:
            # one spelling of é, whichever way the file system keeps it
            found[to_utf8(unicodedata.normalize("NFC", path.stem))].append(name)
        else:
            other.append(f"{part}/{name}{'/' * place.is_folder(part, name)}")
    return dict(found), other


@dataclass(frozen=True, slots=True)
class _PairSources:
    """The sources of the cases, created on access: the names alone take little memory.

    Attributes:
        place: where the files are.
        images: their names; empty where a case is broken.
        masks: the same.
        problems: what is wrong with the cases at some places.
        reading: how they are read.
    """

    place: _Folder
    images: StringColumn
    masks: StringColumn
    problems: Mapping[int, str]
    reading: ReadingRules

    @classmethod
    def from_stems(
        cls,
        place: _Folder,
        found: Iterable[tuple[list[str], list[str]]],
        unpaired: UnpairedFiles,
        settings: ReadingSettings,
    ) -> _PairSources:
        """Build from the images and masks that were found for each case."""
        names: tuple[StringBuilder, StringBuilder] = StringBuilder(), StringBuilder()
        problems: dict[int, str] = {}
        for at, pair in enumerate(found):
            problem = _explain_no_case(*pair, unpaired)
            if problem:
                problems[at] = problem
            for column, files in zip(names, pair, strict=True):
                column.append("" if problem else files[0])
        images, masks = (column.build() for column in names)

        def shuffled() -> Iterator[Pair]:
            whole = [at for at in range(len(images)) if at not in problems]
            for at in random.Random(0).sample(whole, len(whole)):  # noqa: S311 - no secret
                yield place.file("images", images[at]), place.file("masks", masks[at])

        return cls(place, images, masks, problems, ReadingRules(settings, shuffled))

    def __call__(self, at: int) -> Source:
        """Of the case at a place."""
        if at in self.problems:
            return Unreadable(self.problems[at])
        image, mask = self.place.file("images", self.images[at]), self.place.file("masks", self.masks[at])
        return CaseFiles(image, mask, self.reading)


def _explain_no_case(images: list[str], masks: list[str], unpaired: UnpairedFiles) -> str:
    """Explain why the files of a stem are no case; a case has one image and one mask."""
    for name in (*images, *masks):
        if to_utf8(name) != name:
            return f"the name of {name!r} is not UTF-8; rename image and mask"
    for what, other, names, others in (("mask", "image", masks, images), ("image", "mask", images, masks)):
        if not names:
            return unpaired.explain(others[0], what)
        if len(names) > 1:
            return f"{len(names)} {what}s for one {other}: {', '.join(names)}; keep one of them"
    return ""


def _extract_tags(stems: Iterable[str], pattern: re.Pattern[str] | None) -> Tags:
    """Extract the tags of each stem by the pattern; stems that do not match are absent."""
    if pattern is None:
        return {}
    matches = {stem: pattern.search(stem) for stem in stems}
    return {
        stem: {key: value for key, value in match.groupdict().items() if value is not None}
        for stem, match in matches.items()
        if match
    }


def _is_hidden(name: str) -> bool:
    """Return whether a file is hidden, such as `._photo.png`, which macOS writes beside `photo.png`."""
    return PurePosixPath(name).name.startswith(".")


def _describe_skipped(other: list[str], stems: list[str], named: Tags | None, listed: Tags) -> list[str]:
    """Describe what the listing skipped, one sentence each."""
    alone = sorted(set(listed) - set(stems))
    suffixed = any(Path(name).stem in stems for name in alone)
    found = [
        ([name for name in other if _is_hidden(name)], "hidden (the name begins with a dot), left out"),
        ([name for name in other if not name.endswith("/") and not _is_hidden(name)], "not a picture, left out"),
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
