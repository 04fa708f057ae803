from dataclasses import replace

from segqa.analysis.label_errors import find_label_errors
from segqa.runs.outcome import Outcome
from segqa.runs.run import Run
from segqa.scoring.metrics import Counts
from tests.outcomes import outcome_of

WRONG, GOOD, MISSED = Counts(0, 50, 50, 100), Counts(90, 5, 5, 100), Counts(0, 0, 90, 10)


def make_run(model: str, *outcomes: Outcome) -> Run:
    return Run(model, model, "photos", tuple(o.case_id for o in outcomes), outcomes, "product")


def test_a_case_that_all_models_fail_alike_is_suspicious() -> None:
    runs = [make_run(model, outcome_of(WRONG, "a"), outcome_of(GOOD, "b")) for model in ("unet", "hog")]
    (found,) = find_label_errors(runs)
    assert str(found) == "check the label of a: wrong_object under both of hog, unet"
    assert found.best_iou == 0


def test_another_way_of_failing_or_one_success_clears_it() -> None:
    failed = make_run("unet", outcome_of(WRONG, "a"))
    assert not find_label_errors([failed, make_run("hog", outcome_of(MISSED, "a"))])
    assert not find_label_errors(
        [failed, make_run("hog", outcome_of(WRONG, "a")), make_run("sam", outcome_of(GOOD, "a"))]
    )


def test_one_model_alone_says_nothing() -> None:
    assert not find_label_errors([make_run("unet", outcome_of(WRONG, "a"))])
    assert not find_label_errors([make_run("unet", outcome_of(WRONG, "a")), make_run("unet", outcome_of(WRONG, "a"))])


def test_a_case_is_the_same_only_with_the_same_pixels() -> None:
    runs = [make_run("unet", outcome_of(WRONG, "a", digest="1")), make_run("hog", outcome_of(WRONG, "a", digest="2"))]
    assert not find_label_errors(runs)


def test_an_error_is_passed_over() -> None:
    runs = [make_run("unet", outcome_of(WRONG, "a")), make_run("hog", outcome_of(WRONG, "a"))]
    assert len(find_label_errors([*runs, make_run("sam", outcome_of(None, "a"))])) == 1
    assert not find_label_errors([make_run("unet", outcome_of(None, "a")), make_run("hog", outcome_of(None, "a"))])


def make_provenance(name: str, fingerprint: str) -> dict[str, dict[str, str]]:
    return {"served": {"name": name, "fingerprint": fingerprint}}


def test_a_model_and_the_same_model_over_http_are_one_witness() -> None:
    here = replace(make_run("unet", outcome_of(WRONG, "a")), provenance={"fingerprint": "1"})
    for about in (make_provenance("unet", "1"), make_provenance("unet", ""), make_provenance("unet-of-yesterday", "1")):
        there = replace(make_run("http", outcome_of(WRONG, "a")), provenance={"fingerprint": "of http", **about})
        assert not find_label_errors([here, there])
        assert not find_label_errors([there, here])
        both = find_label_errors([here, there, make_run("hog", outcome_of(WRONG, "a"))])
        assert str(both[0]).startswith("check the label of a: wrong_object under both of ")


def test_another_served_model_is_a_witness_of_its_own() -> None:
    here = replace(make_run("unet", outcome_of(WRONG, "a")), provenance={"fingerprint": "1"})
    there = replace(
        make_run("http", outcome_of(WRONG, "a")), provenance={"fingerprint": "x", **make_provenance("hog", "2")}
    )
    assert len(find_label_errors([here, there])) == 1


def test_two_models_with_one_handwritten_fingerprint_are_two() -> None:
    runs = [
        replace(make_run(name, outcome_of(WRONG, "a")), provenance={"fingerprint": "v1"}) for name in ("unet", "hog")
    ]
    assert len(find_label_errors(runs)) == 1
