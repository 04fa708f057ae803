"""Pairing images and masks by their file names; where one is missing, the file that was probably meant."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from segqa.data.image_io import SUFFIXES

_SECOND_SUFFIX = re.compile(r"\.(png|jpe?g|bmp|tiff?|webp|gif)$")
_ROLE = re.compile(r"masks?|gt|groundtruth|labels?|seg(mentation)?s?|annotations?|images?|img|targets?|mattes?|alpha")
"""Words that say what a file is for, and not which case it belongs to."""


@dataclass(frozen=True, slots=True)
class NearestNames:
    """File names without a counterpart, to find the one that was probably meant for a stem.

    Attributes:
        keys: of the names, see `_key`, sorted.
        names: in the same order.
    """

    keys: tuple[str, ...]
    names: tuple[str, ...]

    @classmethod
    def of(cls, names: Iterable[str]) -> NearestNames:
        """Make one of file names."""
        pairs = sorted((_key(_stem(name)), name) for name in names)
        return cls(tuple(key for key, _ in pairs), tuple(name for _, name in pairs))

    def find(self, stem: str) -> str:
        """Return the name that is the same but for case, a suffix, words such as `mask`, or words at its end.

        Empty where there is none; another number makes another name.

        >>> names = NearestNames.of(["photo1.jpg.png", "PHOTO2.png", "photo3_person_0.png", "gt-photo4.png"])
        >>> [names.find(f"photo{number}") for number in range(1, 6)]
        ['photo1.jpg.png', 'PHOTO2.png', 'photo3_person_0.png', 'gt-photo4.png', '']
        """
        key = _key(stem)
        at = bisect_left(self.keys, key)
        around = range(max(0, at - 1), min(len(self.keys), at + 1))
        found = [self.names[place] for place in reversed(around) if _are_alike(key, self.keys[place])]
        return found[0] if found else ""


@dataclass(frozen=True, slots=True)
class UnpairedFiles:
    """The files of a data set that are no pair, by the folder that they are in.

    Attributes:
        images: those in `images/`.
        masks: those in `masks/`.
    """

    images: NearestNames
    masks: NearestNames

    @classmethod
    def of(
        cls, images: Mapping[str, Sequence[str]], masks: Mapping[str, Sequence[str]], others: Sequence[str]
    ) -> UnpairedFiles:
        """Make one of the pictures by stem, and of the other files, each with its folder (`masks/a.gif`)."""
        found: dict[str, list[str]] = {"images": [], "masks": []}
        for part, here, there in (("images", images, masks), ("masks", masks, images)):
            found[part] += [name for stem in here if stem not in there for name in here[stem]]
            found[part] += [name for name in _names_in(part, others) if not name.endswith("/")]
        return cls(NearestNames.of(found["images"]), NearestNames.of(found["masks"]))

    def explain(self, name: str, missing: str) -> str:
        """Say that a file has no counterpart, which file was probably meant for it, and how to mend that.

        Args:
            name: of the image or mask that is there.
            missing: `mask` or `image`.
        """
        is_image = missing == "mask"
        what = "image" if is_image else "mask"
        text = f"{what} {name} has no {missing}: expected a file of the same stem in {missing}s/"
        nearest = (self.masks if is_image else self.images).find(_stem(name))
        if not nearest:
            return text
        if PurePosixPath(nearest).suffix.lower() not in SUFFIXES:
            known = ", ".join(sorted(SUFFIXES))
            return f"{text}; {missing}s/{nearest} is none of the kinds that are read ({known}): convert it to PNG"
        image, mask = (name, nearest) if is_image else (nearest, name)
        if _stem(image) == _stem(mask):
            return text
        renamed = f"rename masks/{mask} to {_stem(image)}{PurePosixPath(mask).suffix}"
        return f"{text}; the nearest is {missing}s/{nearest}: {renamed}"


def describe_no_pair(place: str, unpaired: UnpairedFiles) -> str:
    """Say that no image of a folder has a mask of the same stem, with the files that were probably meant."""
    image = next((name for name in unpaired.images.names if unpaired.masks.find(_stem(name))), unpaired.images.names[0])
    return f"no image in {place}/images has a mask in {place}/masks; {unpaired.explain(image, 'mask')}"


def describe_no_picture(place: str, part: str, others: Sequence[str]) -> str:
    """Say that a folder holds no picture that is read, and what it holds instead.

    Args:
        place: the data set's folder.
        part: `images` or `masks`.
        others: what is in the two, each with its folder (`masks/a.gif`, `images/day/`).
    """
    what, known = part.removesuffix("s"), ", ".join(sorted(SUFFIXES))
    there = _names_in(part, others)
    text = f"no {what} in {place}/{part}; expected {known} files"
    if not there:
        return text
    shown = ", ".join(there[:3]) + (f" and {len(there) - 3} more" if len(there) > 3 else "")
    if all(name.endswith("/") for name in there):
        return f"{text} directly in it, got the folders {shown}: move their files up, or name one data set for each"
    return f"{text}, got {shown}: convert them to PNG"


def _names_in(part: str, others: Iterable[str]) -> list[str]:
    """Return the names of the files in one folder."""
    return [name.removeprefix(f"{part}/") for name in others if name.startswith(f"{part}/")]


def _stem(name: str) -> str:
    return PurePosixPath(name).stem


def _key(stem: str) -> str:
    """Return what says which case a stem belongs to: words without case, a second suffix, or their role."""
    words = re.split(r"[^a-z0-9]+", _SECOND_SUFFIX.sub("", stem.casefold()))
    return " ".join(word for word in words if word and not _ROLE.fullmatch(word)) or stem.casefold()


def _are_alike(one: str, other: str) -> bool:
    """Return whether two keys are the same, or one is the other with more words."""
    shorter, longer = sorted((one, other), key=len)
    return longer == shorter or longer.startswith(f"{shorter} ")
