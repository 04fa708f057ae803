import numpy as np
import pytest

from segqa.errors import ProposalsError
from segqa.evaluation.loop import _best, _checked, prediction_of
from segqa.metrics import Counts
from segqa.proposals import Proposals


def test_the_best_is_the_first_of_equals() -> None:
    assert _best([Counts(1, 9, 0, 0), Counts(5, 1, 0, 0), Counts(5, 1, 0, 0)]) == 1
    assert _best([]) is None


def test_rightly_nothing_is_better_than_anything() -> None:
    assert _best([Counts(0, 3, 0, 6), Counts(0, 0, 0, 9)]) == 1


@pytest.mark.parametrize("picked", [-1, 2, 99])
def test_a_pick_that_is_no_index_is_refused(picked: int) -> None:
    with pytest.raises(ProposalsError, match=f"answered {picked}, expected an index below 2"):
        _checked(picked, 2)


def test_a_prediction_without_a_pick_is_empty() -> None:
    assert not prediction_of(Proposals.none((4, 6)), None, (2, 3)).any()
    assert prediction_of(Proposals.single(np.ones((4, 6), np.bool_)), 0, (2, 3)).all()
