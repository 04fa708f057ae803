import pytest

from segqa.failures import kind_of, recoverable
from segqa.metrics import Counts
from segqa.outcomes.outcomes import Outcomes
from tests.outcomes import NOTHING, outcome_of


@pytest.mark.parametrize(
    ("counts", "inside", "kind"),
    [
        pytest.param(None, None, "error", id="error"),
        pytest.param(Counts(0, 5, 0, 5), None, "hallucinated", id="something where nothing is"),
        pytest.param(Counts(0, 0, 0, 9), None, None, id="rightly nothing"),
        pytest.param(Counts(0, 0, 5, 5), None, "missed", id="nothing where something is"),
        pytest.param(Counts(0, 50, 50, 5), None, "wrong_object", id="disjoint"),
        pytest.param(Counts(4, 50, 46, 5), None, "wrong_object", id="IoU just below 0.05"),
        pytest.param(Counts(70, 15, 15, 0), None, None, id="exactly at the threshold"),
        pytest.param(Counts(50, 50, 0, 0), None, "merged", id="half of it right"),
        pytest.param(Counts(50, 0, 50, 0), None, "partial", id="half of it found"),
        pytest.param(Counts(50, 50, 50, 0), None, "merged", id="merged comes before partial"),
        pytest.param(Counts(65, 20, 20, 0), Counts(30, 1, 1, 0), "boundary", id="right inside"),
        pytest.param(Counts(65, 20, 20, 0), Counts(0, 0, 0, 9), "boundary", id="too thin to have an inside"),
        pytest.param(Counts(65, 20, 20, 0), Counts(30, 20, 10, 0), "low", id="wrong inside"),
    ],
)
def test_the_first_kind_that_matches_counts(counts: Counts | None, inside: Counts | None, kind: str | None) -> None:
    assert kind_of(outcome_of(counts, inside=inside or NOTHING), threshold=0.7) == kind


def test_recoverable_is_a_failure_whose_oracle_meets_the_threshold() -> None:
    good, bad = Counts(9, 0, 0, 9), Counts(0, 9, 9, 9)
    cases = [outcome_of(bad, oracle=good), outcome_of(bad, oracle=bad), outcome_of(good, oracle=good), outcome_of(None)]
    assert recoverable(Outcomes.of(cases), 0.7).tolist() == [True, False, False, False]
