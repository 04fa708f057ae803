"""Test the significance of rules for independent cases: exact tests, corrected for the search."""

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
from segqa.stats.hypergeometric import compute_log_tail

SEED = 20240101

_PERMUTATIONS = 199
_FEWEST_PERMUTATIONS = 99
_WORK = 6_000_000_000


@dataclass(frozen=True, slots=True, eq=False)
class SearchCorrection:
    """Correct the p-value of a rule for the search that found it.

    Attributes:
        best: lowest `log_q` of each permutation; infinite if it has no match.
        bound: added to `log_q` to get the logarithm of the Bonferroni-corrected p-value; infinite if p-values are not
            exact, since the bound does not hold then.
        least: lower limit of corrected p-values.
    """

    best: Floats
    bound: float
    least: float = 0.0

    @classmethod
    def from_matches(
        cls, hits: Sequence[RuleMatch], permutations: int, sizes: Sequence[int], kinds: int
    ) -> SearchCorrection:
        """Take the best of each permutation from the matches of all rows."""
        best = np.full(permutations + 1, np.inf)
        for hit in hits:
            best[hit.row] = min(best[hit.row], hit.log_q)
        return cls(best[1:], math.log(sum(size > 0 for size in sizes) * kinds))

    def correct(self, log_q: float) -> float:
        """Return the p-value corrected for the search.

        This is the smaller of the permutation p-value (the share of searches with a best rule as good, counting this
        one) and the Bonferroni p-value, which is conservative and can be lower than a few hundred permutations allow.
        """
        by_permutation = (1 + int((self.best <= log_q).sum())) / (1 + len(self.best))
        return max(self.least, min(by_permutation, math.exp(min(0.0, log_q + self.bound))))


class SignificanceTest(Protocol):
    """A test of all rules of a lattice.

    Attributes:
        permutations: number of permuted outcomes that are searched as well.
    """

    permutations: int

    def search(self) -> tuple[list[RuleMatch], SearchCorrection]:
        """Return the matches in the observed outcomes by rank, and the correction of their p-values."""

    def compute_log_p(self, inside: Mask, failed: Mask, among: Mask) -> float:
        """Return the logarithm of the uncorrected p-value of one rule among some cases.

        Args:
            inside: the cases that match the rule, bool `[cases]`.
            failed: the failing cases, bool `[cases]`.
            among: the cases that count, bool `[cases]`.
        """


class IndependentTest:
    """Fisher's exact test with permutations of the failing cases."""

    def __init__(self, lattice: RuleLattice, failed: Sequence[NDArray[np.int64]], cases: int) -> None:
        """Prepare the test of a lattice from the indices of the failing cases of each kind and the number of cases."""
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
        return float(compute_log_tail(failing, support, int((among & failed).sum()), int(among.sum()))[0])


def _choose_permutations(combinations: int, failures: int) -> int:
    """Choose the number of permutations: fewer if each takes long."""
    return min(_PERMUTATIONS, max(_FEWEST_PERMUTATIONS, _WORK // max(1, combinations * failures)))
