"""How often the search for clusters finds what was planted, and how often it finds something where nothing was.

    python benchmarks/planted_clusters.py [SEEDS] [all|cases|frames]

Runs of 1,192 cases with 12 tags of 2 to 6 random values each. In a planted run exactly 2, 5 or 10 % of the cases meet
a rule of one, two or three predicates, and fail at a rate of 75 % (or 60 %, or 40 %): 5, 10 or 15 times the rest's.
`top`: the first of all rules is exactly the planted one, significant or not. `found`: it is the first reported cluster.

Then frames of 8, 20 and 60 videos, with 8 to 60 frames each, searched with and without groups. Failures and tags come
in episodes of about eight frames, at rates that differ from video to video. Five tags are constant in a video (one
names it), six vary within it, and nothing but a planted rule has to do with failing.
"""

from __future__ import annotations

import sys
from itertools import product
from multiprocessing import Pool
from typing import TypeAlias

import numpy as np

from segqa import Counts, Outcome, ProposalScore, Run, find_clusters
from segqa.analysis.failure_clusters.search import ALPHA
from segqa.data.mask import Mask
from segqa.models.protocol import Floats
from segqa.stats.hypergeometric import Whole

CASES, TAGS = 1192, 12
NOTHING = Counts(0, 0, 10, 90)
WRONG, RIGHT = (ProposalScore(counts, counts) for counts in (Counts(0, 10, 10, 80), Counts(10, 0, 0, 90)))

NULLS = {"a fifth of the videos fails": 0.2, "rates spread": 0.0, "one tag, 95 % one value": -1.0}
PLANTED = {
    "a tag of a quarter of the videos": ("t0",),
    "a tag of 30 % of the frames": ("t5",),
    "two tags": ("t5", "t9"),
}

Scenario: TypeAlias = tuple[int, float, float, float, int]
"""Predicates, share of the cases, failure rate inside and outside, seed."""


def synthetic_run(scenario: Scenario) -> Run:
    """A run in which the cases of the rule `t00=v0 and t01=v0 …` fail at one rate and all others at another."""
    predicates, share, inside, outside, seed = scenario
    random = np.random.default_rng(seed)
    planted = np.zeros(CASES, dtype=np.bool_)
    if predicates:
        planted[random.choice(CASES, round(share * CASES), replace=False)] = True
    columns = [_column(random, share ** (1 / predicates) if tag < predicates else 0) for tag in range(TAGS)]
    for column in columns[:predicates]:
        column[planted] = 0
    # no case but the planted ones may meet the whole rule
    while predicates and (extra := np.all([column == 0 for column in columns[:predicates]], axis=0) & ~planted).any():
        for column in columns[:predicates]:
            column[extra] = random.permutation(column[~planted])[: extra.sum()]
    failed = random.random(CASES) < np.where(planted, inside, outside)
    outcomes = tuple(
        Outcome(
            case_id=f"{case:04}",
            tags={f"t{tag:02}": f"v{column[case]}" for tag, column in enumerate(columns)},
            proposal_scores=(WRONG if failed[case] else RIGHT,),
            picked=0,
            empty_prediction=NOTHING,
        )
        for case in range(CASES)
    )
    return Run("run", "model", "data", tuple(outcome.case_id for outcome in outcomes), outcomes, "agreement")


def judge(scenario: Scenario) -> tuple[bool, bool, float]:
    """Whether the planted rule is on top of all, whether it is reported by default, and the best corrected p-value."""
    ranked = find_clusters(synthetic_run(scenario), alpha=0.999)
    if not len(ranked):
        return False, False, 1.0
    top = ranked[0].condition == " and ".join(f"t{tag:02}=v0" for tag in range(scenario[0]))
    return top, top and ranked[0].corrected <= ALPHA, ranked[0].corrected


def frames(videos: int, seed: int, null: float = 0.2, planted: tuple[str, ...] = ()) -> Run:
    """A run over frames of videos.

    Args:
        videos: how many.
        seed: of everything random.
        null: the share of the videos that fails; 0 for rates from a beta distribution; below 0 the same with a single
            tag that nearly all frames share.
        planted: tags whose first value fails at a rate of 70 %, all other frames at 4 % (of some videos at 50 %).
    """
    random = np.random.default_rng(seed)
    sizes = random.integers(8, 61, videos)
    video = np.repeat(np.arange(videos), sizes)
    rates = np.where(random.random(videos) < null, 0.9, 0.02) if null > 0 else random.beta(0.3, 1.5, videos)
    failed = _episodes(random, rates, sizes)
    tags = _frame_tags(random, sizes, video)
    if null < 0:
        tags = {"t0": _episodes(random, np.full(videos, 0.95), sizes).astype(np.int64)}
    if planted:
        tags["t0"] = (random.permutation(videos) >= max(3, round(videos / 4))).astype(np.int64)[video]
        inside = np.all([tags[name] == 0 for name in planted], axis=0)
        others = np.where(random.random(videos) < 0.05, 0.5, 0.04)
        failed = random.random(len(video)) < np.where(inside, 0.7, others[video])
    outcomes = tuple(
        Outcome(
            case_id=f"{case:05}",
            tags={"video": f"v{video[case]:02}", **{name: f"v{column[case]}" for name, column in tags.items()}},
            proposal_scores=(WRONG if failed[case] else RIGHT,),
            picked=0,
            empty_prediction=NOTHING,
        )
        for case in range(len(video))
    )
    return Run("run", "model", "data", tuple(outcome.case_id for outcome in outcomes), outcomes, "agreement")


