"""What the gate sees, and how often it cries wolf, beside other rules on the same simulated runs.

    python benchmarks/gate_detection.py [REPEATS]

Each repeat makes a baseline of cases with an IoU around 0.87, 24 overlapping slices by 8 tags, and a candidate; the
real gate judges it by its default rules. Two more tables have the frames of videos in place of independent cases: one
of the real gate with slices, one of the tests of the mean alone, which are faster.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing import Pool
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from segqa import Counts, Outcome, ProposalScore, Run, compare, judge
from segqa.gate.mean_change import classify_mean_change
from segqa.stats.permutation_test import compute_interval, judge_drops, raise_p

PIXELS = 20_000
SIZES = (24, 60, 240, 1192)
VIDEOS = (8, 20, 60)
WORDS = ("regressed", "improved", "similar")
CLAIMS = (
    "regressed",
    "improved",
    "similar at a drop of the tolerance",
    "interval > 0, no groups",
    "interval > 0, groups",
)
Floats: TypeAlias = NDArray[np.float64]
Noise: TypeAlias = Callable[[np.random.Generator, int], Floats]

NOISES: dict[str, Noise] = {
    "symmetric": lambda random, n: random.normal(0, 0.02, n),
    "heavy-tailed": lambda random, n: 0.01 * random.standard_t(2.5, n),
    "skewed": lambda random, n: 0.02 * (random.exponential(1, n) - 1),
    "skewed the other way": lambda random, n: 0.02 * (1 - random.exponential(1, n)),
    "mostly zero": lambda random, n: random.normal(0, 0.05, n) * (random.random(n) < 0.1),
}


def run_of(ious: Floats, tags: NDArray[np.int64], videos: NDArray[np.int64] | None = None) -> Run:
    """A run with these IoUs."""
    outcomes = []
    own_tags = [{f"t{tag}": f"v{value}" for tag, value in enumerate(own)} for own in tags]
    if videos is not None:
        own_tags = [known | {"video": f"video{video}"} for known, video in zip(own_tags, videos, strict=True)]
    for case, (iou, own) in enumerate(zip(ious, own_tags, strict=True)):
        tp = round(float(np.clip(iou, 0, 1)) * PIXELS)
        counts = Counts(tp, 0 if tp else 1, PIXELS - tp, PIXELS if tp else PIXELS - 1)
        outcomes.append(
            Outcome(
                case_id=f"{case:05}",
                tags=own,
                proposal_scores=(ProposalScore(counts, counts),),
                picked=0,
                empty_prediction=Counts(0, 0, PIXELS, PIXELS),
            )
        )
    return Run("run", "model", "data", tuple(o.case_id for o in outcomes), tuple(outcomes), "agreement")


def baseline(random: np.random.Generator, n: int, spread: float) -> tuple[Floats, NDArray[np.int64]]:
    """IoUs and tags of the cases before."""
    return random.normal(0.8715, spread, n).clip(0.75, 0.97), random.integers(0, 3, (n, 8))


def collapse(seed: int, *, n: int, k: int) -> tuple[bool, ...]:
    """Whether each rule fires where k good cases collapse to 0 and the others are noisy."""
    random = np.random.default_rng(seed)
    before, tags = baseline(random, n, 0.05)
    after = before + random.normal(0, 0.01, n)
    after[random.choice(n, k, replace=False)] = 0
    return fires(before, after, tags)


def fires(before: Floats, after: Floats, tags: NDArray[np.int64]) -> tuple[bool, ...]:
    """The gate, then the rules that others use."""
    ours = not judge(compare(run_of(before, tags), run_of(after, tags))).passed
    difference = after - before
    welch = stats.ttest_ind(after, before, equal_var=False, alternative="less").pvalue < 0.05
    means = np.random.default_rng(0).choice(difference, (2000, len(difference))).mean(axis=1)
    return (
        ours,
        bool(after.mean() < 0.85),
        bool(after.mean() < 0.95 * before.mean()),
        bool(welch),
        bool(np.percentile(means, 97.5) < 0),
    )


def noise_only(seed: int, *, n: int, kind: str) -> tuple[bool, ...]:
    """Whether each rule fires where nothing has changed but noise of mean zero."""
    random = np.random.default_rng(seed)
    before, tags = baseline(random, n, 0.04)
    return fires(before, before + NOISES[kind](random, n), tags)


def one_slice(seed: int, *, n: int) -> tuple[bool, ...]:
    """Whether each rule fires where a quarter of the cases, one slice, loses 1.5 points."""
    random = np.random.default_rng(seed)
    before, tags = baseline(random, n, 0.04)
    tags[:, 0] = random.integers(0, 4, n)
    after = before + random.normal(0, 0.03, n) - 0.015 * (tags[:, 0] == 0)
    return fires(before, after, tags)


def frames(random: np.random.Generator, videos: int, kind: str) -> tuple[Floats, NDArray[np.int64]]:
    """Changes of the frames of videos, and of which video each is.

    Videos have 5 to 60 frames. These change together, by a noise of `NOISES`; each a little by itself.
    """
    video = np.repeat(np.arange(videos), random.integers(5, 60, videos))
    return NOISES[kind](random, videos)[video] + random.normal(0, 0.005, len(video)), video


def grouped(seed: int, *, videos: int, kind: str, mean: float = 0.0, broken: int = 0, tag: str = "video") -> list[bool]:
    """Whether the gate's verdict is each of `WORDS`; half of the tags are of the video, the others of the frame."""
    random = np.random.default_rng(seed)
    changes, video = frames(random, videos, kind)
    before, tags = baseline(random, len(video), 0.04)
    tags[:, :4] = random.integers(0, 3, (videos, 4))[video]
    after = before + mean + changes
    after[random.choice(len(video), broken, replace=False)] = 0
    name = judge(compare(run_of(before, tags, video), run_of(after, tags, video)), group_by=tag).name
    return [name == word for word in WORDS]


