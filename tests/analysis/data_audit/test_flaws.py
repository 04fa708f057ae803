import pytest

from segqa.analysis.data_audit.flaws import Flaw, Flaws

WORDS = ("pytest", "suites", "--dataset=photos")


def test_a_story_lists_the_first_few_and_how_to_look_at_them() -> None:
    found = tuple(Flaw(f"c{index}", "is odd") for index in range(7))
    assert Flaws("are odd", found, 10, WORDS).story.splitlines() == [
        "7 of 10 cases are odd",
        *(f"  c{index}  is odd" for index in range(5)),
        "  … and 2 more",
        "  just these: pytest suites --dataset=photos --segqa-where 'id=c0 or id=c1 or id=c2 or id=c3 or id=c4'",
    ]


def test_the_command_means_the_other_case_as_well_and_quotes_what_is_odd() -> None:
    found = (Flaw("a b", "like c", "c"), Flaw("d", "like c", "c"))
    command = """pytest suites --segqa-where 'id='"'"'a b'"'"' or id=c or id=d'"""
    assert Flaws("are alike", found, 3).story.endswith(command)


def test_a_flaw_without_words_is_its_case() -> None:
    assert str(Flaw("c1")) == "c1"


@pytest.mark.parametrize(("count", "share"), [(0, 0.0), (1, 0.25), (4, 1.0)])
def test_flaws_are_true_where_there_are_any(count: int, share: float) -> None:
    flaws = Flaws("are odd", tuple(Flaw(str(index)) for index in range(count)), 4)
    assert bool(flaws) == (count > 0)
    assert flaws.share == share
    assert repr(flaws) == f"<{count} of 4 cases are odd>"
    assert ("just these" in flaws.story) == (count > 0)


def test_the_share_of_nothing_is_nothing() -> None:
    assert Flaws("are odd", (), 0).share == 0
