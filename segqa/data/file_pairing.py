"""Pair images and masks by file name; where one is missing, find the file that was probably meant."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from segqa.data.image_io import SUFFIXES
from segqa.support.plurals import list_first

_SECOND_SUFFIX = re.compile(r"\.(png|jpe?g|bmp|tiff?|webp|gif)$")
_ROLE = re.compile(r"masks?|gt|groundtruth|labels?|seg(mentation)?s?|annotations?|images?|img|targets?|mattes?|alpha")
"""Words that say what a file is for, and not which case it belongs to."""


@dataclass(frozen=True, slots=True)
class NearestNames:
    """File names without a counterpart, searched for the one that was probably meant.

    Attributes:
        keys: of the names, see `_get_key`, sorted.
        names: in the same order.
    """

    keys: tuple[str, ...]
    names: tuple[str, ...]

    @classmethod
    def from_names(cls, names: Iterable[str]) -> NearestNames:
        """Index file names."""
        pairs = sorted((_get_key(_get_stem(name)), name) for name in names)
        return cls(tuple(key for key, _ in pairs), tuple(name for _, name in pairs))

    def find(self, stem: str) -> str:
        """Return the name that is the same but for case, a suffix, words such as `mask`, or words at its end.

        Empty where there is none; another number makes another name.

        >>> names = NearestNames.from_names(["photo1.jpg.png", "PHOTO2.png", "photo3_person_0.png", "gt-photo4.png"])
        >>> [names.find(f"photo{number}") for number in range(1, 6)]
        ['photo1.jpg.png', 'PHOTO2.png', 'photo3_person_0.png', 'gt-photo4.png', '']
        """
        key = _get_key(stem)
        at = bisect_left(self.keys, key)
        around = range(max(0, at - 1), min(len(self.keys), at + 1))
        found = [self.names[place] for place in reversed(around) if _are_alike(key, self.keys[place])]
        return found[0] if found else ""


@dataclass(frozen=True, slots=True)
class UnpairedFiles:
    """The files of a data set that belong to no pair, by folder.

    Attributes:
        images: those in `images/`.
        masks: those in `masks/`.
    """

    images: NearestNames
    masks: NearestNames

    @classmethod
    def from_files(
        cls, images: Mapping[str, Sequence[str]], masks: Mapping[str, Sequence[str]], others: Sequence[str]
    ) -> UnpairedFiles:
        """Collect the images by stem and the other files, each with its folder (`masks/a.gif`)."""
        found: dict[str, list[str]] = {"images": [], "masks": []}
        for part, here, there in (("images", images, masks), ("masks", masks, images)):
            found[part] += [name for stem in here if stem not in there for name in here[stem]]
            found[part] += [name for name in _list_names(part, others) if not name.endswith("/")]
        return cls(NearestNames.from_names(found["images"]), NearestNames.from_names(found["masks"]))

    def explain(self, name: str, missing: str) -> str:
        """Describe a file without counterpart: which file was probably meant, and what to do.

        Args:
            name: of the image or mask that is there.
            missing: `mask` or `image`.
        """
        is_image = missing == "mask"
        what = "image" if is_image else "mask"
        text = f"{what} {name} has no {missing}: expected a file of the same stem in {missing}s/"
        nearest = (self.masks if is_image else self.images).find(_get_stem(name))
        if not nearest:
            return text
        if PurePosixPath(nearest).suffix.lower() not in SUFFIXES:
            known = ", ".join(sorted(SUFFIXES))
            return f"{text}; {missing}s/{nearest} is none of the kinds that are read ({known}): convert it to PNG"
        image, mask = (name, nearest) if is_image else (nearest, name)
        if _get_stem(image) == _get_stem(mask):
            return text
        renamed = f"rename masks/{mask} to {_get_stem(image)}{PurePosixPath(mask).suffix}"
        return f"{text}; the nearest is {missing}s/{nearest}: {renamed}"


def describe_no_pair(place: str, unpaired: UnpairedFiles) -> str:
    """Describe that no image of a folder has a mask of the same stem, with the files that were probably meant."""
    image = next(
        (name for name in unpaired.images.names if unpaired.masks.find(_get_stem(name))), unpaired.images.names[0]
    )
    return f"no image in {place}/images has a mask in {place}/masks; {unpaired.explain(image, 'mask')}"


def describe_no_image(place: str, part: str, others: Sequence[str]) -> str:
    """Describe that a folder holds no image of a known format, and what it holds instead.

    Args:
        place: the data set's folder.
        part: `images` or `masks`.
        others: what is in the two, each with its folder (`masks/a.gif`, `images/day/`).
    """
    what, known = part.removesuffix("s"), ", ".join(sorted(SUFFIXES))
    there = _list_names(part, others)
    text = f"no {what} in {place}/{part}; expected {known} files"
    if not there:
        return text
    shown = list_first(there, 3)
    if all(name.endswith("/") for name in there):
        return f"{text} directly in it, got the folders {shown}: move their files up, or name one data set for each"
    return f"{text}, got {shown}: convert them to PNG"


def _list_names(part: str, others: Iterable[str]) -> list[str]:
    """Return the names of the files in one folder."""
    return [name.removeprefix(f"{part}/") for name in others if name.startswith(f"{part}/")]


def _get_stem(name: str) -> str:
    return PurePosixPath(name).stem


def _get_key(stem: str) -> str:
    """Return the words that identify the case of a stem: lower case, without a second suffix or role words."""
    words = re.split(r"[^a-z0-9]+", _SECOND_SUFFIX.sub("", stem.casefold()))
    return " ".join(word for word in words if word and not _ROLE.fullmatch(word)) or stem.casefold()


def _are_alike(one: str, other: str) -> bool:
    """Return whether two keys are equal, or one extends the other."""
    shorter, longer = sorted((one, other), key=len)
    return longer == shorter or longer.startswith(f"{shorter} ")
