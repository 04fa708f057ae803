"""An address is what stands behind the `#` of the review page: a run, a case, or a filter of its cases."""

from __future__ import annotations

import hashlib
from urllib.parse import urlencode

from segqa.runs.run import Run


def case_key(case_id: str) -> str:
    """Ten hex digits that stand for a case in an address: an id may hold anything.

    >>> case_key("Jazz C2 [270]")
    '292ac1510e'
    """
    return hashlib.sha256(case_id.encode()).hexdigest()[:10]


def link(number: int, **parameters: object) -> str:
    """The address of a filter or a case of the page's run with this number.

    >>> link(1, kind="missed")
    'run=1&kind=missed'
    """
    return urlencode({**({"run": number} if number else {}), **parameters})


def permalink(run: Run, case_id: str) -> str:
    """The address of a case of a run in any page that has the run, wherever it stands there."""
    return urlencode({"run": run.id, "case": case_key(case_id)})
