import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from segqa.cli import app
from segqa.runs.run import Run
from segqa.runs.store import Store
from tests.gate.paired_runs import run_of


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def keep(store: Store, run: Run) -> None:
    store.begin(run, "key")
    store.append(run.id, run.outcomes)
    store.finish(store.load(run.id), "key")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a good run, a bad one and the baseline of the good one."""
    store = Store(tmp_path / ".segqa")
    keep(store, run_of([0.9] * 40, id="1-good", tags=2))
    keep(store, run_of([0.0, *[0.9] * 39], id="2-bad", tags=2))
    monkeypatch.chdir(tmp_path)
    assert call("baseline", "accept", "1-good", "--reason", "the first one").exit_code == 0
    return tmp_path


def test_a_baseline_is_shown_with_what_was_accepted(here: Path) -> None:
    said = call("baseline", "show", "baselines/photos/unet.jsonl").output
    assert "unet on photos: mean IoU 0.9000 (40 scored, 0 missing, 0 errors)" in said
    assert "accepted: the first one" in said
    assert "reference: mean_iou 0.9000, changed by +0.0000 since" in said


def test_an_edited_baseline_is_told_and_an_older_one_said_so(here: Path) -> None:
    path = here / "baselines" / "photos" / "unet.jsonl"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('"the first one"', '"another one"'), encoding="utf-8")
    edited = call("baseline", "verify", "baselines")
    assert (edited.exit_code, "was edited after it was written" in edited.output) == (4, True)
    header, rows = text.split("\n", 1)
    older = {key: value for key, value in json.loads(header).items() if key not in ("policy", "digest")}
    path.write_text(f"{json.dumps(older)}\n{rows}", encoding="utf-8")
    older_told = call("baseline", "verify", "baselines")
    assert (older_told.exit_code, "note: the header of baseline unet has no digest or policy" in older_told.output) == (
        0,
        True,
    )


def test_the_command_line_refuses_what_a_session_does(here: Path) -> None:
    keep(Store(here / ".segqa"), run_of([None, *[0.9] * 39], id="3-error", tags=2))
    refused = call("baseline", "accept", "3-error", "--reason", "so be it")
    assert (refused.exit_code, "more than the budget of 0%" in refused.output) == (4, True)


def test_baselines_are_verified(here: Path) -> None:
    path = here / "baselines" / "photos" / "unet.jsonl"
    assert call("baseline", "verify", "baselines").output.startswith("baselines/photos/unet.jsonl  40 cases, mean IoU")
    path.write_text(path.read_text(encoding="utf-8").replace('"0004"', '"0003"'), encoding="utf-8")
    broken = call("baseline", "verify", "baselines")
    assert broken.exit_code == 4
    assert "line 6 has case '0003' a second time" in broken.output
    assert call("baseline", "verify", here / ".segqa").exit_code == 4


def test_a_run_is_judged_against_its_baseline(here: Path) -> None:
    assert call("baseline", "diff", "1-good").exit_code == 0
    worse = call("baseline", "diff", "2-bad")
    assert worse.exit_code == 1
    assert "broken:0  1 case collapsed" in worse.output


def test_the_rules_of_a_folder_above_count(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "pyproject.toml").write_text('[tool.segqa.gate]\nfail_on = ["wrong_object:+0"]\n', encoding="utf-8")
    (here / "suites").mkdir()
    monkeypatch.chdir(here / "suites")
    worse = call("baseline", "diff", "2-bad", "--dir", here / ".segqa")
    assert worse.exit_code == 1
    assert "wrong_object:+0  wrong_object 0 → 1 of 40 cases" in worse.output


def test_reasons_add_up(here: Path) -> None:
    accepted = call("baseline", "accept", "2-bad", "--reason", "so be it")
    assert accepted.exit_code == 0
    assert accepted.output.index("unet: regressed, mean IoU") < accepted.output.index("wrote ")
    assert call("baseline", "diff", "2-bad").exit_code == 0
    said = call("baseline", "show", "baselines/photos/unet.jsonl").output
    assert said.index("the first one") < said.index("so be it")
    assert call("baseline", "accept", "2-bad", "--reason", " ").exit_code == 4


def test_a_baseline_that_cannot_be_read_is_replaced_with_a_note(here: Path) -> None:
    path = here / "baselines" / "photos" / "unet.jsonl"
    path.write_text("{}", encoding="utf-8")
    accepted = call("baseline", "accept", "2-bad", "--reason", "it was damaged")
    assert accepted.exit_code == 0
    assert "note: accepted without a verdict: " in accepted.output


@pytest.mark.parametrize("before", ["1-good", "baselines/photos/unet.jsonl"])
def test_two_runs_or_baselines_compare(here: Path, before: str) -> None:
    result = call("compare", before, "2-bad")
    assert result.exit_code == 1
    for line in ("1 broken, 0 fixed, 1 worse, 0 better", "passed → wrong_object: 1", "90% interval of the mean"):
        assert line in result.output


def test_a_run_compares_with_its_baseline_and_two_files_with_each_other(here: Path) -> None:
    baseline = here / "baselines/photos/unet.jsonl"
    assert call("compare", baseline, "1-good").exit_code == 0
    other = here / "older" / "unet.jsonl"
    other.parent.mkdir()
    shutil.copy(baseline, other)
    assert call("compare", other, baseline).exit_code == 0


def test_a_baseline_is_not_judged_against_a_run(here: Path) -> None:
    result = call("compare", "2-bad", "baselines/photos/unet.jsonl")
    assert result.exit_code == 4
    assert "type `segqa compare baselines/photos/unet.jsonl 2-bad`" in result.stderr


@pytest.mark.parametrize(
    "names",
    [
        ("1-good", "1-good"),
        ("1-good", "1-"),
        ("1-good", "2-bad", "2-bad"),
        ("baselines/photos/unet.jsonl", "baselines/../baselines/photos/unet.jsonl"),
    ],
)
@pytest.mark.parametrize("form", ["text", "csv"])
def test_a_run_is_not_compared_with_itself(here: Path, names: tuple[str, ...], form: str) -> None:
    result = call("compare", *names, "--format", form)
    assert result.exit_code == 4
    assert "compare needs different runs, got " in result.stderr


@pytest.mark.parametrize(("before", "after", "is_said"), [("3-new", "4-old", True), ("4-old", "3-new", False)])
def test_a_run_that_is_older_than_what_it_is_judged_against_is_named(
    here: Path, before: str, after: str, is_said: bool
) -> None:
    for run_id, year in (("3-new", "2026"), ("4-old", "2025")):
        started = {"started": f"{year}-01-01T00:00:00Z"}
        keep(Store(here / ".segqa"), run_of([0.9] * 40, id=run_id, tags=2, provenance=started))
    said = call("compare", before, after).output
    assert ("note: 4-old is judged against 3-new, which was made later" in said) == is_said
    written = json.loads(call("compare", before, after, "--format", "json").stdout)
    assert any("made later" in note for note in written["models"][0]["notes"]) == is_said


def test_runs_of_other_thresholds_are_named(here: Path) -> None:
    keep(Store(here / ".segqa"), run_of([0.9] * 40, id="3-lenient", tags=2, threshold=0.06))
    said = "1-good was made with the threshold iou = 0.7, 3-lenient with 0.06"
    assert said in call("compare", "1-good", "3-lenient").output
    assert "made with the threshold" not in call("compare", "1-good", "2-bad").output


def test_a_comparison_without_settings_says_so(here: Path) -> None:
    said = "note: no file with [tool.segqa] is in this folder or above it: the default rules judge"
    assert said in call("compare", "1-good", "2-bad").output
    (here / "pyproject.toml").write_text("[tool.segqa]\n", encoding="utf-8")
    assert said not in call("compare", "1-good", "2-bad").output


@pytest.mark.parametrize("form", ["text", "md", "json", "csv"])
def test_a_comparison_in_each_format(here: Path, form: str) -> None:
    said = call("compare", "1-good", "2-bad", "--format", form).output
    expected = {"text": "unet: regressed", "md": "**regressed**", "csv": "0.8775"}
    if form == "json":
        assert json.loads(said)["models"][0]["verdict"] == "regressed"
    else:
        assert expected[form] in said


def test_rules_of_a_comparison_can_be_given(here: Path) -> None:
    rules = ["--fail-on", "broken:1", "--fail-on", "mean_iou:-0.1"]
    assert call("compare", "1-good", "2-bad", *rules).exit_code == 0
    assert call("compare", "1-good", "2-bad", "--fail-on", "broken:-1").exit_code == 4
    assert call("compare", "1-good", "nothing.jsonl").exit_code == 4


def test_the_gate_of_pyproject_is_tested(here: Path) -> None:
    result = call("selftest", "--model", "unet")
    assert "2-bad: 40 cases, rules broken:0" in result.output
    assert result.exit_code == 0
    off = "[tool.segqa.gate]\nfail_on = ['slice(*).mean_iou:off']\nalpha = 0.5\n"
    (here / "pyproject.toml").write_text(off, encoding="utf-8")
    wolf = call("selftest", "1-good")
    assert "slice" not in wolf.output.splitlines()[0]
    assert call("selftest").exit_code == 4
    assert call("selftest", "--model", "nobody").exit_code == 4


def test_the_rules_of_pyproject_hold_here_too(here: Path) -> None:
    (here / "pyproject.toml").write_text(
        "[tool.segqa.gate]\nfail_on = ['broken:off', 'mean_iou:off']\n", encoding="utf-8"
    )
    assert call("compare", "1-good", "2-bad").exit_code == 0
    assert call("baseline", "diff", "2-bad").exit_code == 0


def test_a_part_is_compared_with_that_part(here: Path) -> None:
    part = run_of([0.9] * 10, id="3-part", tags=2, provenance={"options": {"limit": 10}})
    keep(Store(here / ".segqa"), part)
    result = call("compare", "1-good", "3-part")
    assert result.exit_code == 0
    assert "unet: identical" in result.output


def test_a_baseline_has_no_seconds(here: Path) -> None:
    lines = call("compare", "baselines/photos/unet.jsonl", "1-good").output.splitlines()
    assert " – " in lines[1]


def test_no_case_at_all_is_refused(here: Path) -> None:
    assert call("show", "1-good", "--where", "camera<3").exit_code == 4


def test_a_run_made_with_uncommitted_changes_is_refused_whatever_git_says_now(here: Path) -> None:
    changes = {"files": ["model.py (changed)"], "count": 1, "digest": "1"}
    provenance = {"commit": "c" * 40, "dirty": True, "changes": changes}
    keep(Store(here / ".segqa"), run_of([0.9] * 40, id="4-edited", tags=2, provenance=provenance))
    refused = call("baseline", "accept", "4-edited", "--reason", "so be it")
    assert (refused.exit_code, "uncommitted changes (model.py (changed))" in refused.output) == (4, True)
    allowed = call("baseline", "accept", "4-edited", "--reason", "so be it", "--allow-dirty")
    assert (allowed.exit_code, "note: run 4-edited was made with uncommitted changes" in allowed.output) == (0, True)
