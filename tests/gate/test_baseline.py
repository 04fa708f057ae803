import gc
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from segqa.errors import BaselineError
from segqa.gate.baseline import describe_unchecked, get_baseline_path, read_baseline, write_baseline
from segqa.gate.comparison import compare
from segqa.runs.outcome import Outcome, ProposalScore
from segqa.runs.run import Run
from segqa.scoring.error_breakdown import Breakdown
from segqa.scoring.metrics import Counts
from tests.gate.paired_runs import run_of


def mixed() -> Run:
    """A run with every sort of outcome."""
    right, wrong, nothing = Counts(8, 1, 2, 9), Counts(0, 9, 10, 1), Counts(0, 0, 10, 10)
    outcomes = (
        Outcome(case_id="a", tags={"z": "1", "b": "é"}, digest="1", empty_prediction=nothing),
        Outcome(
            case_id="b",
            digest="2",
            empty_prediction=nothing,
            proposal_scores=(ProposalScore(wrong, wrong), ProposalScore(right, right)),
            picked=0,
        ),
        Outcome(
            case_id="c", digest="3", empty_prediction=nothing, proposal_scores=(ProposalScore(right, right),), picked=0
        ),
        Outcome(case_id="d", digest="4", error="Traceback\nValueError: no"),
        Outcome(case_id="e", digest="5", empty_prediction=Counts(0, 0, 0, 20)),
        Outcome(
            case_id="x\u2028y",
            digest="6",
            empty_prediction=nothing,
            proposal_scores=(ProposalScore(wrong, wrong),),
            picked=0,
        ),
    )
    return Run("r", "unet", "photos", tuple(o.case_id for o in outcomes), outcomes, "product")


def test_every_score_comes_back_exactly(tmp_path: Path) -> None:
    run, path = mixed(), tmp_path / "unet.jsonl"
    write_baseline(path, run)
    again = read_baseline(path)
    assert again.ious.tolist() == run.ious.tolist()
    assert again.kinds() == run.kinds()
    assert (again.oracle_iou, again.regret, again.tally) == (run.oracle_iou, run.regret, run.tally)
    assert [again.recoverable(o) for o in again.outcomes] == [run.recoverable(o) for o in run.outcomes]
    assert compare(again, run).identical


def test_the_same_outcomes_give_the_same_bytes(tmp_path: Path) -> None:
    run = mixed()
    other = replace(run, id="later", outcomes=tuple(replace(o, seconds=9.0, cached=True) for o in run.outcomes[::-1]))
    write_baseline(tmp_path / "a", run)
    write_baseline(tmp_path / "b", other)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    rows = (tmp_path / "a").read_text(encoding="utf-8").partition("\n")[2]
    assert "." not in rows


def test_it_is_kept_by_data_set_and_model() -> None:
    run = run_of([0.9])
    assert get_baseline_path(Path("baselines"), run) == Path("baselines/photos/unet.jsonl")
    held_out = replace(run, provenance={"options": {"held-out": True}})
    assert get_baseline_path(Path("baselines"), held_out) == Path("baselines/photos-held-out/unet.jsonl")


def broken_down(numbers: tuple[int, ...]) -> Run:
    counts = Counts(65, 0, 35, 100)
    offer = ProposalScore(counts, Counts(30, 0, 0, 0), breakdown=Breakdown(*(*numbers, 100)))
    outcome = Outcome(
        case_id="a", digest="1", empty_prediction=Counts(0, 0, 100, 100), proposal_scores=(offer,), picked=0
    )
    return Run("r", "unet", "photos", ("a",), (outcome,), "product")


def test_breakdowns_come_back_and_with_them_the_kinds(tmp_path: Path) -> None:
    for numbers, kind in (((0, 0, 0, 30, 5, 0), "boundary"), ((0, 0, 0, 5, 30, 0), "low")):
        run = broken_down(numbers)
        write_baseline(tmp_path / "unet.jsonl", run)
        again = read_baseline(tmp_path / "unet.jsonl")
        assert again.kinds() == run.kinds() == {kind: 1}
        assert again.outcomes[0].breakdown == run.outcomes[0].breakdown


