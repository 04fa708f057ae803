"""Image, mask and prompt of a case in two runs: packed anew they are the same, changed they are named."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from segqa.errors import BaselineError, IncomparableError
from segqa.gate.baseline import read_baseline, write_baseline
from segqa.gate.comparison import Comparison, compare
from segqa.gate.rules import resolve_rules
from segqa.gate.verdict import judge
from segqa.runs.run import Run
from tests.gate.paired_runs import case_of, run_of

IMAGE, MASK = "a" * 16, "b" * 16
OTHER = "c" * 16
FILES = "1" * 32 + "2" * 32

Change = dict[str, Any]
"""Of an outcome: its digests, its prompt."""

IMAGE_CHANGED: Change = {"digest": "3" * 32 + "2" * 32, "pixels": OTHER + MASK}
MASK_CHANGED: Change = {"digest": "1" * 32 + "4" * 32, "pixels": IMAGE + OTHER}
PACKED_ANEW: Change = {"digest": "3" * 32 + "4" * 32, "pixels": IMAGE + MASK}


def run_with(changes: dict[int, Change], iou: float = 0.9, cases: int = 12, **rest: Any) -> Run:
    """A run in which some cases, by their places, are made of something else."""
    same: Change = {"digest": FILES, "pixels": IMAGE + MASK, "prompt": "person."}
    outcomes = [case_of(f"{place:04}", iou, **same | changes.get(place, {})) for place in range(cases)]
    return replace(run_of([iou] * cases, **rest), outcomes=tuple(outcomes))


def changed(place: int, change: Change, iou: float = 0.9, **rest: Any) -> Run:
    """A run in which one case is made of something else, and has another IoU."""
    run = run_with({place: change}, **rest)
    outcomes = list(run.outcomes)
    scored = case_of("x", iou)
    outcomes[place] = replace(
        outcomes[place], proposal_scores=scored.proposal_scores, empty_prediction=scored.empty_prediction
    )
    return replace(run, outcomes=tuple(outcomes))


Pairing = Callable[[Run, Run], Comparison]


@pytest.fixture(params=["run", "baseline"])
def pair_up(request: pytest.FixtureRequest, tmp_path: Path) -> Pairing:
    """Compares with a run, or with a baseline that was made of it."""

    def with_baseline(before: Run, after: Run) -> Comparison:
        write_baseline(tmp_path / "unet.jsonl", before)
        return compare(read_baseline(tmp_path / "unet.jsonl"), after)

    return compare if request.param == "run" else with_baseline


def test_files_that_are_packed_anew_are_the_same_case(pair_up: Pairing) -> None:
    found = pair_up(run_with({}), run_with(dict.fromkeys(range(12), PACKED_ANEW)))
    assert found.identical
    assert judge(found).notes == ()


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (MASK_CHANGED, "mask"),
        (IMAGE_CHANGED, "image"),
        ({"prompt": "dog."}, "prompt"),
        ({"digest": "5" * 64, "pixels": OTHER * 2}, "image and mask"),
        ({**MASK_CHANGED, "prompt": "dog."}, "mask and prompt"),
    ],
    ids=["mask", "image", "prompt", "image and mask", "mask and prompt"],
)
def test_what_has_changed_is_named_and_the_others_are_judged(pair_up: Pairing, change: Change, part: str) -> None:
    found = pair_up(run_with({}), run_with({3: change}))
    assert found.changed.by_id == {"0003": part}
    assert len(found.pairs) == 11
    assert not found.identical
    verdict = judge(found)
    assert verdict.name == "regressed"
    (finding,) = verdict.findings
    assert (finding.rule, finding.lines) == ("changed_data:0", (f"0003  another {part}",))
    assert finding.text == f"1 case not judged: other data ({part} of 1), allowed 0"
    assert f"1 not judged: other data ({part} of 1)" in verdict.headline
    (note,) = verdict.notes
    assert '--segqa-update-baseline --segqa-accept "labels corrected"' in note
    assert "compared by files" not in note


def test_a_case_that_breaks_beside_a_changed_one_is_found(pair_up: Pairing) -> None:
    after = run_with({3: MASK_CHANGED})
    after = replace(after, outcomes=(case_of("0000", 0.0, digest=FILES, prompt="person."), *after.outcomes[1:]))
    assert list(pair_up(run_with({}), after).broken.ids) == ["0000"]


def test_a_changed_label_does_not_hide_that_the_case_is_a_total_failure_now(pair_up: Pairing) -> None:
    found = pair_up(run_with({}), changed(3, MASK_CHANGED, 0.0))
    verdict = judge(found, resolve_rules(["changed_data:off"]))
    assert [finding.rule for finding in verdict.findings] == ["broken:0"]
    assert verdict.findings[0].lines == ("0.9000 → 0.0000  wrong_object  0003  (another mask than before)",)


def test_ious_with_different_labels_are_not_compared(pair_up: Pairing) -> None:
    found = pair_up(run_with({}), changed(3, MASK_CHANGED, 0.3))
    assert not found.broken
    verdict = judge(found, resolve_rules(["changed_data:1"]))
    assert verdict.passed
    assert verdict.name != "identical"
    assert "1 not judged: other data (mask of 1)" in verdict.headline
    assert verdict.mean is not None
    assert verdict.mean.mean == 0


def test_where_fewer_than_half_of_the_baseline_can_be_judged_nothing_is(pair_up: Pairing) -> None:
    half = run_with(dict.fromkeys(range(6), MASK_CHANGED))
    assert len(pair_up(run_with({}), half).pairs) == 6
    more = run_with(dict.fromkeys(range(7), MASK_CHANGED))
    with pytest.raises(IncomparableError, match=r"only 5 of the 12 cases of .* can be judged.*mask of 7, such as 0000"):
        pair_up(run_with({}), more)


def test_what_cannot_be_read_has_not_changed(pair_up: Pairing) -> None:
    after = run_with({3: MASK_CHANGED})
    failed = replace(case_of("0003", None), digest="5" * 64)
    after = replace(after, outcomes=(*after.outcomes[:3], failed, *after.outcomes[4:]))
    found = pair_up(run_with({}), after)
    assert not found.changed
    assert found.new_errors == ("0003",)


def test_cases_that_are_left_out_do_not_take_changed_ones_with_them() -> None:
    found = compare(run_with({}), run_with({3: MASK_CHANGED})).exclude({"0003", "0004"})
    assert list(found.changed.by_id) == ["0003"]
    assert len(found.pairs) == 10


def no_pixels(run: Run) -> Run:
    """A run as an earlier version has kept it."""
    return replace(run, outcomes=tuple(replace(outcome, pixels="") for outcome in run.outcomes))


def test_runs_without_digests_of_pixels_are_compared_by_files() -> None:
    before, after = no_pixels(run_with({})), run_with({3: PACKED_ANEW, 4: {**MASK_CHANGED, "prompt": "dog."}})
    for one, other in ((before, after), (after, before), (before, no_pixels(after))):
        found = compare(one, other)
        assert found.changed.by_id == {"0003": "image and mask", "0004": "mask and prompt"}
        assert "compared by files: r or the run has no digests of pixels" in judge(found).notes[0]
    assert compare(before, run_with({})).identical


def test_a_baseline_without_digests_of_pixels_says_which_case_but_not_what(tmp_path: Path) -> None:
    write_baseline(tmp_path / "unet.jsonl", no_pixels(run_with({})))
    assert "pixels" not in (tmp_path / "unet.jsonl").read_text(encoding="utf-8")
    baseline = read_baseline(tmp_path / "unet.jsonl")
    assert compare(baseline, run_with({})).identical
    found = compare(baseline, run_with({3: PACKED_ANEW}))
    assert found.changed.by_id == {"0003": "image, mask or prompt"}
    assert "compared by files: baseline unet" in judge(found).notes[0]


def test_two_baselines_are_compared_by_what_they_keep(tmp_path: Path) -> None:
    for name, run in (("a", run_with({})), ("b", run_with({3: MASK_CHANGED, 4: PACKED_ANEW}))):
        write_baseline(tmp_path / name / "unet.jsonl", run)
    found = compare(*(read_baseline(tmp_path / name / "unet.jsonl") for name in "ab"))
    assert found.changed.by_id == {"0003": "mask"}


def test_a_baseline_keeps_pixels_and_prompt_of_each_case(tmp_path: Path) -> None:
    path = tmp_path / "unet.jsonl"
    write_baseline(path, run_with({}))
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    assert {key: json.loads(lines[1])[key] for key in ("pixels", "prompt")} == {
        "pixels": IMAGE + MASK,
        "prompt": "person.",
    }
    for wrong in ('"pixels":"xyz"', '"pixels":7'):
        path.write_text("".join([lines[0], lines[1].replace(f'"pixels":"{IMAGE + MASK}"', wrong), *lines[2:]]))
        with pytest.raises(BaselineError, match="line 2 is no case"):
            read_baseline(path)


def test_another_data_set_of_the_same_name_is_incomparable() -> None:
    before = run_of([0.9] * 10)
    others = tuple(case_of(f"other-{place}", 0.9) for place in range(20))
    after = replace(before, outcomes=(*before.outcomes[:4], *others))
    after = replace(after, expected=after.columns.ids)
    with pytest.raises(IncomparableError, match=r"only 4 of the 10 cases of r are in this run.*dataset_name in "):
        compare(before, after)
    more = replace(before, outcomes=(*before.outcomes[:5], *others))
    assert len(compare(before, replace(more, expected=more.columns.ids)).missing) == 5
