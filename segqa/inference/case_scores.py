"""Score the proposals of a case against its target; the scores hold for every picker, so they are cached."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from segqa.data.case import Target
from segqa.data.image_io import READER
from segqa.data.mask import Mask, resize_nearest
from segqa.errors import ProposalsError
from segqa.models.protocol import Proposals
from segqa.runs.outcome import ProposalScore
from segqa.runs.outcome_columns import to_numbers
from segqa.scoring.error_breakdown import Breakdown, break_down
from segqa.scoring.metrics import METRIC_VERSION, Counts, TargetCounter
from segqa.support.escaping import to_utf8


@dataclass(frozen=True, slots=True)
class CaseScores:
    """The part of an outcome that needs pixels.

    Attributes:
        proposal_scores: one for each proposal; with an error breakdown where one was requested so far.
        empty_prediction: an empty prediction against the target.
        seconds: that the answer took.
        note: something odd about the target.
    """

    proposal_scores: tuple[ProposalScore, ...]
    empty_prediction: Counts
    seconds: float
    note: str = ""

    @classmethod
    def from_proposals(cls, proposals: Proposals, target: Target, seconds: float) -> CaseScores:
        """Count proposals against a target, at the target's size.

        Raises:
            ProposalsError: the masks have another size, and not as if scaled.
        """
        counter = TargetCounter.from_target(target.mask)
        scored = zip(proposals.masks, proposals.mask_scores, proposals.box_scores, strict=True)
        scores = tuple(
            ProposalScore(*counter.count(fit_mask(mask, target.mask)), _number(mask_score), _number(box_score))
            for mask, mask_score, box_score in scored
        )
        wanted = counter.areas[0]
        return cls(scores, Counts(0, 0, wanted, target.mask.size - wanted), seconds, target.note)

    @property
    def scores(self) -> Proposals:
        """The proposals for a picker that uses scores alone: their masks have no pixels."""
        count = len(self.proposal_scores)
        found = [[each.mask_score, each.box_score] for each in self.proposal_scores]
        table = np.array(found, np.float64).reshape(count, 2)
        return Proposals(np.empty((count, 0, 0), np.bool_), table[:, 0], table[:, 1], np.full((count, 4), np.nan))

    def lacks(self, picked: int | None, threshold: float) -> bool:
        """Return whether the picked proposal is below the threshold and has no error breakdown yet."""
        if picked is None:
            return False
        score = self.proposal_scores[picked]
        return score.breakdown is None and score.counts.iou < threshold

    def break_down(self, picked: int, mask: Mask, target: Mask) -> CaseScores:
        """Return the scores with the error breakdown of a proposal, given its mask."""
        # many times as slow as counting, so only for the picked proposal
        wrong = break_down(fit_mask(mask, target), target)
        scores = [
            replace(each, breakdown=wrong) if at == picked else each for at, each in enumerate(self.proposal_scores)
        ]
        return replace(self, proposal_scores=tuple(scores))

    def select_scores(self, picked: int | None, threshold: float) -> tuple[ProposalScore, ...]:
        """Return the scores for an outcome: only the picked one has a breakdown, if it is below the threshold."""
        return tuple(
            each
            if each.breakdown is None or (at == picked and each.counts.iou < threshold)
            else replace(each, breakdown=None)
            for at, each in enumerate(self.proposal_scores)
        )

    def pack(self) -> bytes:
        """Pack the scores for a file. Compression saves little; its checksum reveals damage."""
        scores = [to_numbers(score) for score in self.proposal_scores]
        content = [self.empty_prediction.fn, self.empty_prediction.tn, self.note, scores]
        return zlib.compress(to_utf8(json.dumps(content, ensure_ascii=False)).encode(), level=1)

    @classmethod
    def unpack(cls, packed: bytes, seconds: float) -> CaseScores:
        """Unpack what `pack` returned.

        Raises:
            ProposalsError: it is damaged.
        """
        try:
            wanted, rest, note, scores = json.loads(zlib.decompress(packed))
        except (zlib.error, TypeError) as error:
            raise ProposalsError(f"a tally is damaged: {error}") from error
        return cls(tuple(map(_from_numbers, scores)), Counts(0, 0, wanted, rest), seconds, note)


def digest_target(digest: bytes) -> bytes:
    """16 bytes for a target that was read and counted as it is here and now.

    Args:
        digest: of the target.
    """
    return hashlib.sha256(digest + f" {METRIC_VERSION} {READER}".encode()).digest()[:16]


def fit_mask(mask: Mask, target: Mask) -> Mask:
    """The mask at the target's size. What looks like a slip, and not like another resolution, is refused."""
    height, width = target.shape
    require_scalable(mask.shape, (height, width))
    return resize_nearest(mask, (height, width))


def require_scalable(shape: tuple[int, ...], wanted: tuple[int, int]) -> None:
    """Refuse masks that are cut, turned or empty, and not just of another resolution than their image.

    Args:
        shape: height and width of the masks.
        wanted: those of the image.

    Raises:
        ProposalsError: says what has happened to them.
    """
    height, width = shape
    if not height * width:
        raise ProposalsError(f"masks must have the image's size {wanted}, got {shape}: no pixel")
    one_side = (height == wanted[0]) != (width == wanted[1])
    # square ones are left alone: so many networks answer whatever the image's shape
    if height != width and (one_side or shape == wanted[::-1]):
        slip = "one side is cut" if one_side else "height and width are exchanged"
        raise ProposalsError(f"masks must have the image's size {wanted}, or be it scaled; got {shape}: {slip}")


def _from_numbers(numbers: Sequence[Any]) -> ProposalScore:
    """An offer from what `to_numbers` makes of it."""
    wrong = Breakdown(*numbers[10:]) if len(numbers) > 10 else None
    return ProposalScore(Counts(*numbers[2:6]), Counts(*numbers[6:10]), numbers[0], numbers[1], wrong)


def _number(score: float) -> float | None:
    """A score as a plain float; None where it is NaN."""
    return None if np.isnan(score) else float(score)
