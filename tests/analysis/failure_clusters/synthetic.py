"""Make runs for tests of the search, from tags and failing cases."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from segqa.runs.outcome import Outcome, ProposalScore
from segqa.runs.run import Run
from segqa.scoring.metrics import Counts

NOTHING = Counts(0, 0, 10, 90)
WRONG, RIGHT, MERGED = (
    ProposalScore(counts, counts) for counts in (Counts(0, 10, 10, 80), Counts(10, 0, 0, 90), Counts(10, 30, 0, 60))
)


def draw_tags(cases: int, tags: int, values: int, seed: int) -> list[dict[str, str]]:
    """Draw random tags for each case."""
    drawn = np.random.default_rng(seed).integers(values, size=(cases, tags))
    return [{f"t{tag}": f"v{value}" for tag, value in enumerate(row)} for row in drawn.tolist()]


def make_outcome(case: int, tags: dict[str, str], offer: ProposalScore, better: ProposalScore | None = None) -> Outcome:
    """Return an outcome whose prediction has this score."""
    offers = (offer,) if better is None else (offer, better)
    return Outcome(case_id=f"{case:05}", tags=tags, proposal_scores=offers, picked=0, empty_prediction=NOTHING)


def make_run(tags: Sequence[dict[str, str]], fails: Callable[[dict[str, str], float], bool], seed: int = 0) -> Run:
    """Return a run in which the cases with `fails(tags, chance)` are zero-IoU false positives."""
    chances = np.random.default_rng(seed + 10_000).random(len(tags)).tolist()
    outcomes = tuple(
        make_outcome(case, own, WRONG if fails(own, chance) else RIGHT)
        for case, (own, chance) in enumerate(zip(tags, chances, strict=True))
    )
    return Run("r", "m", "d", tuple(each.case_id for each in outcomes), outcomes, "agreement")


def make_video_run(
    videos: int, each: int, fails: Callable[[dict[str, str], float], bool], tags: int = 4, seed: int = 0
) -> Run:
    """Return a run over frames of videos; tags `c…` are constant in a video, tags `f…` differ by frame."""
    random = np.random.default_rng(seed)
    constant, varying = random.integers(3, size=(videos, tags)), random.integers(3, size=(videos * each, tags))
    rows = [
        {"video": f"{frame // each:03}"}
        | {f"c{tag}": f"v{constant[frame // each, tag]}" for tag in range(tags)}
        | {f"f{tag}": f"v{varying[frame, tag]}" for tag in range(tags)}
        for frame in range(videos * each)
    ]
    return make_run(rows, fails, seed)
