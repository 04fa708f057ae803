"""Refuse what is no model, before it is asked: one sentence in place of an error for each case."""

from __future__ import annotations

import inspect
from typing import Any

from segqa.errors import ModelError


def require_model(model: object) -> None:
    """Refuse what cannot be asked, or says things of itself that cannot be kept.

    Raises:
        ModelError: says what to write.
    """
    if model is None:
        raise ModelError("expected a model, got None: the function that builds it must end with `return model`")
    if isinstance(model, type):
        raise ModelError(f"model must be an object, got the class {model.__name__}; make one: {model.__name__}()")
    predict = getattr(model, "predict", None)
    if not callable(predict):
        raise ModelError(f"model must have a method predict(images, prompts), got {type(model).__name__}")
    _require_arguments(predict)
    _require_fingerprint(getattr(model, "fingerprint", None))
    _require_weights_bytes(getattr(model, "weights_bytes", None))


def _require_arguments(predict: Any) -> None:
    """Refuse a `predict` that does not take images and prompts; one that does not tell its arguments is called."""
    try:
        signature = inspect.signature(predict)
    except (TypeError, ValueError):
        return
    try:
        signature.bind([], [])
    except TypeError as error:
        raise ModelError(f"predict must take (images, prompts), got {signature}: {error}") from error


def _require_fingerprint(fingerprint: object) -> None:
    """Refuse a fingerprint that is no text: what a path, a number or bytes would stand for is not certain."""
    if fingerprint is None or isinstance(fingerprint, str):
        return
    kind = type(fingerprint).__name__
    if callable(fingerprint):
        raise ModelError(f"fingerprint must be a text, got a {kind}; make it a property, or call it")
    raise ModelError(
        f"fingerprint must be a text, got {fingerprint!r} of type {kind}; write "
        "segqa.fingerprint_of(model, PATH_OF_THE_WEIGHTS), or leave it away to keep nothing for later runs"
    )


def _require_weights_bytes(size: object) -> None:
    if size is not None and not isinstance(size, int):
        kind = type(size).__name__
        raise ModelError(f"weights_bytes must be a whole number of bytes, got {size!r} of type {kind}; write int(...)")
