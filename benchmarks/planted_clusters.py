"""How often the search for clusters finds what was planted, and how often it finds something where nothing was.

    python benchmarks/planted_clusters.py [SEEDS]

Runs of 1,192 cases with 12 tags of 2 to 6 random values each. In a planted run exactly 2, 5 or 10 % of the cases meet
a rule of one, two or three predicates, and fail at a rate of 75 % (or 60 %, or 40 %): 5, 10 or 15 times the rest's.
`top`: the first of all rules is exactly the planted one, significant or not. `found`: it is the first reported cluster.
"""

from __future__ import annotations

import sys
from itertools import product
from multiprocessing import Pool
from typing import TypeAlias

import numpy as np

from segqa import Counts, Offer, Outcome, Run, clusters
from segqa.cluster.search import ALPHA

CASES, TAGS = 1192, 12
NOTHING = Counts(0, 0, 10, 90)
WRONG, RIGHT = (Offer(counts, counts) for counts in (Counts(0, 10, 10, 80), Counts(10, 0, 0, 90)))

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
            offers=(WRONG if failed[case] else RIGHT,),
            picked=0,
            nothing=NOTHING,
        )
        for case in range(CASES)
    )
    return Run("run", "model", "data", tuple(outcome.case_id for outcome in outcomes), outcomes, "agreement")


def judge(scenario: Scenario) -> tuple[bool, bool, float]:
    """Whether the planted rule is on top of all, whether it is reported by default, and the best corrected p-value."""
    ranked = clusters(synthetic_run(scenario), alpha=0.999)
    if not len(ranked):
        return False, False, 1.0
    top = ranked[0].condition == " and ".join(f"t{tag:02}=v0" for tag in range(scenario[0]))
    return top, top and ranked[0].corrected <= ALPHA, ranked[0].corrected


def main(seeds: int = 200) -> None:
    """Print the tables."""
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


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
