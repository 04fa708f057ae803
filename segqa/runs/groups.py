"""Groups of cases that are not independent of each other: the frames of a video, the slices of a patient's scan.

Where cases of one group succeed or fail together, a p-value or a confidence interval that counts each case as an
independent sample is too small. So each that segqa computes takes the groups, and counts them instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from segqa.data.string_columns import CategoricalBuilder, CategoricalColumn
from segqa.errors import SettingsError
from segqa.runs.outcome import Outcome
from segqa.runs.outcomes import Outcomes
from segqa.settings.checks import nearest
from segqa.support.plurals import format_count

GROUP_NAMES = frozenset({
    "clip", "donor", "drive", "episode", "flight", "footage", "movie", "participant", "patient", "person", "recording",
    "scan", "scene", "seq", "sequence", "series", "session", "specimen", "study", "subject", "track", "trip", "video",
    "volume",
})  # fmt: skip
"""Tag names that denote groups; variants such as `video_id`, `VideoName` and `videos` count, too."""

Groups: TypeAlias = NDArray[np.int64]
"""Group number of each case, `[n]`, from 0 without gaps."""

_SINGULAR = frozenset(name.removesuffix("s") for name in GROUP_NAMES)
_MANY_VALUES, _CASES_EACH = 20, 3
_READ = 20_000
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")
_NUMBERED = re.compile(r"(.+?)[-_ ./#]?(?:frame|img|image|slice|f|s|t|z)?[-_]?(?<!\d)\d+", re.IGNORECASE)
_IDENTIFIER = frozenset({"id", "ident", "index", "key", "name", "no", "nr", "num", "number", "uid", "uuid"})


@dataclass(frozen=True, slots=True)
class Grouping:
    """Evidence that cases belong to groups.

    Attributes:
        tag: that says which; empty where only the ids look alike.
        values: how many groups it would make.
        cases: how many cases are in one of them.
    """

    tag: str
    values: int
    cases: int

    def __str__(self) -> str:
        """As a clause.

        >>> str(Grouping("video", 12, 240))
        "cases look grouped by 'video' (12 values, 20 cases each)"
        """
        by = f"by {self.tag!r}" if self.tag else "by the beginning of their ids"
        each = self.cases / self.values
        about = "" if each.is_integer() else "about "
        size = f"{about}{format_count(round(each), 'case')} each"
        return f"cases look grouped {by} ({format_count(self.values, 'value')}, {size})"

    @property
    def remedy(self) -> str:
        """Suggested remedy."""
        return f"set group_by = {self.tag!r}" if self.tag else "give them a tag and set group_by"

    @property
    def advice(self) -> str:
        """Clause with the suggested remedy."""
        return f"{self}: {self.remedy}, or p-values and intervals count them as independent"


def number_groups(cases: Outcomes, tag: str) -> Groups | None:
    """Return the group number of each case, `[n]`, from 0 without gaps; None for no tag.

    A case without the tag is a group of its own.

    Args:
        cases: to be grouped.
        tag: cases with the same value of it are one group; empty for no groups.

    Raises:
        SettingsError: no case has this tag.
    """
    if not tag:
        return None
    if not len(cases):
        return np.zeros(0, np.int64)
    if tag not in cases.tags:
        raise SettingsError(f"no case has a tag {tag!r} to group by; {nearest(tag, cases.tags)}")
    codes = cases.tags[tag].codes.astype(np.int64)
    alone = codes < 0
    codes[alone] = codes.max() + 1 + np.arange(alone.sum())
    return np.unique(codes, return_inverse=True)[1].astype(np.int64)


def suggest_groups(cases: Iterable[Outcome]) -> Grouping | None:
    """Return by what the cases look grouped; None where nothing suggests groups.

    In this order: a tag with one of `GROUP_NAMES`, a tag that is no number with at least 20 values and three cases to
    a value, ids that differ in a number at the end only (`cam3_00017`), with at least 20 such beginnings. Of several
    tags the one with the fewest groups: a patient has several videos.

    >>> frames = [Outcome(case_id=f"{n}", tags={"video": f"v{n // 3}"}) for n in range(6)]
    >>> suggest_groups(frames)
    Grouping(tag='video', values=2, cases=6)
    """
    cases = Outcomes.from_outcomes(cases)
    found = [(tag, _make_grouping(tag, names)) for tag, names in sorted(cases.tags.items())]
    named = [each for tag, each in found if _is_group_name(tag) and each.cases >= 2 * each.values >= 4]
    many = [each for tag, each in found if _has_many_frames(each) and not _is_numeric(cases.tags[tag])]
    if several := named or many:
        return min(several, key=lambda each: (each.values, each.tag))
    by_id = _group_by_id(cases)
    return by_id if _has_many_frames(by_id) else None


def _make_grouping(tag: str, names: CategoricalColumn) -> Grouping:
    return Grouping(tag, len(names.used), int((names.codes >= 0).sum()))


def _has_many_frames(each: Grouping) -> bool:
    return each.values >= _MANY_VALUES and each.cases >= _CASES_EACH * each.values


def _is_group_name(tag: str) -> bool:
    """Return whether a tag name denotes a group: `video` and `VideoId` do, `video_quality` does not."""
    words = {word.lower().removesuffix("s") for word in _WORD.findall(tag)} - _IDENTIFIER
    return bool(words) and words <= _SINGULAR


def _is_numeric(names: CategoricalColumn) -> bool:
    return all(text.replace(".", "", 1).isdigit() for _, text in names.used)


def _group_by_id(cases: Outcomes) -> Grouping:
    """Group the first 20,000 cases by the prefix before the number at the end of their ids."""
    found = CategoricalBuilder()
    for place, case_id in enumerate(islice(cases.ids, _READ)):
        if match := _NUMBERED.fullmatch(case_id):
            found.put(place, match[1])
    names = found.build(min(len(cases), _READ))
    return _make_grouping("", names)
