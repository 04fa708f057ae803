"""How long the search for clusters takes, beside a decision tree and a group-by over all pairs of tags.

    python benchmarks/clusters_speed.py [CASES …]

The same cases with 20 tags of 2 to 6 values each, about 5 % of them failing, for all three. Medians of a few repeats,
in turns, so that a busy machine slows all of them. What each one gives is not the same: the tree partitions the cases
greedily, the group-by knows no significance and no triples; neither says how sure it is.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from itertools import combinations

import numpy as np
import pandas as pd
from sklearn.preprocessing import OneHotEncoder
from sklearn.tree import DecisionTreeClassifier

from segqa import Counts, Outcome, ProposalScore, Run, find_clusters

TAGS = 20
NOTHING = Counts(0, 0, 10, 90)
WRONG, RIGHT = (ProposalScore(counts, counts) for counts in (Counts(0, 10, 10, 80), Counts(10, 0, 0, 90)))


def make(cases: int) -> tuple[Run, pd.DataFrame]:
    """A run, and the same as a table of tags with a column `failed`."""
    random = np.random.default_rng(0)
    tags = {}
    for tag in range(TAGS):
        weights = random.dirichlet(np.full(int(random.integers(2, 7)), 3.0))
        tags[f"t{tag:02}"] = [f"v{value}" for value in random.choice(len(weights), cases, p=weights)]
    table = pd.DataFrame(tags)
    table["failed"] = random.random(cases) < np.where((table.t03 == "v0") & (table.t07 == "v1"), 0.4, 0.04)
    rows = table.to_dict("records")
    outcomes = tuple(
        Outcome(
            case_id=f"{number:06}",
            tags={key: row[key] for key in tags},
            proposal_scores=(WRONG if row["failed"] else RIGHT,),
            picked=0,
            empty_prediction=NOTHING,
        )
        for number, row in enumerate(rows)
    )
    return Run("run", "model", "data", tuple(o.case_id for o in outcomes), outcomes, "agreement"), table


def tree(table: pd.DataFrame) -> object:
    """The leaf with the highest failure rate of a tree of depth three, as deep as our rules."""
    columns = OneHotEncoder().fit_transform(table.drop(columns="failed"))
    fitted = DecisionTreeClassifier(max_depth=3, min_samples_leaf=8, random_state=0).fit(columns, table.failed)
    return fitted.tree_.value[:, 0, -1].max()


def group_by(table: pd.DataFrame) -> object:
    """The pair of tag values with the highest failure rate of those that eight cases have."""
    tags = [column for column in table if column != "failed"]
    best = []
    for pair in combinations(tags, 2):
        groups = table.groupby(list(pair), observed=True)["failed"].agg(["mean", "size"])
        best.append(groups[groups["size"] >= 8]["mean"].nlargest(1))
    return pd.concat(best).max()


def main(*sizes: int) -> None:
    """Print the table."""
    print("cases | segqa.find_clusters s | decision tree s (ratio) | group-by over pairs s (ratio) | first cluster")
    for cases in sizes or (1192, 100_000):
        run, table = make(cases)
        ways: dict[str, Callable[[], object]] = {
            "segqa": lambda run=run: find_clusters(run),  # type: ignore[misc]
            "tree": lambda table=table: tree(table),  # type: ignore[misc]
            "pairs": lambda table=table: group_by(table),  # type: ignore[misc]
        }
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(5 if cases < 10_000 else 3):
            for name, way in ways.items():
                start = time.perf_counter()
                way()
                seconds[name].append(time.perf_counter() - start)
        medians = {name: statistics.median(values) for name, values in seconds.items()}
        others = " | ".join(f"{medians[n]:.2f} ({medians[n] / medians['segqa']:.2f})" for n in ("tree", "pairs"))
        print(f"{cases} | {medians['segqa']:.2f} | {others} | {find_clusters(run)[0]}", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