def test_a_baseline_without_breakdowns_is_read_and_its_kinds_are_decided_by_counts(tmp_path: Path) -> None:
    path, run = tmp_path / "unet.jsonl", broken_down((0, 0, 0, 5, 30, 0))
    write_baseline(path, run)
    header, row = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    del row["wrong"], header["digest"]
    path.write_text(f"{json.dumps(header)}\n{json.dumps(row)}\n", encoding="utf-8")
    old = read_baseline(path)
    assert old.kinds() == {"boundary": 1}
    assert not compare(old, run).transitions


def test_a_breakdown_that_does_not_explain_the_counts_is_refused(tmp_path: Path) -> None:
    write_baseline(tmp_path / "unet.jsonl", broken_down((0, 0, 0, 30, 4, 0)))
    with pytest.raises(BaselineError, match="line 2 is no case"):
        read_baseline(tmp_path / "unet.jsonl")


NEWER = ("reference", "drift", "policy", "digest")
EDITED = "was edited after it was written"
Edit = Callable[[list[str]], list[str]]


@pytest.mark.parametrize(
    ("edit", "problem"),
    [
        (lambda lines: lines[:2] + lines[3:], "line 1 says 6 cases, and 5 follow"),
        (lambda lines: [*lines[:3], lines[2], *lines[3:]], "line 4 has case 'b' a second time: merged by lines"),
        (lambda lines: [lines[0], lines[2], lines[1], *lines[3:]], "line 3 is not in order: 'a' after 'b'"),
        (lambda lines: [*lines[:2], "<<<<<<< HEAD", *lines[2:]], "line 3 is a mark of a merge conflict"),
        (lambda lines: [*lines[:2], "{", *lines[3:]], "line 3 is not JSON"),
        (lambda lines: [*lines[:2], "[]", *lines[3:]], "line 3 is not an object"),
        (lambda lines: [*lines[:2], '{"id":"b"}', *lines[3:]], "line 3 is no case"),
        (lambda lines: lines[1:], "line 1 is no header"),
        (lambda _: [], "line 1 is not JSON"),
        (lambda lines: [lines[0].replace('"pick":"product",', ""), *lines[1:]], "line 1 has no 'pick'"),
        (lambda lines: [*lines[:3], lines[3].replace("[8,1,2,9", "[8,1,3,9"), *lines[4:]], "line 4 is no case.*add up"),
        (lambda lines: [*lines[:3], lines[3].replace("[8,1,2,9", "[8,1.5,2,9"), *lines[4:]], "whole number"),
        (lambda lines: [*lines[:3], lines[3].replace('"picked":0', '"picked":null'), *lines[4:]], "do not fit"),
        (
            lambda lines: [*lines[:3], lines[3].replace('"picked":0', '"picked":9'), *lines[4:]],
            "not among the proposals",
        ),
        (lambda lines: [lines[0], lines[1].replace('{"b":"é","z":"1"}', "[]"), *lines[2:]], "tags are not texts"),
        (lambda lines: [lines[0].replace('"one"', '"two"'), *lines[1:]], "line 1 has 'two' as empty"),
        (
            lambda lines: [lines[0].replace("unet", "other"), *lines[1:]],
            "is the baseline of model 'other': expected the name other.jsonl",
        ),
        (lambda lines: [lines[0].replace("[]", '"xyz"'), *lines[1:]], "line 1 has 'xyz' as accepted"),
        (lambda lines: [lines[0].replace('"drift":{', '"drift":{"x":"y",'), *lines[1:]], "as drift, which cannot be"),
        (lambda lines: [lines[0].replace('"digest":"', '"digest":0,"x":"'), *lines[1:]], "line 1 has 0 as digest"),
        (lambda lines: [*lines[:3], lines[3].replace("[8,1,2,9", "[9,0,1,10"), *lines[4:]], EDITED),
        (lambda lines: [lines[0].replace('"cases":6', '"cases":5'), *lines[1:-1]], EDITED),
        (lambda lines: [*lines[:4], lines[4].replace('"error"', '"error" '), *lines[5:]], EDITED),
        (lambda lines: [lines[0].replace('"accepted":[]', '"accepted":["so"]'), *lines[1:]], EDITED),
        (lambda lines: [lines[0].replace('"drift":{"mean_iou":0.0', '"drift":{"mean_iou":1.0'), *lines[1:]], EDITED),
        (lambda lines: [lines[0].replace('"fingerprint":null', '"fingerprint":"x"'), *lines[1:]], EDITED),
    ],
    ids=[
        "a line lost",
        "a line twice",
        "not in order",
        "a mark of a merge",
        "no JSON",
        "no object",
        "no case",
        "no header",
        "empty",
        "a header without a field",
        "counts that do not add up",
        "a fraction",
        "nothing picked",
        "picked what is not there",
        "tags of a list",
        "an unknown policy",
        "another model",
        "reasons of letters",
        "drift that is no number",
        "a digest that is no text",
        "edited counts of the same sum",
        "a row removed and the header lowered",
        "a row reformatted",
        "a reason added",
        "drift edited",
        "another fingerprint",
    ],
)
def test_a_file_that_is_no_baseline_is_refused_with_the_line(tmp_path: Path, edit: Edit, problem: str) -> None:
    path = tmp_path / "unet.jsonl"
    write_baseline(path, mixed())
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    path.write_text("".join(f"{line}\n" for line in edit(lines)), encoding="utf-8")
    with pytest.raises(BaselineError, match=problem):
        read_baseline(path)


