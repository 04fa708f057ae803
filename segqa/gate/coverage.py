"""Find the cases that a comparison covers: present on both sides, with the same image, mask and prompt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from segqa.data.string_columns import Places, StringColumn
from segqa.errors import IncomparableError
from segqa.gate.baseline import digest_content, is_baseline
from segqa.gate.pairs import Pairs
from segqa.runs.outcomes import Outcomes
from segqa.runs.run import Run
from segqa.support.plurals import format_count, select_form

if TYPE_CHECKING:
    from segqa.gate.comparison import Comparison

NAME_IT = "give it a name of its own by dataset_name in [tool.segqa] or by --segqa-dataset-name"
"""The advice for two data sets that share a name, and so a baseline."""


def require_shared(baseline: Run, candidate: Run) -> None:
    """Refuse a baseline that says nothing about a run: half of its cases at least have a score, and are in the run.

    Args:
        baseline: the cases that the run was asked for.
        candidate: the run, whatever became of its cases.

    Raises:
        IncomparableError: they are fewer; says how many.
    """
    asked = len(baseline.expected)
    if not asked:
        raise IncomparableError(
            f"incomparable: {baseline.id} has none of the {format_count(len(candidate.expected), 'case')} of this run"
        )
    scored = baseline.columns.take(~baseline.columns.failed).ids
    if 2 * len(scored) < asked:
        raise IncomparableError(
            f"incomparable: only {len(scored)} of the {format_count(asked, 'case')} of {baseline.id} could be "
            "evaluated there, "
            "expected at least half"
        )
    shared = int((StringColumn.from_strings(candidate.expected).find_places(scored) >= 0).sum())
    if 2 * shared < asked:
        raise IncomparableError(
            f"incomparable: only {shared} of the {format_count(asked, 'case')} of {baseline.id} "
            ""
            f"{select_form(shared, 'is', 'are')} in this run, expected at least half; if this is another data set "
            f"of the same name: {NAME_IT}"
        )


def require_judged(comparison: Comparison) -> None:
    """Refuse a pass that is said of fewer than half of the baseline's cases.

    Raises:
        IncomparableError: says how many there are.
    """
    baseline, judged = comparison.baseline, len(comparison.pairs)
    asked = len(baseline.expected)
    if 2 * judged < asked:
        raise IncomparableError(
            f"incomparable: only {judged} of the {format_count(asked, 'case')} of {baseline.id} could be judged, "
            "expected at least half; the others have no outcome, an error, or another image or mask"
        )


def describe_coverage(comparison: Comparison) -> list[str]:
    """Say which cases nothing judges, a line for each reason."""
    baseline, candidate = comparison.baseline, comparison.candidate
    notes = []
    if comparison.left_out:
        options = " and ".join(f"--segqa-{name}" for name in candidate.narrowed_by)
        total = len(baseline.expected) + comparison.left_out
        own = len(baseline.expected)
        judged = f"{own} of the baseline's {format_count(total, 'case')} {select_form(own, 'is', 'are')}"
        notes.append(f"narrowed by {options}: {judged} judged")
    if comparison.new:
        new, cases = len(comparison.new), format_count(len(candidate.expected), "case")
        count = f"{new} of {cases} {select_form(new, 'is', 'are')} not in the baseline"
        notes.append(f"{count}, so nothing judges {select_form(new, 'it', 'them')}, such as {comparison.new[0]}")
    failed = baseline.errors.ids
    if len(failed):
        cases = format_count(len(baseline.expected), "case")
        count = f"{len(failed)} of {cases} {select_form(len(failed), 'is an error', 'are errors')} in the baseline"
        notes.append(f"{count}, so nothing judges {select_form(len(failed), 'it', 'them')}, such as {failed[0]}")
    if gone := sorted(baseline.columns.tags.keys() - candidate.columns.tags.keys()):
        notes.append(
            f"no case has the {select_form(len(gone), 'tag', 'tags')} {', '.join(gone)} any more, "
            f"so slices by {select_form(len(gone), 'it', 'them')} are those of the baseline"
        )
    return notes


UNKNOWN = "image, mask or prompt"
"""The part that is named where only the digest of all files of a case can be compared."""

_HALF = 16
"""Hex digits of the image in a digest of pixels, see `properties.digest_pixels`."""

_FILES = 64
"""Hex digits of a run's digest of files: half of them are the image's."""


@dataclass(frozen=True, slots=True, eq=False)
class ChangedData:
    """The cases whose image, mask or prompt is another one than in the baseline: their IoUs cannot be compared.

    Attributes:
        pairs: their outcomes in both runs.
        parts: what has changed of each, such as `mask` or `image and mask`.
        by_files: whether some could be compared by their files alone, since one of the runs keeps no digest of pixels.
    """

    pairs: Pairs
    parts: tuple[str, ...] = ()
    by_files: bool = False

    def __len__(self) -> int:
        return len(self.parts)

    @property
    def by_id(self) -> dict[str, str]:
        """The parts that have changed, by case id."""
        return dict(zip(self.pairs.ids, self.parts, strict=True))

    @property
    def summary(self) -> str:
        """A count of the cases by the part that has changed, such as `mask of 2, image of 1`; empty for none."""
        return ", ".join(f"{part} of {count}" for part, count in Counter(self.parts).most_common())


def split_changed(baseline: Run, candidate: Run, pairs: Pairs) -> tuple[Pairs, ChangedData]:
    """Split pairs into those of the same data, and those whose data have changed.

    Two cases are the same if their files and prompts are, or else if their decoded pixels and prompts are.

    Args:
        baseline: the run, or baseline, of one side.
        candidate: of the other.
        pairs: all cases that both have; those with an error on one side are neither the same nor changed.
    """
    failed = pairs.before.failed | pairs.after.failed
    places = _find_other_files(baseline, candidate, pairs)
    places = places[~failed[places]]
    parts = list(_find_changed_parts(pairs.take(places)))
    places = places[[bool(part) for part in parts]]
    changed, same = pairs.take(places), ~failed
    same[places] = False
    pixels = [*changed.before.pixels, *changed.after.pixels]
    return pairs.take(same), ChangedData(changed, tuple(filter(None, parts)), by_files=not all(pixels))


def _find_other_files(baseline: Run, candidate: Run, pairs: Pairs) -> Places:
    """Return the indices of the pairs whose files or prompts differ."""
    if _have_same_files(baseline, candidate, pairs):
        return np.zeros(0, np.int64)
    sides = zip(
        _list_contents(baseline, candidate, pairs.before), _list_contents(candidate, baseline, pairs.after), strict=True
    )
    return np.flatnonzero(np.fromiter((before != after for before, after in sides), np.bool_, len(pairs)))


def _have_same_files(baseline: Run, candidate: Run, pairs: Pairs) -> bool:
    """Return whether images, targets and prompts are equal by their columns, without looking at each case."""
    before, after = pairs.before, pairs.after
    if is_baseline(baseline) or is_baseline(candidate) or before.places is not None or after.places is not None:
        return False
    same_prompts = before.prompts.values == after.prompts.values and np.array_equal(
        before.prompts.codes, after.prompts.codes
    )
    return same_prompts and before.columns.contents == after.columns.contents


def _list_contents(run: Run, other: Run, outcomes: Outcomes) -> Iterable[object]:
    """List what identifies the files and prompts of the cases, so that two runs can be compared."""
    if is_baseline(run):
        return outcomes.digests
    made_of = zip(outcomes.digests, map(str, outcomes.prompts), strict=True)
    return (digest_content(*each) for each in made_of) if is_baseline(other) else made_of


def _find_changed_parts(pairs: Pairs) -> Iterator[str]:
    """Name what has changed in each of some pairs with other files; empty where pixels and prompt are the same."""
    columns = ((side.pixels, side.digests, map(str, side.prompts)) for side in (pairs.before, pairs.after))
    before, after = (zip(*each, strict=True) for each in columns)
    for (pixels, files, prompt), (pixels_now, files_now, prompt_now) in zip(before, after, strict=True):
        if pixels and pixels_now:
            halves = (pixels, pixels_now, _HALF)
        elif len(files) == len(files_now) == _FILES:
            halves = (files, files_now, _FILES // 2)
        else:
            yield UNKNOWN
            continue
        was, now, half = halves
        differ = {"image": was[:half] != now[:half], "mask": was[half:] != now[half:], "prompt": prompt != prompt_now}
        yield " and ".join(part for part, other in differ.items() if other)
