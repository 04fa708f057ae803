"""Compute a digest of the source that a model is built from, and report problems with its stored answers."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from segqa.plugin.decorators import fixture_functions
from segqa.plugin.option_parsing import find_checkpoint

if TYPE_CHECKING:
    from segqa.inference.spot_check import SpotCheck
    from segqa.plugin.session import Session
    from segqa.runs.run import Run

_OPTIONS = "model_options"
_IN_CI = 3


def digest_builder(session: Session, config: pytest.Config, name: str) -> str:
    """Return a digest of the source of a model's fixture, the fixtures that it requests, and the model's options.

    The options are included if a fixture requests them.
    """
    from segqa.models.source_digest import digest_source

    functions = list(_iterate_requested(session.models[name], fixture_functions(config)))
    source = digest_source(functions)
    if not source or not any(_OPTIONS in inspect.signature(function).parameters for function in functions):
        return source
    options = session.model_options(name)
    # as given: an absolute path would differ from machine to machine
    options |= find_checkpoint(name, session.options.get("checkpoint", ()), session.models)
    content = json.dumps(options, sort_keys=True, default=str)
    return hashlib.sha256(f"{source} {content}".encode()).hexdigest()[:16]


def _iterate_requested(
    function: Callable[..., Any], known: dict[str, list[Callable[..., Any]]]
) -> Iterator[Callable[..., Any]]:
    """Yield a fixture's function and those of all fixtures that it requests, directly or not."""
    waiting, asked = [function], set[str]()
    while waiting:
        one = waiting.pop()
        yield one
        new = [name for name in inspect.signature(one).parameters if name not in asked]
        asked |= set(new)
        waiting += [other for name in new for other in known.get(name, ())]


def read_spot_check(session: Session) -> SpotCheck:
    """Return for how many stored cases this session calls the model again."""
    from segqa.inference.spot_check import SpotCheck

    settings = session.settings
    if settings.spot_check is not None:
        return SpotCheck.for_all_cases(settings.spot_check, settings.spot_check_iou)
    in_ci = _IN_CI if session.ci else 0
    return SpotCheck(handwritten=in_ci, changed=max(1, in_ci), iou=settings.spot_check_iou)


def report_stored_answers(session: Session, run: Run) -> None:
    """Add problems with the stored answers of a run to the findings and warnings of a session, each once."""
    from segqa.inference.spot_check import StoredAnswers, judge_stored_answers

    findings, notes = judge_stored_answers(run, is_strict=session.ci)
    known = StoredAnswers.from_provenance(run.provenance)
    is_computed = run.provenance.get("fingerprint_computed", False)
    is_unchecked = known.stored and not known.asked and not known.stale
    if is_unchecked and session.settings.spot_check == 0 and not is_computed:
        notes.append(
            f"{run.model} has a fingerprint that is written by hand, and none of its {known.stored} stored answers is "
            "checked: spot_check = 0"
        )
    session.findings += [text for text in findings if text not in session.findings]
    session.warn(*notes)
