import math
from dataclasses import FrozenInstanceError
from itertools import combinations, product

import numpy as np
import pytest

from segqa.analysis.failure_clusters.attribute_table import AttributeTable
from segqa.analysis.failure_clusters.rule_lattice import FailureSamples, RuleLattice, RuleMatch
from segqa.runs.outcome import Outcome
from segqa.stats.hypergeometric import compute_log_tail
from tests.analysis.failure_clusters.synthetic import draw_tags

Rules = dict[tuple[tuple[int, int], ...], frozenset[int]]


def make_table(cases: int, tags: int, values: int, min_cases: int, seed: int = 0) -> AttributeTable:
    described = [Outcome(case_id=str(n), tags=own) for n, own in enumerate(draw_tags(cases, tags, values, seed))]
    return AttributeTable.from_cases(described, {}, min_cases=min_cases)


def list_rules(table: AttributeTable, min_cases: int) -> Rules:
    """Every rule of up to three predicates by its cases, from sets; longer names of the same are left out."""
    met: Rules = {}
    own: Rules = {}
    for level in (1, 2, 3):
        for attributes in combinations(range(len(table.predicates)), level):
            for codes in product(*(range(len(table.predicates[attribute])) for attribute in attributes)):
                rule = tuple(zip(attributes, codes, strict=True))
                cases = frozenset(np.flatnonzero(table.find_members(rule)).tolist())
                if len(cases) < min_cases:
                    continue
                met[rule] = cases
                shorter = [met.get(rule[:place] + rule[place + 1 :]) for place in range(level)] if level > 1 else []
                if cases not in shorter:
                    own[rule] = cases
    return own


def find_expected_matches(lattice: RuleLattice, rules: Rules, failing: FailureSamples) -> set[tuple[object, ...]]:
    """The hits by a count with sets: row, kind, rule, failures, support and `log_q`."""
    weights = np.cumsum(lattice.sizes)
    kinds = len(set(failing.kind.tolist()))
    expected: set[tuple[object, ...]] = set()
    for row, cases in enumerate(failing.cases):
        sets = [set(cases[failing.kind == kind].tolist()) for kind in range(kinds)]
        sets += [set(cases.tolist())] if kinds > 1 else []
        for kind, failed in enumerate(sets):
            f = np.array([len(members & failed) for members in rules.values()])
            s = np.array([len(members) for members in rules.values()])
            logs = compute_log_tail(f, s, len(failed), failing.population)
            for rule, many, of, log_p in zip(rules, f.tolist(), s.tolist(), logs.tolist(), strict=True):
                log_q = log_p + np.log(weights[len(rule) - 1])
                if log_q <= 0:
                    expected.add((row, kind, rule, many, of, round(log_p, 6), round(log_q, 6)))
    return expected


def to_tuples(hits: list[RuleMatch]) -> set[tuple[object, ...]]:
    return {(h.row, h.kind, h.rule, h.failing, h.support, round(h.log_p, 6), round(h.log_q, 6)) for h in hits}


@pytest.mark.parametrize(
    ("cases", "tags", "values", "min_cases", "seed"),
    [(150, 5, 3, 6, 0), (150, 5, 3, 6, 1), (150, 5, 3, 6, 2), (1500, 3, 17, 3, 0), (400, 2, 70, 2, 0)],
    ids=["few values", "others", "others yet", "too many triples for a table", "too many pairs for one"],
)
def test_every_rule_that_enough_cases_meet_is_there_once(
    cases: int, tags: int, values: int, min_cases: int, seed: int
) -> None:
    table = make_table(cases, tags, values, min_cases, seed)
    lattice = RuleLattice(table, min_cases, 3)
    rules = list_rules(table, min_cases)
    found = {
        level.decode_rule(combination, place): int(level.supports[place])
        for combination, level in lattice.levels.items()
        for place in np.flatnonzero(level.is_minimal).tolist()
    }
    assert found == {rule: len(cases) for rule, cases in rules.items()}
    assert sum(lattice.sizes) == len(rules)


