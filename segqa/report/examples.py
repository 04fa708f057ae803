"""Example thumbnails of the review page, chosen to look different from each other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from segqa.models.protocol import Floats
from segqa.report.case_images import CaseImage
from segqa.report.drawing import decode_image
from segqa.report.page_data import case_key

COUNT = 6
_LOOKED_AT = 40


@dataclass(frozen=True, slots=True)
class Example:
    """A thumbnail that links to its case.

    Attributes:
        number: number of the case image in the page.
        key: of the case in addresses.
        label: text alternative for screen readers.
    """

    number: int
    key: str
    label: str


@dataclass(frozen=True, slots=True, eq=False)
class PageCases:
    """The case images of a run in a page.

    Attributes:
        exhibits: the case images by case id.
        numbers: numbers of the case images in the page, by case id.
    """

    case_images: Mapping[str, CaseImage]
    numbers: Mapping[str, int]

    def examples(self, case_ids: Iterable[str]) -> list[Example]:
        """Return some of these cases that look different, always including the first."""
        having = [self.case_images[case_id] for case_id in case_ids if case_id in self.case_images]
        return [
            Example(self.numbers[each.case_id], case_key(each.case_id), f"error map of {each.case_id[:120]}")
            for each in select_varied(having[:_LOOKED_AT], COUNT)
        ]


def select_varied(case_images: Sequence[CaseImage], count: int) -> list[CaseImage]:
    """Select case images that look different: start with the first, then add the one least like those chosen."""
    if len(case_images) <= count:
        return list(case_images)
    looks = np.stack([_look(case_image) for case_image in case_images])
    chosen = [0]
    distances = np.abs(looks - looks[0]).mean(axis=1)
    while len(chosen) < count:
        chosen.append(int(distances.argmax()))
        distances = np.minimum(distances, np.abs(looks - looks[chosen[-1]]).mean(axis=1))
    return [case_images[place] for place in sorted(chosen)]


def _look(case_image: CaseImage) -> Floats:
    """Return a feature vector of 192 numbers for a case image."""
    small = cv2.resize(decode_image(case_image.thumbnail), (8, 8), interpolation=cv2.INTER_AREA)
    return small.astype(np.float64).ravel()
