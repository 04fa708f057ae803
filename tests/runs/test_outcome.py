import traceback

import pytest

from segqa.errors import ModelError
from segqa.runs.outcome import Outcome, ProposalScore, find_exception_line
from segqa.scoring.metrics import Counts
from tests.outcomes import outcome_of


def offering(*counts: Counts, picked: int | None = 0) -> Outcome:
    offers = tuple(ProposalScore(each, each) for each in counts)
    return Outcome(case_id="x", proposal_scores=offers, picked=picked, empty_prediction=Counts(0, 0, 5, 5))


def test_the_best_is_the_first_of_equals() -> None:
    assert offering(Counts(1, 9, 0, 0), Counts(5, 1, 0, 0), Counts(5, 1, 0, 0)).best == 1


def test_rightly_nothing_is_better_than_anything() -> None:
    assert offering(Counts(0, 3, 0, 6), Counts(0, 0, 0, 9)).best == 1


def test_without_proposals_the_prediction_is_empty() -> None:
    outcome = offering(picked=None)
    assert outcome.best is None
    assert outcome.counts == outcome.oracle == Counts(0, 0, 5, 5)
    assert outcome.interior_counts is None


def test_an_error_has_neither_counts_nor_an_oracle() -> None:
    outcome = outcome_of(None)
    assert outcome.status == "error"
    assert outcome.counts is outcome.oracle is None


def fail(error: Exception, cause: Exception | None) -> None:
    raise error from cause


def traceback_of(error: Exception, cause: Exception | None = None) -> str:
    with pytest.raises(type(error)) as caught:
        fail(error, cause)
    return "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("no mask"), "ValueError: no mask"),
        (RuntimeError("CUDA error: no memory\nCompile with TORCH_USE_CUDA_DSA"), "RuntimeError: CUDA error: no memory"),
        (RuntimeError("loading UNet:\n\tmissing key x\n\tmissing key y"), "RuntimeError: loading UNet: missing key x"),
        (ValueError("\nno mask\n"), "ValueError: no mask"),
        (ValueError(), "ValueError"),
        (ModelError("no weights"), "ModelError: no weights"),
        (SyntaxError("bad", ("m.py", 1, 1, "x = (")), "SyntaxError: bad"),
    ],
)
def test_the_reason_is_the_line_that_names_the_exception(error: Exception, reason: str) -> None:
    assert outcome_of(None, error=traceback_of(error)).reason == reason
    assert find_exception_line("".join(traceback.format_exception_only(error))) == reason


def test_the_reason_is_that_of_the_last_exception_of_a_chain() -> None:
    text = traceback_of(ValueError("no box\nat all"), KeyError("x"))
    assert "KeyError: 'x'" in text
    assert find_exception_line(text) == "ValueError: no box"


@pytest.mark.parametrize("text", ["", "  ", "error in the baseline", "Traceback (most recent call last):"])
def test_a_text_that_is_no_traceback_is_its_own_reason(text: str) -> None:
    assert find_exception_line(text) in {text.strip(), ""}