def test_a_missing_baseline_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(BaselineError, match="`pytest suites --segqa-update-baseline` writes one"):
        read_baseline(tmp_path / "unet.jsonl")


def test_reasons_are_kept(tmp_path: Path) -> None:
    write_baseline(tmp_path / "unet.jsonl", mixed(), ["the old masks were wrong"])
    assert read_baseline(tmp_path / "unet.jsonl").provenance["accepted"] == ["the old masks were wrong"]
    assert json.loads((tmp_path / "unet.jsonl").read_text(encoding="utf-8").partition("\n")[0])["segqa_baseline"] == 1


def test_a_large_baseline_says_what_a_small_one_does(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    run, path = mixed(), tmp_path / "unet.jsonl"
    write_baseline(path, run)
    small, large = read_baseline(path), read_baseline(path, large=3)
    assert list(large.outcomes) == list(small.outcomes)
    assert compare(large, run).identical
    folder = large.columns.columns._folder  # type: ignore[attr-defined] # of its files
    assert folder.is_dir()
    del large
    gc.collect()
    assert not folder.exists()


def test_line_ends_of_another_system_are_no_edit(tmp_path: Path) -> None:
    path = tmp_path / "unet.jsonl"
    write_baseline(path, mixed())
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert len(read_baseline(path).outcomes) == 6


def test_a_baseline_without_the_newer_keys_is_read_and_says_what_cannot_be_checked(tmp_path: Path) -> None:
    path = tmp_path / "unet.jsonl"
    write_baseline(path, mixed(), policy={"rules": []})
    assert describe_unchecked(read_baseline(path)) == ""
    header, rows = path.read_text(encoding="utf-8").split("\n", 1)
    older = {key: value for key, value in json.loads(header).items() if key not in NEWER}
    path.write_text(f"{json.dumps(older)}\n{rows}", encoding="utf-8")
    assert compare(read_baseline(path), mixed()).identical
    assert describe_unchecked(read_baseline(path)) == (
        "the header of baseline unet has no digest or policy or reference, so nobody can check whether it was edited "
        "or what was relaxed since or how far it drifted; the next --segqa-update-baseline adds it"
    )


def test_the_header_keeps_means_to_count_drift_from(tmp_path: Path) -> None:
    path = tmp_path / "unet.jsonl"
    write_baseline(path, run_of([0.9, 0.8]))
    kept = read_baseline(path).provenance
    assert kept["reference"]["mean_iou"] == 0.85
    assert set(kept["drift"].values()) == {0.0}
    write_baseline(path, run_of([0.9]), reference={"mean_iou": 0.95}, drift={"mean_iou": -0.0500001})
    kept = read_baseline(path).provenance
    assert (kept["reference"], kept["drift"]) == ({"mean_iou": 0.95}, {"mean_iou": -0.05})
    write_baseline(path, run_of([None]))
    assert read_baseline(path).provenance["reference"] == {}
