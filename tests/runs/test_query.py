import pytest
from hypothesis import given
from hypothesis import strategies as st

from segqa.errors import SettingsError
from segqa.runs.outcome import Outcome
from segqa.runs.outcomes import Outcomes
from segqa.runs.query import (
    And,
    Condition,
    Not,
    Or,
    Predicate,
    check_names,
    join_conditions,
    needs_pixels,
    parse_condition,
)

EDGES = {"brightness": (0.3, 0.6), "frame": (100.0, 200.0)}
CASE = Outcome(
    case_id="x",
    tags={"camera": "C2", "action": "Modern Jazz", "city": "yes", "night": "no", "frame": "00150"},
    properties={"brightness": 0.2, "target_area": 0.04},
)


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("camera=C2", True),
        ("camera=C3", False),
        ("camera != C3", True),
        ("camera!=C2", False),
        ("action='Modern Jazz'", True),
        ('action="Modern Jazz" and camera=C2', True),
        ("camera=C3 or brightness=dark", True),
        ("camera=C3 and brightness=dark or camera=C2", True),
        ("camera=C3 and (brightness=dark or camera=C2)", False),
        ("not camera=C3", True),
        ("not not camera=C3", False),
        ("tag:city", True),
        ("tag:night", False),
        ("tag:rain", False),
        ("tag:camera=C2", True),
        ("tag:brightness=dark", False),
        ("target_area<0.05", True),
        ("target_area >= 0.05", False),
        ("frame>149 and frame<=150", True),
        ("frame=medium", True),
        ("frame=00150", True),
        ("camera<3", False),
        ("sharpness=sharp", False),
        ("sharpness!=sharp", False),
        ("id=x", True),
        ("id!=x", False),
        ("id=y or id=x", True),
        ("tag:id=x", False),
    ],
)
def test_what_a_condition_means(text: str, *, holds: bool) -> None:
    assert parse_condition(text).holds(Outcomes.from_outcomes([CASE]), EDGES).tolist() == [holds]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "expected the name of a tag or a property, got the end"),
        ("camera", "expected '=' or another comparison, got the end"),
        ("camera=", "expected a value, got the end"),
        ("camera==C2", "expected a value, got '=C2'"),
        ("camera=C2 action=Jazz", "expected 'and', 'or' or the end, got 'action=Jazz'"),
        ("(camera=C2", "expected '\\)', got the end"),
        ("camera='C2", 'cannot read "\'C2"'),
        ("and=3", "expected the name of a tag or a property, got 'and=3'"),
        ("tag:", "expected the name of a tag, got the end"),
    ],
)
def test_what_is_no_condition_says_where(text: str, problem: str) -> None:
    with pytest.raises(SettingsError, match=problem):
        parse_condition(text)


words = st.text(min_size=1, max_size=8)
predicates = st.builds(Predicate, words, st.sampled_from(["=", "!=", "<", "<=", ">", ">="]), st.text(max_size=8))
conditions: st.SearchStrategy[Condition] = st.recursive(
    predicates | st.builds(Predicate, words, st.just("has")),
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(And, st.lists(inner, min_size=2, max_size=3).map(tuple)),
        st.builds(Or, st.lists(inner, min_size=2, max_size=3).map(tuple)),
    ),
    max_leaves=6,
)


@given(conditions)
def test_what_is_written_reads_as_it_was_meant(condition: Condition) -> None:
    again = parse_condition(str(condition))
    assert str(again) == str(condition)
    assert list(again.predicates()) == list(condition.predicates())
    case = Outcomes.from_outcomes([CASE])
    assert again.holds(case, EDGES) == condition.holds(case, EDGES)


def test_both_of_two_conditions() -> None:
    assert join_conditions("a=1 or b=2", "c=3") == "(a=1 or b=2) and c=3"
    assert join_conditions("", "c = 3") == "c=3"
    assert join_conditions("", "") == ""


def test_unknown_names_are_answered_with_the_nearest() -> None:
    with pytest.raises(SettingsError, match="no case has a tag or property 'camra'; did you mean 'camera'"):
        check_names(parse_condition("camra=C2"), [CASE], EDGES)
    with pytest.raises(SettingsError, match="no case has camera=C3; known: C2"):
        check_names(parse_condition("camera=C3"), [CASE], EDGES)
    with pytest.raises(
        SettingsError, match="no case has a tag 'brightness'; known: action, camera, city, frame, night"
    ):
        check_names(parse_condition("tag:brightness=dark"), [CASE], EDGES)
    with pytest.raises(SettingsError, match="compares with 'dark'; expected a number"):
        check_names(parse_condition("brightness<dark"), [CASE], EDGES)
    check_names(parse_condition("camera=C3"), [CASE], EDGES, values=False)
    check_names(parse_condition("tag:city and frame<3 and brightness=dark"), [CASE], EDGES)


def test_pixels_are_needed_for_properties_alone() -> None:
    assert needs_pixels(parse_condition("camera=C2 and brightness=dark"), ["camera"])
    assert not needs_pixels(parse_condition("camera=C2 or tag:brightness=dark"), ["camera"])
    assert not needs_pixels(parse_condition("brightness=dark"), ["brightness"])


def test_an_unknown_id_names_the_nearest() -> None:
    cases = [Outcome(case_id=f"Jazz_C2_{index:03}") for index in range(50)]
    with pytest.raises(SettingsError, match="no case has id=Jazz_C2_05O; did you mean 'Jazz_C2_0"):
        check_names(parse_condition("id=Jazz_C2_05O"), cases, {})
    with pytest.raises(SettingsError, match="… and 20 more"):
        check_names(parse_condition("id=zzz"), cases, {})