@pytest.mark.parametrize("kinds", [1, 2])
def test_the_hits_are_those_of_a_count_by_hand(kinds: int) -> None:
    table = make_table(150, 5, 3, 6)
    lattice = RuleLattice(table, 6, 3)
    drawn = np.random.default_rng(1).permutation(150)
    by_kind = [np.sort(drawn[:12]), np.sort(drawn[12:30])][:kinds]
    failing = FailureSamples.draw(by_kind, 150, permutations=20, seed=3)
    hits = lattice.find_matches(failing)
    expected = find_expected_matches(lattice, list_rules(table, 6), failing)
    assert to_tuples(hits) == expected
    assert len(hits) == len(expected) > 10
    assert hits == sorted(hits, key=lambda hit: (hit.log_q, len(hit.rule), hit.rule, hit.kind))


@pytest.mark.parametrize("values", [2, 17], ids=["by a table", "by searching"])
def test_cases_without_a_tag_make_no_rule_of_it(values: int) -> None:
    chances = np.random.default_rng(4).random((900, 3)).tolist()
    tagged = zip(draw_tags(900, 3, values, 0), chances, strict=True)
    some = [
        {tag: v for (tag, v), chance in zip(own.items(), each, strict=True) if chance < 0.7} for own, each in tagged
    ]
    most = [{**own, "camera": "C1" if n < 800 else "C2"} for n, own in enumerate(some)]
    table = AttributeTable.from_cases(
        [Outcome(case_id=str(n), tags=own) for n, own in enumerate(most)], {}, min_cases=3
    )
    lattice = RuleLattice(table, 3, 3)
    rules = list_rules(table, 3)
    failing = FailureSamples.draw([np.arange(0, 900, 20)], 900, permutations=5, seed=0)
    assert sum(lattice.sizes) == len(rules)
    assert to_tuples(lattice.find_matches(failing)) == find_expected_matches(lattice, rules, failing)


def test_attributes_that_never_meet_hide_no_others() -> None:
    own = [{("a" if n < 100 else "b"): str(n % 2), "c": str(n % 3), "d": str(n % 5)} for n in range(200)]
    table = AttributeTable.from_cases(
        [Outcome(case_id=str(n), tags=tags) for n, tags in enumerate(own)], {}, min_cases=3
    )
    lattice = RuleLattice(table, 3, 3)
    assert (0, 1) not in lattice.levels
    assert {(0, 2, 3), (1, 2, 3)} <= set(lattice.levels)
    assert sum(lattice.sizes) == len(list_rules(table, 3))


def test_rules_of_many_values_are_counted_too() -> None:
    table = make_table(1500, 4, 17, 3)
    lattice = RuleLattice(table, 3, 3)
    rules = list_rules(table, 3)
    searched = [level for level in lattice.levels.values() if level.places is None]
    assert {len(level.keys) % 2 for level in searched} == {0, 1}
    for level in searched:
        assert level.find(np.array([math.prod(level.sizes)])).tolist() == [len(level.keys)]
    planted = np.array(sorted(set().union(*list(rules.values())[-4:], range(20))))
    failing = FailureSamples.draw([planted], 1500, permutations=10, seed=0)
    expected = find_expected_matches(lattice, rules, failing)
    assert to_tuples(lattice.find_matches(failing)) == expected
    assert {len(rule) for _, _, rule, *_ in expected if isinstance(rule, tuple)} >= {1, 3}


def test_what_cannot_be_a_hit_ends_no_search() -> None:
    table = make_table(600, 6, 4, 6)
    lattice = RuleLattice(table, 6, 3)
    planted = np.flatnonzero(table.find_members([(4, 0), (5, 0)]))[:15]
    failing = FailureSamples.draw([planted], 600, permutations=0, seed=0)
    hits = lattice.find_matches(failing)
    assert to_tuples(hits) == find_expected_matches(lattice, list_rules(table, 6), failing)
    assert hits[0].rule == ((4, 0), (5, 0))