def mean_alone(seed: int, *, videos: int, kind: str) -> list[bool]:
    """Whether each of `CLAIMS` is made of the mean of frames in which nothing but noise has changed."""
    changes, video = frames(np.random.default_rng(seed), videos, kind)
    (drop,) = judge_drops(changes, [np.ones(len(video), np.bool_)], [0.002], groups=video)
    return [
        raise_p(drop.p, videos) <= 0.05,
        classify_mean_change(changes, video, 0.002) == "improved",
        classify_mean_change(changes - 0.002, video, 0.002) != "inconclusive",
        compute_interval(changes).low > 0,
        compute_interval(changes, video).low > 0,
    ]


def main(repeats: int = 400) -> None:
    """Print the tables."""
    warnings.simplefilter("ignore")
    print(f"{repeats} repeats a row\n\nwhat | gate | mean < 0.85 | drop > 5 % | Welch | paired bootstrap < 0")
    rows: list[tuple[str, Callable[[int], tuple[bool, ...]]]] = []
    rows += [(f"n 238, {k} collapse", partial(collapse, n=238, k=k)) for k in (0, 1, 3, 5, 12)]
    rows += [("a quarter loses 1.5 points, n 1192", partial(one_slice, n=1192))]
    rows += [(f"noise: {kind}, n {n}", partial(noise_only, n=n, kind=kind)) for kind in NOISES for n in SIZES]
    with Pool() as pool:
        for name, trial in rows:
            rates = np.mean(pool.map(trial, range(repeats)), axis=0)
            print(f"{name} | {' | '.join(f'{rate:.3f}' for rate in rates)}", flush=True)
        for columns, table in ((WORDS, _rows_of_the_gate()), (CLAIMS, _rows_of_the_mean())):
            print(f"\nframes of videos | {' | '.join(columns)}")
            for name, in_videos in table:
                rates = np.mean(pool.map(in_videos, range(repeats)), axis=0)
                print(f"{name} | {' | '.join(f'{rate:.3f}' for rate in rates)}", flush=True)


def _rows_of_the_gate() -> Iterator[tuple[str, Callable[[int], list[bool]]]]:
    """A name and a trial for each row of the second table."""
    for videos in VIDEOS:
        chance = partial(grouped, videos=videos, kind="symmetric")
        yield f"{videos} videos, noise: symmetric, without group_by", partial(chance, tag="")
        yield f"{videos} videos, noise: symmetric", chance
        yield f"{videos} videos, noise: skewed", partial(grouped, videos=videos, kind="skewed")
        yield f"{videos} videos, 1 frame collapses", partial(chance, broken=1)
        yield f"{videos} videos, a drop of 0.02", partial(chance, mean=-0.02)


def _rows_of_the_mean() -> Iterator[tuple[str, Callable[[int], list[bool]]]]:
    """A name and a trial for each row of the third table."""
    for videos in VIDEOS:
        for kind in NOISES:
            yield f"{videos} videos, noise: {kind}", partial(mean_alone, videos=videos, kind=kind)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