def judge_frames(scenario: tuple[int, int, float, tuple[str, ...], str]) -> tuple[bool, float]:
    """Whether the planted rule is the first reported cluster, and the best corrected p-value up to 0.05."""
    videos, seed, null, planted, group_by = scenario
    run = frames(videos, seed, null, planted)
    found = list(find_clusters(run, group_by=group_by, alpha=0.05, depth=2 if planted else 3))
    rule = " and ".join(f"{name}=v0" for name in planted)
    # a rule that names a failing video is right, whatever its p-value assumes
    found = [cluster for cluster in found if "video=" not in cluster.condition]
    reported = [cluster for cluster in found if cluster.corrected <= ALPHA]
    return bool(reported) and reported[0].condition == rule, min((cluster.corrected for cluster in found), default=1.0)


def main(seeds: int = 200, part: str = "all") -> None:
    """Print the tables."""
    if part in ("all", "frames"):
        _judge_all_frames(seeds)
    if part in ("all", "cases"):
        _judge_all_cases(seeds)


def _judge_all_frames(seeds: int) -> None:
    with Pool() as pool:
        print("frames, unrelated tags | videos | runs | with groups: at 0.01 | at 0.05 | without groups: at 0.01")
        for (name, null), videos in product(NULLS.items(), (8, 20, 60)):
            ways = [
                [p for _, p in pool.map(judge_frames, [(videos, seed, null, (), tag) for seed in range(runs)])]
                for tag, runs in (("video", seeds), ("", max(1, seeds // 8)))
            ]
            grouped, alone = map(np.array, ways)
            shares = np.mean(grouped <= 0.01), np.mean(grouped <= 0.05), np.mean(alone <= 0.01)
            print(f"{name} | {videos} | {seeds} | {' | '.join(f'{share:.1%}' for share in shares)}", flush=True)
        print("\nframes, planted | videos | first, reported at 0.01")
        for (name, planted), videos in product(PLANTED.items(), (8, 20, 60)):
            scenarios = [(videos, seed, 0.2, planted, "video") for seed in range(max(1, seeds // 10))]
            print(
                f"{name} | {videos} | {np.mean([top for top, _ in pool.map(judge_frames, scenarios)]):.1%}", flush=True
            )


def _judge_all_cases(seeds: int) -> None:
    with Pool() as pool:
        print("no planted cluster | runs | reported at alpha 0.01 | at 0.05")
        for rate in (0.02, 0.05, 0.10, 0.30):
            results = pool.map(judge, [(0, 0.0, rate, rate, seed) for seed in range(seeds)])
            best = np.array([p for _, _, p in results])
            print(f"failure rate {rate:.0%} | {seeds} | {np.mean(best <= 0.01):.1%} | {np.mean(best <= 0.05):.1%}")
        print("\nfails | predicates | share | top, at 5, 10, 15 times the rest | found, the same")
        for inside, predicates, share in product((0.75, 0.6, 0.4), (1, 2, 3), (0.02, 0.05, 0.10)):
            cells = [
                pool.map(judge, [(predicates, share, inside, inside / ratio, seed) for seed in range(seeds)])
                for ratio in (5, 10, 15)
            ]
            top, found = ("  ".join(f"{np.mean([r[i] for r in cell]):6.1%}" for cell in cells) for i in (0, 1))
            print(f"{inside:.0%} | {predicates} | {share:.0%} | {top} | {found}", flush=True)


def _column(random: np.random.Generator, first: float) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """A tag's value for every case, as numbers; the number 0 has this share, if it is above 0."""
    weights = random.dirichlet(np.full(int(random.integers(2, 7)), 3.0))
    if first:
        weights = np.concatenate([[first], (1 - first) * weights])
    return random.choice(len(weights), CASES, p=weights)


def _frame_tags(random: np.random.Generator, sizes: Whole, video: Whole) -> dict[str, Whole]:
    """Four tags that are constant in a video, four that vary at a rate of its own, and two that vary alike in all."""
    constant = [random.choice(int(random.integers(2, 6)), len(sizes))[video] for _ in range(4)]
    # value 0 has about the share; a small sum of the two parameters makes videos differ much
    rates = [
        random.beta(k * share, k * (1 - share), len(sizes)) for share, k in ((0.05, 3), (0.3, 20), (0.5, 1), (0.95, 3))
    ]
    varying = [_episodes(random, rate, sizes) for rate in (*rates, np.full(len(sizes), 0.93))]
    single = random.random(len(video)) < 0.6
    columns = [*constant, *(1 - column.astype(np.int64) for column in varying), single.astype(np.int64)]
    return {f"t{number}": column for number, column in enumerate(columns)}


def _episodes(random: np.random.Generator, rates: Floats, sizes: Whole) -> Mask:
    """Whether something is so in each frame of videos with these rates; it stays as it is for about eight frames."""
    count = int(sizes.sum())
    starts = np.cumsum(sizes) - sizes
    new = random.random(count) < 1 / 8
    new[starts] = True
    drawn = random.random(count) < np.repeat(rates, sizes)
    found: Mask = drawn[np.maximum.accumulate(np.where(new, np.arange(count), 0))]
    return found


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]), *sys.argv[2:])
