from segqa.cluster.table import Table
from segqa.conditions import Predicate
from segqa.outcome import Outcome


def test_rare_slices_and_those_of_all_are_left_out() -> None:
    tags = [{"camera": f"C{n % 2}", "take": str(n), "place": "here"} for n in range(10)]
    table = Table.of([Outcome(case_id=str(n), tags=own) for n, own in enumerate(tags)], {}, min_cases=4)
    assert table.predicates == ((Predicate("camera", "=", "C0"), Predicate("camera", "=", "C1")),)
    assert table.codes.tolist() == [[0, 1] * 5]
    assert table.members([(0, 1)]).tolist() == [False, True] * 5


def test_predicates_that_mean_the_same_cases_are_twins() -> None:
    tags = [{"camera": f"C{n % 2}", "lens": f"L{n % 2}"} for n in range(10)]
    cases = [Outcome(case_id=str(n), tags=own, properties={"brightness": n % 2 / 2}) for n, own in enumerate(tags)]
    table = Table.of(cases, {"brightness": (0.0,)}, min_cases=2)
    assert len(table.predicates) == 1
    assert table.twins[Predicate("camera", "=", "C1")] == (
        Predicate("lens", "=", "L1"),
        Predicate("brightness", "=", "bright"),
    )


def test_a_case_without_the_tag_is_in_no_slice_of_it() -> None:
    cases = [Outcome(case_id=str(n), tags={"camera": "C1"} if n < 4 else {}) for n in range(10)]
    table = Table.of(cases, {}, min_cases=2)
    assert table.members([(0, 0)]).sum() == 4
