"""Every way to a false green ends red, or green with a line that names what is off."""

from __future__ import annotations

import pytest

from tests.false_green.listed import WAYS
from tests.false_green.table import PAGE, render
from tests.false_green.trial import COLLAPSED, SHRUNK, Edit, Trial
from tests.false_green.way import Way

PARAMETERS = [
    pytest.param(way, id=f"{way.category}: {way.name}".replace(" ", "_"), marks=[pytest.mark.slow] if way.slow else [])
    for way in WAYS
]


@pytest.mark.parametrize("way", PARAMETERS)
def test_no_way_ends_green_in_silence(trial: Trial, way: Way) -> None:
    ending = way.attempt(trial)
    print(ending.text)  # noqa: T201 - shown where the test fails
    assert ending.code == way.code
    assert way.is_said(ending.text)


@pytest.mark.parametrize("edit", [SHRUNK, COLLAPSED], ids=["shrunk", "collapsed"])
def test_of_a_worse_model_only_the_gate_sees_that_it_is_worse(trial: Trial, edit: Edit) -> None:
    trial.make_worse(edit)
    ending = trial.run("-rf")
    assert ending.code == 1
    assert "1 failed, 6 passed" in ending.text


def test_the_good_model_is_green_and_nothing_that_is_off_is_named(trial: Trial) -> None:
    trial.commit()
    ending = trial.run()
    assert ending.code == 0
    assert [way.name for way in WAYS if way.is_said(ending.text)] == []


def test_no_name_is_there_twice() -> None:
    assert len({(way.category, way.name) for way in WAYS}) == len(WAYS)


def test_the_page_lists_every_way() -> None:
    assert PAGE.read_text(encoding="utf-8") == render()
