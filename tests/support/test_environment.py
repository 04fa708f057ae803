import pytest

from segqa.support.environment import is_ci


@pytest.mark.parametrize(
    ("value", "expected"),
    [("true", True), ("1", True), ("woodpecker", True), ("", False), ("0", False), ("False", False)],
)
def test_ci_is_what_the_variable_says_and_not_that_it_is_there(
    value: str, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", value)
    assert is_ci() is expected
