"""Identify a model: everything that its proposals depend on beside image and prompt."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile
from typing import Any

from segqa.data.image_io import READER
from segqa.errors import ModelError
from segqa.models.fingerprint import PartialFingerprint, is_computed
from segqa.models.object_state import find_code
from segqa.models.source_digest import digest_source
from segqa.runs.provenance import read_changes
from segqa.runs.store import Store
from segqa.support.git import Changes


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """Who answers.

    Attributes:
        known: the model's own fingerprint; None if it has none.
        whole: what its proposals depend on beside image and prompt.
        weights_bytes: how large it is, if it says so.
        said: what it has to say of itself.
        taken_from: the id of the run that says so, where the model itself is not there.
        source: a digest of what builds it and one of its class, with a dot between; either may be empty.
        is_computed: whether `segqa.fingerprint_of` has made the fingerprint of this model.
        served: name and fingerprint of the model that answers behind it; empty where it answers itself.
        changes: the uncommitted changes of the run that it is taken from; None where git did not know its work tree.
    """

    known: str | None
    whole: str
    weights_bytes: int | None
    said: Sequence[str]
    taken_from: str = ""
    source: str = ""
    is_computed: bool = False
    served: Mapping[str, str] = field(default_factory=dict)
    changes: Changes | None = field(default_factory=Changes)

    def is_of_other_source(self, stored: str) -> bool:
        """Return whether answers were stored from other source; what one of the two does not know is no difference."""
        pairs = zip(self.source.split("."), stored.split("."), strict=False)
        return any(here and there and here != there for here, there in pairs)


def identify(model: object, name: str, built_by: str = "") -> ModelIdentity:
    """Who a model is.

    That two models say the same of themselves is no reason to share: the name and the class count, too, and so does how
    pictures are read.

    Args:
        model: the model.
        name: that it is evaluated under.
        built_by: a digest of the source of what has built it; empty where that is not known.
    """
    kind, known = type(model), getattr(model, "fingerprint", None)
    fingerprint = str(known or f"unknown-{uuid.uuid4().hex}")
    whole = json.dumps([name, kind.__module__, kind.__qualname__, fingerprint, READER])
    notes = getattr(model, "notes", ())
    said = [notes] if isinstance(notes, str) else [str(note) for note in notes]
    said += [known.note] if isinstance(known, PartialFingerprint) else []
    # a computed fingerprint counts what it was given, and nothing else
    source = f"{built_by}.{_digest_source(model)}" if known else ""
    weights, served = getattr(model, "weights_bytes", None), getattr(model, "served", {})
    return ModelIdentity(known, whole, weights, said, "", source, is_computed(model), served)


def _digest_source(model: object) -> str:
    """Return a digest of the source of a model's class, and of the classes of what it holds."""
    return digest_source([type(model), *find_code(model)])


def read_stored_identity(name: str, store: Store, built_by: str = "") -> ModelIdentity:
    """Return who the model of the last finished run under a name was.

    Args:
        name: of the model.
        store: where its runs are.
        built_by: a digest of the source of what builds the model today, as in `identify`.

    Raises:
        ModelError: there is no such run, its model has no fingerprint, or it may not be the model that is meant: a
            newer run of another one is not finished, or the run was copied here after another one was made here.
    """
    headers = [(run_id, header) for run_id, header in store.read_headers(name) if "answers_of" in _provenance(header)]
    found = next(((run_id, header) for run_id, header in headers if header["finished"]), None)
    if found is None:
        raise ModelError(
            f"{name} cannot be scored again without the model: no finished run of it is kept in {store.root}"
        )
    run_id, header = found
    who = get_identity(run_id, _provenance(header), store)
    who = replace(who, source=f"{built_by}.")
    newer = takewhile(lambda each: each[0] != run_id, headers)
    # only an evaluation has a key that another one could go on with
    made_here = [each for each in headers if each[1]["finished"] and each[1]["key"]]
    for other, about in [*newer, *(made_here[:1] if not header["key"] else [])]:
        if _provenance(about)["answers_of"] != who.whole:
            why = "was copied here after" if about["finished"] else "is older than"
            state = "made here" if about["finished"] else "begun and not finished"
            raise ModelError(
                f"{name} cannot be scored again: its last finished run {run_id} {why} run {other} of another model was "
                f"{state}, so segqa cannot tell which one is meant; evaluate once without --segqa-rescore, or remove "
                f"the run that is not meant from {store.root / 'runs'}"
            )
    return who


def get_identity(run_id: str, provenance: Mapping[str, Any], store: Store) -> ModelIdentity:
    """Return who the model of a run was, by the run's provenance.

    Raises:
        ModelError: it has no fingerprint, so none of its proposals are kept.
    """
    known = provenance.get("fingerprint")
    if not known or "answers_of" not in provenance:
        why = f"it has no fingerprint, so nothing is kept in {store.root}"
        raise ModelError(f"the model of run {run_id} cannot be scored again: {why}")
    weights, said = provenance.get("weights_bytes"), provenance.get("said", ())
    source, computed = provenance.get("source", ""), provenance.get("fingerprint_computed", False)
    answers_of, served = provenance["answers_of"], provenance.get("served", {})
    changes = read_changes(provenance)
    return ModelIdentity(known, answers_of, weights, said, run_id, source, computed, served, changes)


def _provenance(header: Mapping[str, Any]) -> Mapping[str, Any]:
    """The provenance in a run's header."""
    found: Mapping[str, Any] = header["run"]["provenance"]
    return found
