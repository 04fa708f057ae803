"""Read which fixtures of segqa a test requests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:  # numpy and OpenCV would load with them
    from segqa.runs.run import Run

MODEL_NAME = "_segqa_model_name"
"""The fixture that carries the model's name. The fixtures below `evaluation` have names that nobody else gives a
fixture: a user's own `model` must not be evaluated under the name of another."""
_RUN = "_segqa_run"
_DATASET = "_segqa_dataset"


def requests_model(item: pytest.Item) -> bool:
    """Return whether a test requests a model, directly or not."""
    return MODEL_NAME in getattr(item, "fixturenames", ())


def requests_model_or_dataset(item: pytest.Item) -> bool:
    """Return whether a test requests a model or the data set, directly or not."""
    return not {MODEL_NAME, _DATASET}.isdisjoint(getattr(item, "fixturenames", ()))


def requests_evaluation(item: pytest.Item) -> bool:
    """Return whether a test requests an evaluation, directly or not.

    A user's own fixture `evaluation` counts, too: it must not hide that a model was to be evaluated.
    """
    names = {*getattr(item, "fixturenames", ())}
    return _RUN in names or {MODEL_NAME, "evaluation"} <= names


def find_evaluation(item: pytest.Item) -> Run | None:
    """Return the run that a test requested as `evaluation`; None if it did not, or a user's fixture has that name."""
    given = getattr(item, "funcargs", {}).get("evaluation")
    if given is None:
        return None
    from segqa.runs.run import Run

    return given if isinstance(given, Run) else None
