from segqa.runs.outcome import Offer, Outcome
from segqa.scoring.metrics import Counts
from tests.outcomes import outcome_of


def offering(*counts: Counts, picked: int | None = 0) -> Outcome:
    offers = tuple(Offer(each, each) for each in counts)
    return Outcome(case_id="x", offers=offers, picked=picked, nothing=Counts(0, 0, 5, 5))


def test_the_best_is_the_first_of_equals() -> None:
    assert offering(Counts(1, 9, 0, 0), Counts(5, 1, 0, 0), Counts(5, 1, 0, 0)).best == 1


def test_rightly_nothing_is_better_than_anything() -> None:
    assert offering(Counts(0, 3, 0, 6), Counts(0, 0, 0, 9)).best == 1


def test_without_proposals_the_prediction_is_empty() -> None:
    outcome = offering(picked=None)
    assert outcome.best is None
    assert outcome.counts == outcome.oracle == Counts(0, 0, 5, 5)
    assert outcome.inside is None


def test_an_error_has_neither_counts_nor_an_oracle() -> None:
    outcome = outcome_of(None)
    assert outcome.status == "error"
    assert outcome.counts is outcome.oracle is None
