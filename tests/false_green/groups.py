"""Cases that are not independent, and groups that prove nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from segqa.gate.comparison import compare
from segqa.gate.verdict import judge
from segqa.runs.run import Run
from segqa.support.plurals import format_count
from tests.false_green.trial import Ending, Trial, end
from tests.false_green.undefined import case, run_of
from tests.false_green.way import Ways

GROUPS = Ways("groups of cases")


def grouped(found: Sequence[int], groups: int) -> Run:
    """Return a run of cases of which so many of 20 pixels are found, in groups of equal size."""
    size = len(found) // groups
    outcomes = [
        case(number, (pixels, 0), target=20, tags={"video": f"v{number // size:02}"})
        for number, pixels in enumerate(found)
    ]
    return run_of("run", outcomes)


def judge_groups(before: Sequence[int], after: Sequence[int], groups: int) -> Callable[[Trial], Ending]:
    """Judge a change of grouped cases by their groups."""
    runs = grouped(before, groups), grouped(after, groups)
    return lambda _: end(lambda: judge(compare(*runs), group_by="video"))


ALL, LESS = [18] * 60, [16] * 60
"""Every case of 60, before and after all have lost 0.1."""

for _groups in (1, 2, 4):
    GROUPS.add(
        f"all of 60 cases are worse, in {format_count(_groups, 'group')}",
        0,
        f"with {_groups} group…nothing can be proven about means",
        judge_groups(ALL, LESS, _groups),
        slow=False,
    )
GROUPS.add("all of 60 cases are worse, in 20 groups", 1, "mean_iou:-0.002", judge_groups(ALL, LESS, 20), slow=False)
for _groups in (1, 4, 20):
    GROUPS.add(
        f"one of 60 cases breaks, in {format_count(_groups, 'group')}",
        1,
        "broken:0",
        judge_groups(ALL, [0, *ALL[1:]], _groups),
        slow=False,
    )


@GROUPS.way(0, "inconclusive", slow=False)
def one_lucky_group_of_six_outweighs_five_that_lose(_: Trial) -> Ending:
    after = np.array(ALL)
    # one group gains in all its cases, as frames of one video do; five others lose a little
    after[:10] += 2
    after[10:] -= np.tile([0, 0, 0, 0, 1], 10)
    return judge_groups(ALL, after.tolist(), 6)(_)


@GROUPS.way(0, "inconclusive", slow=False)
def half_of_the_groups_lose_and_half_gain(_: Trial) -> Ending:
    after = np.array(ALL) + np.repeat([2, -1, 2, -1, 2, -1], 10)
    return judge_groups(ALL, after.tolist(), 6)(_)


def judge_slices(*now: str) -> Callable[[Trial], Ending]:
    """Judge a loss by day and a gain at night, where the first cases of the day have these tags now."""
    light = ["day"] * 36 + ["night"] * 24
    tags = light, [*now, *light[len(now) :]]
    found = [18] * 60, [16] * 36 + [20] * 24
    runs = [
        run_of("run", [case(n, (pixels, 0), target=20, tags={"light": each[n]}) for n, pixels in enumerate(pixels_of)])
        for pixels_of, each in zip(found, tags, strict=True)
    ]
    return lambda _: end(lambda: judge(compare(*runs)))


for _name, _now in (
    ("seven cases leave a slice that dropped", ["dusk"] * 7),
    ("a slice that dropped is split into two", ["sunny", "cloudy"] * 18),
    ("a slice that dropped becomes one with another", ["night"] * 36),
):
    GROUPS.add(_name, 1, "light=day of the baseline changed by", judge_slices(*_now), slow=False)
