import numpy as np
import pytest

from segqa.errors import ProposalsError
from segqa.evaluation.loop import _checked, prediction_of
from segqa.proposals import Proposals


@pytest.mark.parametrize("picked", [-1, 2, 99])
def test_a_pick_that_is_no_index_is_refused(picked: int) -> None:
    with pytest.raises(ProposalsError, match=f"answered {picked}, expected an index below 2"):
        _checked(picked, 2)


def test_a_prediction_without_a_pick_is_empty() -> None:
    assert not prediction_of(Proposals.none((4, 6)), None, (2, 3)).any()
    assert prediction_of(Proposals.single(np.ones((4, 6), np.bool_)), 0, (2, 3)).all()
