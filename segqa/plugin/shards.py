"""Evaluate a shard of the cases in a session, without judging it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pytest

from segqa.errors import UsageError
from segqa.support.plurals import format_count

if TYPE_CHECKING:
    from segqa.data.subsets import Shard
    from segqa.plugin.session import Session

_OF_THE_WHOLE = ("update-baseline", "accept", "markdown", "openmetrics")
"""The options that need a verdict, which a shard has not."""


def read_shard(options: Mapping[str, Any]) -> Shard | None:
    """Return the shard on the command line; None for the whole data set.

    Raises:
        UsageError: there is no such shard, or another option needs the whole data set.
    """
    if "shard" not in options:
        return None
    from segqa.data.subsets import parse_shard

    shard = parse_shard(options["shard"])
    wrong = [f"--segqa-{name}" for name in _OF_THE_WHOLE if name in options]
    if wrong:
        raise UsageError(
            f"{' and '.join(wrong)} must be given for the whole, got --segqa-shard {shard}: merge the shards with "
            f"`segqa merge`, then `pytest … --segqa-run RUN {' '.join(wrong)}`"
        )
    return shard


def skip_in_shard(session: Session) -> None:
    """Skip a test that judges, if the session evaluates a shard."""
    if session.shard is not None:
        pytest.skip(f"shard {session.shard} is judged when it is merged with the others, see `segqa merge`")


def describe_shards(session: Session) -> Iterator[str]:
    """Yield the terminal's lines on the runs of a session that evaluates a shard."""
    for run in session.runs.values():
        whole = run.provenance["shard"]["cases"]
        cases = f"{len(run.expected)} of {format_count(whole, 'case')}"
        yield f"{run.title}, shard {session.shard}: {cases} ({run.tally}), not judged"
        if run.provenance.get("resumed_at") is not None:
            yield f"  resumed: {format_count(run.provenance['resumed_at'], 'case')} had been done before"
        if not run.expected:
            yield f"  no case falls into shard {session.shard}, which is nothing wrong: merge it with the others"