def test_many_failures_are_counted_in_blocks_of_rows() -> None:
    table = make_table(2000, 2, 3, 6)
    lattice = RuleLattice(table, 6, 2)
    failing = FailureSamples.draw([np.arange(900), np.arange(900, 1000)], 2000, permutations=140, seed=0)
    expected = find_expected_matches(lattice, list_rules(table, 6), failing)
    assert to_tuples(lattice.find_matches(failing)) == expected
    assert max(row for row, *_ in expected if isinstance(row, int)) > 130


@pytest.mark.parametrize(("length", "own"), [(1, 6), (2, 18), (3, 26)])
def test_rules_are_as_long_as_they_may_be(length: int, own: int) -> None:
    cube = [Outcome(case_id=str(n), tags={f"t{t}": str(n >> t & 1) for t in range(3)}) for n in range(32)]
    lattice = RuleLattice(AttributeTable.from_cases(cube, {}, min_cases=2), 2, length)
    assert len(lattice.sizes) == length
    assert sum(lattice.sizes) == own
    assert np.exp(lattice.log_weights) == pytest.approx(np.cumsum(lattice.sizes))


def test_the_first_row_is_what_happened_and_the_others_are_draws() -> None:
    failing = FailureSamples.draw([np.array([3, 5]), np.array([7])], 50, permutations=99, seed=0)
    assert failing.cases[0].tolist() == [3, 5, 7]
    assert failing.totals == (2, 1, 3)
    assert all(len(set(row)) == 3 for row in failing.cases.tolist())
    assert len(set(failing.cases[1:].ravel().tolist())) > 40


def test_nothing_to_tell_cases_apart_makes_no_rule() -> None:
    same = [Outcome(case_id=str(n), tags={"camera": "C1"}) for n in range(20)]
    assert RuleLattice(AttributeTable.from_cases(same, {}, min_cases=2), 2, 3).sizes == (0, 0, 0)
    assert RuleLattice(AttributeTable.from_cases([], {}, min_cases=2), 2, 3).sizes == (0, 0, 0)


def test_without_failures_or_rules_there_are_no_hits() -> None:
    table = make_table(60, 2, 2, 4)
    assert (
        RuleLattice(table, 4, 2).find_matches(FailureSamples.draw([np.zeros(0, np.int64)], 60, permutations=2, seed=0))
        == []
    )
    empty = AttributeTable.from_cases([], {}, min_cases=2)
    nothing = RuleLattice(empty, 2, 3)
    assert nothing != RuleLattice(empty, 2, 3)
    assert nothing.find_matches(FailureSamples.draw([np.arange(3)], 60, permutations=2, seed=0)) == []
    assert nothing.log_weights.tolist() == [0, 0, 0]


def test_a_rule_alone_needs_no_correction() -> None:
    alone = [Outcome(case_id=str(n), tags={"camera": "C1"} if n < 4 else {}) for n in range(10)]
    assert RuleLattice(AttributeTable.from_cases(alone, {}, min_cases=2), 2, 2).log_weights.tolist() == [0, 0]


def test_what_the_lattice_holds_cannot_be_changed() -> None:
    table = make_table(60, 2, 2, 4)
    level = RuleLattice(table, 4, 2).levels[0,]
    failing = FailureSamples.draw([np.arange(5)], 60, permutations=2, seed=0)
    for made, name in ((level, "is_minimal"), (failing, "kind"), (RuleMatch(0, 0, (), 1, 2), "row")):
        with pytest.raises(FrozenInstanceError):
            setattr(made, name, None)
        assert not hasattr(made, "__dict__")
    assert level != RuleLattice(table, 4, 2).levels[0,]
