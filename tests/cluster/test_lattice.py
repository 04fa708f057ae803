from itertools import combinations, product

import numpy as np
import pytest

from segqa.cluster.exact import log_tail
from segqa.cluster.lattice import Failing, Lattice
from segqa.cluster.table import Table
from segqa.outcome import Outcome
from tests.cluster.synthetic import random_tags

Rules = dict[tuple[tuple[int, int], ...], frozenset[int]]


def table_of(cases: int, tags: int, values: int, min_cases: int, seed: int = 0) -> Table:
    described = [Outcome(case_id=str(n), tags=own) for n, own in enumerate(random_tags(cases, tags, values, seed))]
    return Table.of(described, {}, min_cases=min_cases)


def all_rules(table: Table, min_cases: int) -> Rules:
    """Every rule of up to three predicates by its cases, from sets; longer names of the same are left out."""
    met: Rules = {}
    own: Rules = {}
    for level in (1, 2, 3):
        for attributes in combinations(range(len(table.predicates)), level):
            for codes in product(*(range(len(table.predicates[attribute])) for attribute in attributes)):
                rule = tuple(zip(attributes, codes, strict=True))
                cases = frozenset(np.flatnonzero(table.members(rule)).tolist())
                if len(cases) < min_cases:
                    continue
                met[rule] = cases
                shorter = [met.get(rule[:place] + rule[place + 1 :]) for place in range(level)] if level > 1 else []
                if cases not in shorter:
                    own[rule] = cases
    return own


@pytest.mark.parametrize("seed", range(3))
def test_every_rule_that_enough_cases_meet_is_there_once(seed: int) -> None:
    table = table_of(150, 5, 3, 6, seed)
    lattice = Lattice(table, 6, 3)
    rules = all_rules(table, 6)
    found = {
        level.rule(combination, place): int(level.supports[place])
        for combination, level in lattice.levels.items()
        for place in np.flatnonzero(level.own).tolist()
    }
    assert found == {rule: len(cases) for rule, cases in rules.items()}
    assert sum(lattice.sizes) == len(rules)


@pytest.mark.parametrize("kinds", [1, 2])
def test_the_hits_are_those_of_a_count_by_hand(kinds: int) -> None:
    table = table_of(150, 5, 3, 6)
    lattice = Lattice(table, 6, 3)
    rules = all_rules(table, 6)
    drawn = np.random.default_rng(1).permutation(150)
    by_kind = [np.sort(drawn[:12]), np.sort(drawn[12:30])][:kinds]
    failing = Failing.of(by_kind, 150, permutations=20, seed=3)
    hits = lattice.hits(failing)
    weights = np.cumsum(lattice.sizes)
    expected = set()
    for row, cases in enumerate(failing.cases):
        sets = [set(cases[failing.kind == kind].tolist()) for kind in range(kinds)]
        sets += [set(cases.tolist())] if kinds > 1 else []
        for kind, failed in enumerate(sets):
            for rule, members in rules.items():
                f, s = np.array([len(members & failed)]), np.array([len(members)])
                log_q = float(log_tail(f, s, len(failed), 150)[0]) + np.log(weights[len(rule) - 1])
                if log_q <= 0:
                    expected.add((row, kind, rule, int(f[0]), int(s[0]), round(log_q, 6)))
    assert {(h.row, h.kind, h.rule, h.failing, h.support, round(h.log_q, 6)) for h in hits} == expected
    assert len(expected) > 10


def test_the_first_row_is_what_happened_and_the_others_are_draws() -> None:
    failing = Failing.of([np.array([3, 5]), np.array([7])], 50, permutations=99, seed=0)
    assert failing.cases[0].tolist() == [3, 5, 7]
    assert failing.totals == (2, 1, 3)
    assert all(len(set(row)) == 3 for row in failing.cases.tolist())
    assert len(set(failing.cases[1:].ravel().tolist())) > 40


def test_nothing_to_tell_cases_apart_makes_no_rule() -> None:
    same = [Outcome(case_id=str(n), tags={"camera": "C1"}) for n in range(20)]
    assert Lattice(Table.of(same, {}, min_cases=2), 2, 3).sizes == (0, 0, 0)
    assert Lattice(Table.of([], {}, min_cases=2), 2, 3).sizes == (0, 0, 0)
