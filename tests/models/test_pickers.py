import numpy as np
import pytest

from segqa.errors import ProposalsError, SettingsError
from segqa.models.pickers import (
    PICKERS,
    Picker,
    agreement,
    box_score,
    find_picker,
    first,
    mask_score,
    product,
    sequential_agreement,
)
from segqa.models.protocol import Proposals

NAN = float("nan")


def offer(*scores: tuple[float, float]) -> Proposals:
    """Proposals with these (mask score, box score)."""
    table = np.array(scores, dtype=np.float64).reshape(-1, 2)
    count = len(table)
    return Proposals(np.zeros((count, 1, 1), np.bool_), table[:, 0], table[:, 1], np.zeros((count, 4)))


# the mannequin's mask is cleaner, the dancer is the surer person
MANNEQUIN_FIRST = offer((0.98, 0.41), (0.95, 0.88))


@pytest.mark.parametrize("name", PICKERS)
def test_of_nothing_nothing_is_picked(name: str) -> None:
    assert PICKERS[name](offer()) is None


@pytest.mark.parametrize("name", PICKERS)
def test_of_one_that_one_is_picked(name: str) -> None:
    assert PICKERS[name](offer((0.0, 0.0))) == 0


@pytest.mark.parametrize("name", PICKERS)
def test_unknown_scores_alone_still_give_an_index(name: str) -> None:
    assert PICKERS[name](offer((NAN, NAN), (NAN, NAN))) == 0


@pytest.mark.parametrize("picker", [mask_score, box_score, product, agreement, sequential_agreement])
def test_a_nan_never_wins(picker: object) -> None:
    assert callable(picker)
    assert picker(offer((NAN, NAN), (0.1, 0.1), (NAN, NAN))) == 1


@pytest.mark.parametrize("picker", [mask_score, box_score])
def test_a_nan_does_not_win_over_less_than_nothing(picker: Picker) -> None:
    assert picker(offer((NAN, NAN), (-0.5, -0.5))) == 1


def test_one_unknown_score_is_enough_to_lose_by_agreement() -> None:
    assert agreement(offer((NAN, 0.9), (0.1, 0.1))) == 1
    assert agreement(offer((0.9, NAN), (0.1, 0.1))) == 1


def test_a_product_is_no_sum() -> None:
    assert product(offer((0.9, 0.1), (0.45, 0.45))) == 1


def test_each_picker_looks_at_its_scores() -> None:
    offered = offer((0.9, 0.1), (0.1, 0.9), (0.6, 0.6))
    assert mask_score(offered) == 0
    assert box_score(offered) == 1
    assert product(offered) == 2
    assert first(offered) == 0


def test_the_mask_score_alone_takes_the_mannequin() -> None:
    assert mask_score(MANNEQUIN_FIRST) == 0
    assert product(MANNEQUIN_FIRST) == agreement(MANNEQUIN_FIRST) == 1


def test_agreement_sums_the_two_ranks() -> None:
    # ranks 3 + 0, 2 + 2, 1 + 1, 0 + 3: the second is best, whatever the sizes of the steps
    assert agreement(offer((9.0, 0.0), (0.3, 0.3), (0.2, 0.2), (0.1, 9.0))) == 1


def test_a_sum_of_ranks_counts_both_in_full() -> None:
    # ranks 2 + 1, 1 + 1, 0 + 0
    assert agreement(offer((0.9, 0.5), (0.5, 0.5), (0.1, 0.1))) == 0


def test_ranks_are_added_and_not_multiplied() -> None:
    # ranks 3 + 0, 1 + 1, 0 + 0, 2 + 0
    assert agreement(offer((0.9, 0.1), (0.5, 0.5), (0.1, 0.1), (0.7, 0.1))) == 0


def test_agreement_breaks_ties_by_the_product() -> None:
    assert agreement(offer((0.9, 0.1), (0.45, 0.45))) == 1
    assert agreement(offer((0.5, 0.1), (0.4, 0.9))) == 1
    assert agreement(offer((0.4, 0.9), (0.5, 0.1))) == 0


@pytest.mark.parametrize("scores", [(-3.0, -2.0), (0.5, -0.1), (-0.1, 0.9)])
def test_a_product_of_negative_scores_alone_is_refused(scores: tuple[float, float]) -> None:
    with pytest.raises(ProposalsError, match=r"product needs scores of 0 or more, got -1 × -1, .* pick by agreement"):
        product(offer((-1.0, -1.0), scores, (NAN, 0.5)))


def test_a_negative_score_never_wins_a_product() -> None:
    assert product(offer((-3.0, -2.0), (0.1, 0.1), (-0.01, 0.9), (0.2, 0.1))) == 3
    assert product(offer((-3.0, -2.0), (0.0, 0.9))) == 1


def test_of_one_known_proposal_that_one_is_the_product() -> None:
    assert product(offer((NAN, 0.5), (-3.0, -2.0))) == 1
    assert product(offer((-3.0, 0.5))) == 0


def test_a_product_of_two_negative_scores_breaks_no_tie() -> None:
    # both sums of ranks are 1; the products are 3 and -2
    assert agreement(offer((-3.0, -1.0), (1.0, -2.0))) == 1
    assert agreement(offer((1.0, -2.0), (-3.0, -1.0))) == 0


def test_exact_equals_go_to_the_first() -> None:
    assert agreement(offer((0.5, 0.5), (0.5, 0.5))) == 0


def test_sequential_agreement_moves_on_only_where_both_rise() -> None:
    assert sequential_agreement(offer((0.5, 0.5), (0.9, 0.4), (0.6, 0.6))) == 2
    assert sequential_agreement(offer((0.9, 0.4), (0.5, 0.5), (0.6, 0.6))) == 0
    assert sequential_agreement(offer((0.5, 0.5), (0.5, 0.9), (0.9, 0.5))) == 0


def test_an_unknown_picker_is_answered_with_the_nearest() -> None:
    with pytest.raises(SettingsError, match="unknown picker 'produkt'; did you mean 'product'"):
        find_picker("produkt")


def test_the_oracle_is_no_picker() -> None:
    with pytest.raises(SettingsError, match="looks at the target"):
        find_picker("oracle")
