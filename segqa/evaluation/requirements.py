"""Refuse what is no model, before it is asked: one sentence in place of an error for each case."""

from __future__ import annotations

import inspect
from typing import Any

from segqa.errors import ModelError

_EXPECTED = "expected an object with a method predict(images, prompts)"


def require_model(model: object, name: str) -> None:
    """Refuse what cannot be asked, or says things of itself that cannot be kept.

    Args:
        model: what should be one.
        name: that it is evaluated under.

    Raises:
        ModelError: says what to write.
    """
    problem = (
        _find_problem(model)
        or _find_problem_of_predict(model)
        or _find_problem_of_fingerprint(getattr(model, "fingerprint", None))
        or _find_problem_of_size(getattr(model, "weights_bytes", None))
    )
    if problem:
        raise ModelError(f"model {name}: {problem}")


def _find_problem(model: object) -> str:
    if model is None:
        return "expected a model, got None: the function that builds it must end with `return model`"
    if isinstance(model, type):
        return f"{_EXPECTED}, got the class {model.__name__}; make one: {model.__name__}()"
    if not callable(getattr(model, "predict", None)):
        return f"{_EXPECTED}, got {type(model).__name__}"
    return ""


def _find_problem_of_predict(model: Any) -> str:
    """Return why `predict` does not take images and prompts; nothing of one that does not tell its arguments."""
    try:
        signature = inspect.signature(model.predict)
    except (TypeError, ValueError):
        return ""
    try:
        signature.bind([], [])
    except TypeError as error:
        return f"predict must take (images, prompts), got {signature}: {error}"
    return ""


def _find_problem_of_fingerprint(fingerprint: object) -> str:
    """Return why a fingerprint cannot be kept: what a path, a number or bytes would stand for is not certain."""
    if fingerprint is None or isinstance(fingerprint, str):
        return ""
    kind = type(fingerprint).__name__
    if callable(fingerprint):
        return f"fingerprint must be a text, got a {kind}; make it a property, or call it"
    return (
        f"fingerprint must be a text, got {fingerprint!r} of type {kind}; write "
        "segqa.fingerprint_of(model, PATH_OF_THE_WEIGHTS), or leave it away to keep nothing for later runs"
    )


def _find_problem_of_size(size: object) -> str:
    if size is None or isinstance(size, int):
        return ""
    return f"weights_bytes must be a whole number of bytes, got {size!r} of type {type(size).__name__}; write int(...)"
