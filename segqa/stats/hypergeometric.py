"""Hypergeometric tail probabilities of failures in a slice (one-sided Fisher's exact test)."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from segqa.models.protocol import Floats

Whole: TypeAlias = NDArray[np.int64]

_NEGLIGIBLE = 1e-16


def compute_log_tail(failing: Whole, support: Whole, failing_all: int, cases: int) -> Floats:
    """Return the natural logarithm of P(X >= failing), X the hypergeometric failures among `support` drawn cases.

    Args:
        failing: failures in the slice, int `[n]`.
        support: cases in the slice, int `[n]`.
        failing_all: failures in all.
        cases: in all.

    >>> round(float(np.exp(compute_log_tail(np.array([2]), np.array([2]), 2, 4))[0]), 9)  # one of six pairs
    0.166666667
    """
    f, s = np.asarray(failing, dtype=np.float64), np.asarray(support, dtype=np.float64)
    low = np.maximum(0, s + failing_all - cases)
    top = np.minimum(s, failing_all)
    at = np.clip(f, low, top)
    first = (
        _compute_log_binomial(failing_all, at)
        + _compute_log_binomial(cases - failing_all, s - at)
        - _compute_log_binomial(np.float64(cases), s)
    )
    # so far below the mode that the sum has no room in a float, the tail is all there is
    with np.errstate(over="ignore", invalid="ignore"):
        tail = np.minimum(0.0, first + np.log(_sum_relative_terms(at, s, top, failing_all, cases)))
    return np.where(f > top, -np.inf, np.where(f <= low, 0.0, tail))


def find_fewest(support: Whole, failing_all: int, cases: int, log_p: float) -> Whole:
    """Return the fewest failures per support with a tail of at most `log_p`; one too many where there are none."""
    low = np.zeros_like(support)
    high = np.minimum(support, failing_all) + 1
    while (low < high).any():
        middle = (low + high) // 2
        rare = compute_log_tail(middle, support, failing_all, cases) <= log_p
        high = np.where(rare, middle, high)
        low = np.where(rare, low, np.minimum(middle + 1, high))
    return high


def _sum_relative_terms(at: Floats, s: Floats, top: Floats, failing_all: int, cases: int) -> Floats:
    """Return the sum of the probabilities from `at` to `top`, in units of the first one."""
    total, term, x = np.ones_like(at), np.ones_like(at), at.copy()
    # each term is the one before times a simple ratio; past the mode they shrink faster than geometrically
    while (x < top).any():
        term = np.where(x < top, term * (failing_all - x) * (s - x) / ((x + 1) * (cases - failing_all - s + x + 1)), 0)
        x = x + 1
        total += term
        if (term <= _NEGLIGIBLE * total).all():
            break
    return total


def _compute_log_binomial(n: float, k: Floats) -> Floats:
    """Return the logarithm of the binomial coefficient."""
    chosen: Floats = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
    return chosen
