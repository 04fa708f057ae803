"""An outcome is what became of a case: its counts, what was picked, how long it took, or why it could not be scored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from segqa.metrics import Counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one case. Counts are at the target's own size.

    Attributes:
        case_id: the case.
        prompt: what the model was asked for.
        tags: the case's tags.
        digest: hex, changes when image or target do.
        proposals_key: hex, under which the proposals are kept; empty for an error.
        proposals: how many the model offered.
        picked: which of them is the prediction; None where there was none.
        best: which of them has the highest IoU (what an oracle would pick); None where there was none.
        counts: the prediction against the target; None for an error.
        inside: the same away from the target's contour, see `metrics.count_inside`; None for an error.
        oracle: the best proposal against the target; None for an error.
        mask_score: the picked proposal's, None where unknown.
        box_score: the picked proposal's, None where unknown.
        seconds: inference, the case's part of its batch; as it was then if the proposals come from the store.
        cached: whether the proposals come from the store.
        note: something odd that did not stop the case.
        error: the traceback; empty where all went well.
    """

    case_id: str
    prompt: str = ""
    tags: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    digest: str = ""
    proposals_key: str = ""
    proposals: int = 0
    picked: int | None = None
    best: int | None = None
    counts: Counts | None = None
    inside: Counts | None = None
    oracle: Counts | None = None
    mask_score: float | None = None
    box_score: float | None = None
    seconds: float = 0.0
    cached: bool = False
    note: str = ""
    error: str = ""

    @property
    def status(self) -> str:
        """`"ok"` or `"error"`."""
        return "error" if self.error else "ok"

    @property
    def reason(self) -> str:
        """The last line of the traceback, without the module in front; empty where all went well."""
        return self.error.strip().rpartition("\n")[2].removeprefix("segqa.errors.")
