"""Scores that are undefined, where a case went from right to wrong all the same."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from segqa.gate.comparison import compare
from segqa.gate.rules import resolve_rules
from segqa.gate.verdict import judge
from segqa.runs.outcome import Outcome, ProposalScore
from segqa.runs.run import Run
from segqa.scoring.metrics import Counts
from segqa.settings import EmptyPolicy
from tests.false_green.changes import update
from tests.false_green.trial import SEEING, SHRUNK, SIDE, Edit, Ending, Trial, end, write_case
from tests.false_green.way import Attempt, Ways

UNDEFINED = Ways("undefined scores")

RIGHT, NOTHING, SEEN = (10, 0), (0, 0), (0, 5)
"""How many pixels of the target are found, and how many beside it."""


def case(
    number: int, found: tuple[int, int] | None, *, target: int = 10, tags: dict[str, str] | None = None
) -> Outcome:
    """Return an outcome of a case of 100 pixels; None stands for an error."""
    case_id, tags = f"c{number:03}", tags or {}
    if found is None:
        return Outcome(case_id=case_id, tags=tags, error="Traceback\nRuntimeError: lost")
    inside, beside = found
    counts = Counts(min(inside, target), beside, target - min(inside, target), 100 - target - beside)
    nothing = Counts(0, 0, target, 100 - target)
    digest = f"d{number}"
    return Outcome(
        case_id=case_id,
        digest=digest,
        tags=tags,
        proposal_scores=(ProposalScore(counts, counts),),
        picked=0,
        empty_prediction=nothing,
    )


def run_of(name: str, outcomes: Sequence[Outcome], empty: EmptyPolicy = "nan") -> Run:
    """Return a run of outcomes."""
    return Run(name, "mine", "squares", tuple(each.case_id for each in outcomes), tuple(outcomes), "product", empty)


Found = tuple[int, int] | None


def judge_change(
    before: Sequence[Found],
    after: Sequence[Found],
    *rules: str,
    targets: Sequence[int] = (),
    empty: EmptyPolicy = "nan",
) -> Attempt:
    """Judge a change of some cases; the targets are empty unless their pixels are given."""
    sizes = [*targets, *([0] * (len(before) - len(targets)))]

    def runs() -> list[Run]:
        return [
            run_of(name, [case(number, found, target=sizes[number]) for number, found in enumerate(cases)], empty)
            for name, cases in (("before", before), ("after", after))
        ]

    return lambda _: end(lambda: judge(compare(*runs()), resolve_rules(rules)))


def add_empty_images(trial: Trial, empty: str) -> None:
    """Add four images that show nothing, and write the baseline anew."""
    for number in range(4):
        image = np.full((SIDE, SIDE, 3), 20 + number, np.uint8)
        write_case(trial.path / "squares", f"E0_v9_{number}", image, np.zeros((SIDE, SIDE), np.bool_))
    trial.edit("pyproject.toml", ("[tool.segqa]\n", f'[tool.segqa]\nempty = "{empty}"\n'))
    # a bound that lets the baseline be written, and everything through that only the gate can see
    trial.set("[tool.segqa.thresholds]\nhallucinated = 1.0\nwrong_object = 1.0\nslice_drop = 1.0")
    trial.baseline.unlink()
    update(trial)


def see(empty: str, edit: Edit, *options: str) -> Attempt:
    """Find something in images that show nothing, under a policy."""

    def attempt(trial: Trial) -> Ending:
        add_empty_images(trial, empty)
        trial.make_worse(edit)
        return trial.run(*options)

    return attempt


for _name, _says, _attempt, _slow in (
    ("something is found where nothing is, and empty is nan", "collapsed", see("nan", SEEING), False),
    ("something is found where nothing is, and empty is one", "collapsed", see("one", SEEING), True),
    (
        "something is found where nothing is, and a rule counts that",
        "hallucinated:+0",
        see("nan", SEEING, "--segqa-fail-on=hallucinated:+0"),
        True,
    ),
    ("the mean drops where other cases are undefined", "mean_iou:-0.002", see("nan", SHRUNK), True),
):
    UNDEFINED.add(_name, 1, _says, _attempt, slow=_slow)

ALL, ONE_SEEN = [NOTHING] * 20, [*[NOTHING] * 19, SEEN]
COUNTED = ("broken:off", "hallucinated:+0")
SHARE = ("broken:off", "hallucinated:+1%")
PRECISION = ("broken:off", "mean_iou:off", "mean_precision:-0.01", "missed:+0")
GOOD: list[Found] = [RIGHT] * 19
IMPROVES: tuple[list[Found], list[Found]] = [*[(5, 0)] * 10, NOTHING], [*[RIGHT] * 10, SEEN]

for _name, _code, _says, _attempt in (
    ("one case of 20 is undefined and wrong now", 1, "broken:0", judge_change(ALL, ONE_SEEN)),
    ("every case is undefined and wrong now", 1, "broken:0", judge_change(ALL, [SEEN] * 20)),
    (
        "more cases become right than wrong",
        1,
        "broken:0",
        judge_change([*[SEEN] * 6, NOTHING], [*[NOTHING] * 6, SEEN]),
    ),
    ("two cases change places", 1, "broken:0", judge_change([SEEN, NOTHING], [NOTHING, SEEN])),
    ("the defined scores improve", 1, "broken:0", judge_change(*IMPROVES, targets=[10] * 10)),
    ("an undefined case becomes an error", 1, "errors:+0", judge_change(ALL, [*[NOTHING] * 19, None])),
    ("every case of the baseline is an error", 4, "incomparable", judge_change([None] * 5, [NOTHING] * 5)),
    ("only hallucinations are counted", 1, COUNTED[1], judge_change(ALL, ONE_SEEN, *COUNTED)),
    ("only their share is counted", 1, SHARE[1], judge_change(ALL, ONE_SEEN, *SHARE)),
    (
        "only hallucinations are counted and empty is zero",
        1,
        COUNTED[1],
        judge_change(ALL, ONE_SEEN, *COUNTED, empty="zero"),
    ),
    ("right and wrong both score zero", 1, "broken:0", judge_change(ALL, ONE_SEEN, empty="zero")),
    (
        "the precision is undefined where nothing is found any more",
        1,
        "missed:+0",
        judge_change([*GOOD, (3, 7)], [*GOOD, NOTHING], *PRECISION, targets=[10] * 20, empty="one"),
    ),
):
    UNDEFINED.add(_name, _code, _says, _attempt, slow=False)
