import pytest

from segqa.support.environment import CI_VARIABLES, is_ci


@pytest.mark.parametrize(
    ("value", "expected"),
    [("true", True), ("1", True), ("woodpecker", True), ("", False), ("0", False), ("False", False)],
)
def test_ci_is_what_the_variable_says_and_not_that_it_is_there(
    value: str, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", value)
    assert is_ci() is expected


@pytest.mark.parametrize("name", CI_VARIABLES)
def test_a_variable_of_a_ci_system_stands_for_ci(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not is_ci()
    monkeypatch.setenv(name, "https://jenkins.example")
    assert is_ci()


@pytest.mark.parametrize("value", ["false", "0", ""])
def test_ci_that_is_set_to_false_wins_over_the_variable_of_a_ci_system(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JENKINS_URL", "https://jenkins.example")
    monkeypatch.setenv("CI", value)
    assert not is_ci()
