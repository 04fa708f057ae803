"""Significance of rules where cases are independent of each other: exact tests, corrected for the search."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from segqa.analysis.failure_clusters.rule_lattice import FailureSamples, RuleLattice, RuleMatch
from segqa.data.mask import Mask
from segqa.models.protocol import Floats
from segqa.stats.hypergeometric import log_tail

SEED = 20240101

_PERMUTATIONS = 199
_FEWEST_PERMUTATIONS = 99
_WORK = 6_000_000_000


@dataclass(frozen=True, slots=True, eq=False)
class SearchCorrection:
    """Corrects the p-value of a rule for the search that found it.

    Attributes:
        best: the lowest `log_q` of a hit in each permutation; infinite where there was none.
        bound: add it to `log_q` for the logarithm of a p-value corrected by Bonferroni; infinite where a p-value is not
            exact, so that the bound does not hold.
        least: no corrected p-value is lower.
    """

    best: Floats
    bound: float
    least: float = 0.0

    @classmethod
    def from_matches(
        cls, hits: Sequence[RuleMatch], permutations: int, sizes: Sequence[int], kinds: int
    ) -> SearchCorrection:
        """Take the best of each permutation from the hits of all rows."""
        best = np.full(permutations + 1, np.inf)
        for hit in hits:
            best[hit.row] = min(best[hit.row], hit.log_q)
        return cls(best[1:], math.log(sum(size > 0 for size in sizes) * kinds))

    def correct(self, log_q: float) -> float:
        """Return the p-value corrected for all that was searched.

        The share of searches with a better best rule, counting this one; or Bonferroni's, which is never too small and
        goes below what a few hundred permutations can show.
        """
        by_permutation = (1 + int((self.best <= log_q).sum())) / (1 + len(self.best))
        return max(self.least, min(by_permutation, math.exp(min(0.0, log_q + self.bound))))


class SignificanceTest(Protocol):
    """A test of all rules of a lattice.

    Attributes:
        permutations: of the outcomes that are searched as well.
    """

    permutations: int

    def search(self) -> tuple[list[RuleMatch], SearchCorrection]:
        """Return the hits among the outcomes as they were, the first to be told first, and what corrects them."""

    def compute_log_p(self, inside: Mask, failed: Mask, among: Mask) -> float:
        """Return the logarithm of the p-value of one rule among some of the cases, not corrected.

        Args:
            inside: the cases that meet the rule, bool `[cases]`.
            failed: the failing cases.
            among: the cases that count.
        """


class IndependentTest:
    """Fisher's exact test, and permutations of the failing cases."""

    def __init__(self, lattice: RuleLattice, failed: Sequence[NDArray[np.int64]], cases: int) -> None:
        """Take the lattice, the places of the failing cases of each kind, and the number of cases."""
        self.permutations = _choose_permutations(len(lattice.levels), sum(map(len, failed)))
        self._lattice, self._failed, self._cases = lattice, failed, cases

    def search(self) -> tuple[list[RuleMatch], SearchCorrection]:
        """Search the outcomes and their permutations."""
        failing = FailureSamples.draw(self._failed, self._cases, self.permutations, SEED)
        hits = self._lattice.find_matches(failing)
        correction = SearchCorrection.from_matches(hits, self.permutations, self._lattice.sizes, len(failing.totals))
        return [hit for hit in hits if hit.row == 0], correction

    def compute_log_p(self, inside: Mask, failed: Mask, among: Mask) -> float:
        """Test one rule among some of the cases."""
        failing, support = np.array([(inside & among & failed).sum()]), np.array([(inside & among).sum()])
        return float(log_tail(failing, support, int((among & failed).sum()), int(among.sum()))[0])


def _choose_permutations(combinations: int, failures: int) -> int:
    """How many permutations are searched as well: fewer where each takes long."""
    return min(_PERMUTATIONS, max(_FEWEST_PERMUTATIONS, _WORK // max(1, combinations * failures)))
