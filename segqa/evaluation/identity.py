"""An identity is who answers: what a model's proposals depend on beside image and prompt."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from segqa.datasets.pictures import READER
from segqa.errors import ModelError
from segqa.store import Store


@dataclass(frozen=True, slots=True)
class Identity:
    """Who answers.

    Attributes:
        known: the model's own fingerprint; None if it has none.
        whole: what its proposals depend on beside image and prompt.
        weights_bytes: how large it is, if it says so.
        said: what it has to say of itself.
    """

    known: str | None
    whole: str
    weights_bytes: int | None
    said: Sequence[str]


def identify(model: object, name: str) -> Identity:
    """Who a model is.

    That two models say the same of themselves is no reason to share: the name and the class count, too, and so does how
    pictures are read.
    """
    kind, known = type(model), getattr(model, "fingerprint", None)
    fingerprint = str(known or f"unknown-{uuid.uuid4().hex}")
    whole = json.dumps([name, kind.__module__, kind.__qualname__, fingerprint, READER])
    said = [str(note) for note in getattr(model, "notes", ())]
    return Identity(known, whole, getattr(model, "weights_bytes", None), said)


def identity_kept(name: str, store: Store) -> Identity:
    """Who the model of the last finished run under a name was."""
    known = store.last_provenance(name)
    if known is None or not known.get("fingerprint"):
        why = "no finished run of it is kept" if known is None else "it has no fingerprint, so nothing is kept"
        raise ModelError(f"{name} cannot be scored again without the model: {why} in {store.root}")
    return Identity(known["fingerprint"], known["answers_of"], known.get("weights_bytes"), known["said"])
