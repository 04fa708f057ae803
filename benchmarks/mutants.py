"""What the tests of a deciding part would not notice: its mutants, and which of them survive.

    python benchmarks/mutants.py segqa/gate/verdict.py
    python benchmarks/mutants.py segqa/gate/verdict.py --sample 200 --seed 1

cosmic-ray makes the mutants: one operator, number, keyword, decorator or loop of the module, each changed once in every
way that it knows. Each is tried against the module's own tests and doctests, in a copy of the checkout, in a fork of a
process that has the libraries loaded already (0.4 s of a processor in place of 2, beside the tests). What they fail
on, what does not compile or import, and what takes more than twice the time is killed; the others are printed. What
stands in an annotation decides nothing, nor does the `*` before keyword-only arguments: both are left out.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import math
import os
import resource
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2  # noqa: F401  # loaded once for all forks, as the rest of these
import hypothesis.extra.numpy  # noqa: F401
import jinja2  # noqa: F401
import numpy as np
import pytest
import scipy.optimize
import scipy.stats  # noqa: F401
from cosmic_ray.commands.init import init
from cosmic_ray.mutating import use_mutation
from cosmic_ray.plugins import get_operator
from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import MutationSpec

ROOT = Path(__file__).parent.parent
TESTS = {
    "segqa/gate/verdict.py": ["tests/gate/test_verdict.py"],
    "segqa/scoring/metrics.py": ["tests/scoring/test_metrics.py"],
    "segqa/models/pickers.py": ["tests/models/test_pickers.py"],
    "segqa/gate/comparison.py": ["tests/gate/test_comparison.py"],
    "segqa/stats/permutation_test.py": ["tests/stats/test_permutation_test.py"],
    "segqa/analysis/failure_clusters/clusters.py": ["tests/analysis/failure_clusters/test_clusters.py"],
    "segqa/stats/hypergeometric.py": ["tests/stats/test_hypergeometric.py"],
    "segqa/analysis/iou_histogram_gap.py": ["tests/analysis/test_iou_histogram_gap.py"],
    "segqa/analysis/failure_clusters/rule_lattice.py": ["tests/analysis/failure_clusters/test_rule_lattice.py"],
    "segqa/analysis/failure_clusters/search.py": ["tests/analysis/failure_clusters/test_search.py"],
    "segqa/analysis/failure_clusters/attribute_table.py": ["tests/analysis/failure_clusters/test_attribute_table.py"],
}
COPIED = ("conftest.py", "pyproject.toml", "fixtures", "segqa", "suites", "tests")
REWRITTEN = "ignore::pytest.PytestAssertRewriteWarning"  # hypothesis is loaded before pytest could rewrite it
OPTIONS = ("-x", "-q", "-p", "no:cacheprovider", "-m", "not slow", "--hypothesis-profile=ci", "-W", REWRITTEN)
MEMORY = 8 * 2**30

Position = tuple[int, int]
Span = tuple[Position, Position]


def main() -> None:
    """Try the mutants of one module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("module", choices=TESTS)
    parser.add_argument("--sample", type=int, help="so many at random; all by default")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    with copy_of(ROOT):
        made = mutants(asked.module)
        kept = without_annotations(made, Path(asked.module).read_text(encoding="utf-8"))
        tried = drawn(kept, asked.sample, asked.seed) if asked.sample else kept
        print(f"{asked.module}: {len(made)} mutants, {len(made) - len(kept)} in signatures, {len(tried)} tried")
        survived = list(survivors(asked.module, tried))
    print(f"{asked.module}: {len(tried) - len(survived)} of {len(tried)} killed, {len(survived)} survived")


@contextlib.contextmanager
def copy_of(root: Path) -> Iterator[None]:
    """Work in a copy of the checkout, so that no mutant is left in it."""
    with tempfile.TemporaryDirectory() as folder:
        ignored = shutil.ignore_patterns("__pycache__")
        for name in COPIED:
            source = root / name
            if source.is_dir():
                shutil.copytree(source, Path(folder, name), ignore=ignored)
            else:
                shutil.copy(source, folder)
        with contextlib.chdir(folder):
            sys.path.insert(0, folder)
            yield


def mutants(module: str) -> list[MutationSpec]:
    """All that cosmic-ray makes of a module."""
    with use_db("session.sqlite", WorkDB.Mode.create) as session:
        init([Path(module)], session, {})
        return [mutation for item in session.work_items for mutation in item.mutations]


def drawn(mutations: list[MutationSpec], count: int, seed: int) -> list[MutationSpec]:
    """So many of them at random, in their order."""
    random = np.random.default_rng(seed)
    places = random.choice(len(mutations), min(count, len(mutations)), replace=False)
    return [mutations[place] for place in sorted(places.tolist())]


def by_place(mutation: MutationSpec) -> tuple[Position, str, int]:
    """Its place in the module, then its operator."""
    return mutation.start_pos, mutation.operator_name, mutation.occurrence


def without_annotations(mutations: Iterable[MutationSpec], source: str) -> list[MutationSpec]:
    """Those that do not stand in an annotation, nor are the `*` of a signature."""
    spans, lines = list(annotations(source)), source.splitlines()

    def matters(mutation: MutationSpec) -> bool:
        row, column = mutation.start_pos
        inside = any(start <= mutation.start_pos < end for start, end in spans)
        return not inside and not lines[row - 1].startswith("*,", column)

    return sorted(filter(matters, mutations), key=by_place)


def annotations(source: str) -> Iterator[Span]:
    """Where annotations begin and end: rows from 1, columns from 0 in characters."""
    lines = source.splitlines()

    def place(row: int, in_bytes: int) -> Position:
        return row, len(lines[row - 1].encode()[:in_bytes].decode())

    for node in ast.walk(ast.parse(source)):
        for name in ("annotation", "returns"):
            found = getattr(node, name, None)
            if found is not None:
                yield place(found.lineno, found.col_offset), place(found.end_lineno, found.end_col_offset)


def survivors(module: str, mutations: Iterable[MutationSpec]) -> Iterator[MutationSpec]:
    """Those that the module's tests do not notice, printed as they are found."""
    sys.dont_write_bytecode = False
    if fails(module, 600):
        sys.exit("the tests fail as the module stands")
    patience = 3 + 2 * math.ceil(resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime)
    # what the module is compiled to must not be taken for its mutants; that of all the others may be
    for compiled in Path(module).parent.glob(f"__pycache__/{Path(module).stem}.*"):
        compiled.unlink()
    sys.dont_write_bytecode = True
    for mutation in mutations:
        operator = get_operator(mutation.operator_name)(**mutation.operator_args)
        with use_mutation(mutation.module_path, operator, mutation.occurrence) as (_, mutated):
            killed = fails(module, patience)
        if not killed:
            row = mutation.start_pos[0]
            print(f"{module}:{row}: {mutation.operator_name}\n    {mutated.splitlines()[row - 1].strip()}", flush=True)
            yield mutation


def fails(module: str, seconds: int) -> bool:
    """Whether the tests of the module fail now, or take more seconds of a processor."""
    child = os.fork()
    if not child:
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.dup2(nowhere, sys.stderr.fileno())
        failed = 1
        try:
            failed = pytest.main([*OPTIONS, module, *TESTS[module]])
        finally:  # what belongs to the parent is not for the child to tidy up
            os._exit(failed)
    return os.waitpid(child, 0)[1] != 0


if __name__ == "__main__":
    main()
