"""A split keeps some cases out of training: by their place in the sorted list and a seed, the same on every machine."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from segqa.datasets.dataset import Dataset
from segqa.errors import DatasetError

HELD_OUT = 0.2
SEED = 42


def split(dataset: Dataset, *, held_out: float = HELD_OUT, seed: int = SEED) -> tuple[Dataset, Dataset]:
    """The cases to train on, and those held out, each sorted.

    The same cases as `sklearn.model_selection.train_test_split(cases, test_size=held_out, random_state=seed)` gives.

    Args:
        dataset: at least two cases.
        held_out: the share to hold out, between 0 and 1; rounded up to whole cases.
        seed: of the shuffle.

    Raises:
        DatasetError: one of the two parts would be empty.
    """
    train, test = split_indices(len(dataset), held_out=held_out, seed=seed)
    first, second = (replace(dataset, cases=dataset.cases.take(np.sort(part))) for part in (train, test))
    return first, second


def split_indices(count: int, *, held_out: float = HELD_OUT, seed: int = SEED) -> tuple[list[int], list[int]]:
    """The indices to train on and those held out, in the order that scikit-learn gives them.

    >>> split_indices(10)
    ([5, 0, 7, 2, 9, 4, 3, 6], [8, 1])
    """
    size = math.ceil(count * held_out) if 0 < held_out < 1 else 0
    if not 0 < size < count:
        raise DatasetError(f"cannot hold {held_out:g} of {count} cases out: both parts need a case")
    # the legacy generator on purpose: scikit-learn's own, whose sequence numpy guarantees not to change
    shuffled = np.random.RandomState(seed).permutation(count).tolist()
    return shuffled[size:], shuffled[:size]
