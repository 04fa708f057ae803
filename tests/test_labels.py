from segqa.labels import suspicious_labels
from segqa.metrics import Counts
from segqa.outcome import Outcome
from segqa.run import Run
from tests.outcomes import outcome_of

WRONG, GOOD, MISSED = Counts(0, 50, 50, 100), Counts(90, 5, 5, 100), Counts(0, 0, 90, 10)


def run_of(model: str, *outcomes: Outcome) -> Run:
    return Run(model, model, "photos", tuple(o.case_id for o in outcomes), outcomes, "product")


def test_a_case_that_all_models_fail_alike_is_suspicious() -> None:
    runs = [run_of(model, outcome_of(WRONG, "a"), outcome_of(GOOD, "b")) for model in ("unet", "hog")]
    (found,) = suspicious_labels(runs)
    assert str(found) == "check the label of a: wrong_object under both of hog, unet"
    assert found.best_iou == 0


def test_another_way_of_failing_or_one_success_clears_it() -> None:
    failed = run_of("unet", outcome_of(WRONG, "a"))
    assert not suspicious_labels([failed, run_of("hog", outcome_of(MISSED, "a"))])
    assert not suspicious_labels([failed, run_of("hog", outcome_of(WRONG, "a")), run_of("sam", outcome_of(GOOD, "a"))])


def test_one_model_alone_says_nothing() -> None:
    assert not suspicious_labels([run_of("unet", outcome_of(WRONG, "a"))])
    assert not suspicious_labels([run_of("unet", outcome_of(WRONG, "a")), run_of("unet", outcome_of(WRONG, "a"))])


def test_a_case_is_the_same_only_with_the_same_pixels() -> None:
    runs = [run_of("unet", outcome_of(WRONG, "a", digest="1")), run_of("hog", outcome_of(WRONG, "a", digest="2"))]
    assert not suspicious_labels(runs)


def test_an_error_is_passed_over() -> None:
    runs = [run_of("unet", outcome_of(WRONG, "a")), run_of("hog", outcome_of(WRONG, "a"))]
    assert len(suspicious_labels([*runs, run_of("sam", outcome_of(None, "a"))])) == 1
    assert not suspicious_labels([run_of("unet", outcome_of(None, "a")), run_of("hog", outcome_of(None, "a"))])
