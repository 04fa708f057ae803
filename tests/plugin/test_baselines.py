"""Baselines and the gate, as a user meets them; the traps that other gates fall into are tests named after them."""

from __future__ import annotations

import json
import subprocess
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Pillow

Repository = pytest.Pytester

STEADY = '''

class Steady:
    """Finds the square, but for the columns that it is told to lose and the row whose square it does not see."""

    def __init__(self, lose=0, blind=-1):
        self.lose, self.blind = lose, blind
        self.fingerprint = f"steady-{lose}-{blind}"

    def predict(self, images, prompts):
        return [Proposals.single(self.mask(image[:, :, 0] > 100)) for image in images]

    def mask(self, square):
        rows, columns = np.nonzero(square)
        if rows[0] == self.blind:
            return ~square
        mask = square.copy()
        mask[:, columns[0] : columns[0] + self.lose] = False
        return mask


@segqa.model
def steady(model_options):
    return Steady(**model_options("steady"))
'''
GATE = ("suites/test_regression.py", "--model=steady")
WORKERS = [
    pytest.param((), id="n 0"),
    pytest.param(("-n", "2"), id="n 2"),
    pytest.param(("-n", "4"), id="n 4", marks=pytest.mark.slow),
]


@pytest.fixture
def photos(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """The repository with a model that can be made worse on purpose, and without a hint of CI around it."""
    import shutil

    for name in ("CI", "GITHUB_ACTIONS"):
        monkeypatch.delenv(name, raising=False)
    conftest = repository.path / "conftest.py"
    conftest.write_text(conftest.read_text(encoding="utf-8") + STEADY, encoding="utf-8")
    suite = Path(__file__).parents[2] / "suites" / "test_regression.py"
    shutil.copy(suite, repository.path / "suites" / "test_regression.py")
    return repository


@pytest.fixture
def committed(photos: Repository) -> Repository:
    """The same with a baseline."""
    assert photos.runpytest(*GATE, "--segqa-update-baseline").ret == 0
    return photos


def worse(key: str, value: object) -> str:
    return f"--segqa-model-option=steady.{key}={value}"


def baseline(repository: Repository) -> Path:
    return repository.path / "baselines" / "squares" / "steady.jsonl"


def verdict(repository: Repository) -> Any:
    """What the last verdict says of the one model."""
    path = max(repository.path.glob("reports/*/verdict.json"), key=lambda path: path.stat().st_mtime_ns)
    (model,) = json.loads(path.read_text(encoding="utf-8"))["models"]
    return model


def test_without_a_baseline_the_gate_is_a_skip_that_says_how_to_make_one(photos: Repository) -> None:
    result = photos.runpytest(*GATE)
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["steady: not judged: no baseline at baselines/squares/steady.jsonl; *"])
    result = photos.runpytest(*GATE, "-rs")
    result.stdout.fnmatch_lines(["*no baseline baselines/squares/steady.jsonl; `pytest suites --segqa-update-bas*"])


@pytest.mark.parametrize("how", ["CI", "option", "setting"])
def test_where_a_baseline_is_required_its_absence_fails(
    photos: Repository, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    options = []
    if how == "CI":
        monkeypatch.setenv("CI", "true")
    elif how == "option":
        options.append("--segqa-require-baseline")
    else:
        path = photos.path / "pyproject.toml"
        path.write_text(path.read_text(encoding="utf-8") + "\n[tool.segqa.gate]\nrequired = true\n", encoding="utf-8")
    photos.runpytest(*GATE, *options).assert_outcomes(errors=1)


@pytest.mark.parametrize("workers", WORKERS)
def test_a_case_that_breaks_is_told_so_that_one_knows_what_to_do(
    committed: Repository, workers: tuple[str, ...]
) -> None:
    result = committed.runpytest_subprocess(*GATE, worse("blind", 5), *workers)
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            "E *AssertionError: steady: regressed, mean IoU 1.0000 → 0.9375 (-0.0625 over 16 cases)",
            "E *broken:0  1 case collapsed, allowed 0",
            "E *1.0000 → 0.0000  wrong_object  B_005",
            "steady: regressed, mean IoU 1.0000 → 0.9375*",
        ]
    )
    model = verdict(committed)
    assert (model["verdict"], model["broken"]) == ("regressed", ["B_005"])


@pytest.mark.parametrize("workers", WORKERS)
def test_the_same_run_has_the_same_verdict_and_baseline_everywhere(
    committed: Repository, workers: tuple[str, ...]
) -> None:
    before = baseline(committed).read_bytes()
    result = committed.runpytest_subprocess(*GATE, "--segqa-update-baseline", "--segqa-refresh-cache", *workers)
    assert result.ret == 0
    assert baseline(committed).read_bytes() == before
    model = verdict(committed)
    assert model["verdict"] == "identical"


def test_another_working_directory_makes_no_difference(committed: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    before = baseline(committed).read_bytes()
    monkeypatch.chdir(committed.path / "suites")
    result = committed.runpytest_subprocess("test_regression.py", "--model=steady", "--segqa-update-baseline")
    assert result.ret == 0
    assert baseline(committed).read_bytes() == before


def test_an_improvement_is_no_finding(photos: Repository) -> None:
    photos.runpytest(*GATE, "--segqa-update-baseline", worse("lose", 2))
    result = photos.runpytest(*GATE)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["steady: improved, mean IoU 0.8333 → 1.0000*"])


# the traps


def edit_mask(path: Path) -> None:
    """Change one pixel of a mask."""
    with Pillow.open(path) as mask:
        edited = mask.copy()
    edited.putpixel((0, 0), 255)
    edited.save(path)


def test_trap_the_failed_run_saved_as_the_next_baseline(committed: Repository) -> None:
    before = baseline(committed).read_bytes()
    result = committed.runpytest(*GATE, "--segqa-update-baseline", worse("blind", 5))
    assert result.ret == 4
    result.stdout.fnmatch_lines(["*baseline of steady not written: the run is a regression:", "*--segqa-accept REASON"])
    assert baseline(committed).read_bytes() == before


def test_a_regression_that_is_accepted_keeps_its_reason(committed: Repository) -> None:
    accept = ("--segqa-update-baseline", "--segqa-accept", "the old masks were wrong")
    result = committed.runpytest(*GATE, *accept, worse("blind", 5), "-rx")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["XFAIL*accepted: the old masks were wrong*"])
    header = json.loads(baseline(committed).read_text(encoding="utf-8").partition("\n")[0])
    assert header["accepted"] == ["the old masks were wrong"]
    assert committed.runpytest(*GATE, worse("blind", 5)).ret == 0


@pytest.mark.parametrize("options", [("-n", "2"), ("-k", "regression"), ("-p", "no:cacheprovider"), ("-x",), ("-q",)])
def test_trap_the_gate_silently_off(committed: Repository, options: tuple[str, ...]) -> None:
    assert committed.runpytest_subprocess("suites", "--model=steady", worse("blind", 5), *options).ret == 1


def test_trap_a_missing_case_ignored(committed: Repository) -> None:
    for part in ("images", "masks"):
        (committed.path / "squares" / part / "A_004.png").unlink()
    result = committed.runpytest(*GATE)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["E *missing:0  1 case of the baseline without an outcome, allowed 0", "E *A_004"])


@pytest.mark.parametrize("rule", ["mean_iou:nan", "mean_iou:", "mean_iou:-inf", "mean:-0.1", "mean_iou:+0.1"])
def test_trap_a_tolerance_that_disarms_the_rule(committed: Repository, rule: str) -> None:
    result = committed.runpytest(*GATE, f"--segqa-fail-on={rule}")
    assert result.ret == 4
    result.stderr.fnmatch_lines([f"*segqa: rule '{rule}'*"])


def test_trap_different_images_compared_as_equal(committed: Repository) -> None:
    from tests.conftest import bright_square, write_case

    write_case(committed.path / "squares", "A_004", *bright_square(4, (80, 120)))
    result = committed.runpytest(*GATE)
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            "E *changed_data:0  1 case not judged: other data (image and mask of 1), allowed 0",
            "E *A_004  another image and mask",
            "E *note: 1 case with other data*`pytest suites --segqa-update-baseline --segqa-accept*",
        ]
    )
    assert verdict(committed)["changed_data"] == {"A_004": "image and mask"}


def test_trap_one_edited_mask_switches_the_gate_off(committed: Repository) -> None:
    edit_mask(committed.path / "squares" / "masks" / "A_004.png")
    result = committed.runpytest(*GATE, worse("blind", 5))
    assert result.ret == 1
    result.stdout.fnmatch_lines(["E *1.0000 → 0.0000  wrong_object  B_005", "E *A_004  another mask"])


def test_data_that_were_corrected_are_accepted_with_a_reason(committed: Repository) -> None:
    edit_mask(committed.path / "squares" / "masks" / "A_004.png")
    update = ("--segqa-update-baseline", "--segqa-fail-on=changed_data:off", "--segqa-fail-on=mean_iou:off")
    assert committed.runpytest(*GATE, *update).ret == 4
    result = committed.runpytest(*GATE, "--segqa-update-baseline", "--segqa-accept", "labels corrected")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*wrote baselines/squares/steady.jsonl*", "*other data than before: A_004 (mask)"])
    assert committed.runpytest(*GATE).ret == 0
    assert verdict(committed)["verdict"] == "identical"


def test_files_that_are_packed_anew_are_judged_as_before(committed: Repository) -> None:
    for path in committed.path.glob("squares/*/*.png"):
        with Pillow.open(path) as image:
            image.copy().save(path, compress_level=0)
    assert committed.runpytest(*GATE).ret == 0
    assert verdict(committed)["verdict"] == "identical"


def test_trap_a_renamed_data_set_has_no_baseline(committed: Repository) -> None:
    (committed.path / "squares").rename(committed.path / "photos")
    result = committed.runpytest(*GATE, "--dataset=photos", "-rs")
    result.assert_outcomes(skipped=1)
    has_them = "baselines/squares/steady.jsonl has 16 of these 16 cases: if the data set was renamed, set *_name ="
    result.stdout.fnmatch_lines([f"SKIPPED*no baseline baselines/photos/steady.jsonl;*{has_them} 'squares' in*"])
    assert committed.runpytest(*GATE, "--dataset=photos", "--segqa-dataset-name=squares").ret == 0
    assert verdict(committed)["verdict"] == "identical"
    path = committed.path / "pyproject.toml"
    text = path.read_text(encoding="utf-8")
    path.write_text(
        text.replace('dataset = "squares"', 'dataset = "photos"\ndataset_name = "squares"'), encoding="utf-8"
    )
    committed.runpytest(*GATE).assert_outcomes(passed=1)
    committed.runpytest(*GATE, "--dataset=./photos/").assert_outcomes(passed=1)


def test_a_baseline_whose_file_was_renamed_is_named(committed: Repository) -> None:
    path = committed.path / "baselines" / "squares" / "steady.jsonl"
    path.rename(path.with_name("steady-old.jsonl"))
    result = committed.runpytest(*GATE, "-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED*baselines/squares/steady-old.jsonl is the baseline of steady: give it *"])


def test_trap_two_data_sets_of_one_name_share_a_baseline(committed: Repository) -> None:
    from tests.conftest import bright_square, write_case

    for index in range(12):
        write_case(committed.path / "other" / "squares", f"X_{index:03}", *bright_square(index))
    result = committed.runpytest(*GATE, "--dataset=other/squares")
    assert result.ret == 4
    result.stdout.fnmatch_lines(["*incomparable: only 0 of the 16 cases*name of its own by dataset_name*"])
    result = committed.runpytest(*GATE, "--dataset=other/squares", "--segqa-dataset-name=more-squares", "-rs")
    result.stdout.fnmatch_lines(["SKIPPED*no baseline baselines/more-squares/steady.jsonl;*makes one: commit it"])
    assert committed.runpytest(*GATE, "--segqa-dataset-name=a/b").ret == 4


def test_trap_a_cache_whose_key_lacks_the_model(committed: Repository) -> None:
    for lost in (1, 2, 3):
        result = committed.runpytest(*GATE, worse("lose", lost))
        assert result.ret == 1
        result.stdout.fnmatch_lines([f"*mean IoU 1.0000 → {(12 - lost) / 12:.4f}*"])


@pytest.mark.parametrize("option", ["--pick=first", "--segqa-empty=zero"])
def test_what_was_scored_in_another_way_is_incomparable(committed: Repository, option: str) -> None:
    result = committed.runpytest(*GATE, option)
    assert result.ret == 4
    result.stdout.fnmatch_lines(["*incomparable: *"])


def test_a_corrupt_baseline_ends_with_4_and_the_line(committed: Repository) -> None:
    path = baseline(committed)
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join([*lines[:3], lines[2], *lines[3:]]), encoding="utf-8")
    result = committed.runpytest(*GATE)
    assert result.ret == 4
    result.stdout.fnmatch_lines(["*steady.jsonl line 4 has case 'A_002' a second time*"])


@pytest.mark.parametrize("option", ["--limit=3", "--segqa-where=target_area>0"])
def test_no_baseline_is_made_of_a_part(photos: Repository, option: str) -> None:
    result = photos.runpytest(*GATE, "--segqa-update-baseline", option)
    assert result.ret == 4
    result.stderr.fnmatch_lines(["ERROR: segqa: no baseline is made of a part of a data set (with --segqa-*)"])
    # said before anything is evaluated
    assert not (photos.path / ".segqa").exists()


def test_a_part_is_judged_by_its_own_cases(committed: Repository) -> None:
    assert committed.runpytest(*GATE, "--limit=3").ret == 0


def test_no_baseline_is_made_of_too_many_errors(photos: Repository) -> None:
    (photos.path / "squares" / "images" / "A_004.png").write_bytes(b"no picture")
    result = photos.runpytest(*GATE, "--segqa-update-baseline")
    assert result.ret == 4
    # below everything else that a session writes
    assert "ERROR: segqa: steady has 1 error, more than the budget of 0%" in result.outlines[-1]


def git(repository: Repository, *arguments: str) -> None:
    who = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    subprocess.run(["git", *who, *arguments], cwd=repository.path, check=True, capture_output=True)


def test_no_baseline_is_made_of_a_dirty_work_tree(photos: Repository) -> None:
    (photos.path / ".gitignore").write_text("runpytest-*\nstdout\nstderr\n", encoding="utf-8")
    git(photos, "init", "-q")
    git(photos, "add", "-A")
    git(photos, "commit", "-qm", "all")
    clean = photos.runpytest_subprocess(*GATE, "--segqa-update-baseline")
    assert clean.ret == 0
    # what segqa has written is a change, and none that matters
    assert photos.runpytest_subprocess(*GATE, "--segqa-update-baseline", "--segqa-markdown=summary.md").ret == 0
    assert photos.runpytest_subprocess(*GATE, "--segqa-update-baseline", "--segqa-markdown=summary.md").ret == 0
    (photos.path / "summary.md").unlink()
    (photos.path / "notes.txt").write_text("changed", encoding="utf-8")
    before = sorted(photos.path.glob("reports/*"))
    result = photos.runpytest_subprocess(*GATE, "--segqa-update-baseline")
    assert result.ret == 4
    said = "the work tree has changes (notes.txt (new)), so nobody could make this baseline again"
    result.stderr.fnmatch_lines([f"ERROR: segqa: {said}: commit them, or --segqa-allow-dirty"])
    assert sorted(photos.path.glob("reports/*")) == before
    allowed = photos.runpytest_subprocess(*GATE, "--segqa-update-baseline", "--segqa-allow-dirty")
    assert allowed.ret == 0
    allowed.stdout.fnmatch_lines(["note: run * was made with uncommitted changes (notes.txt (new)), *"])
    (photos.path / "notes.txt").unlink()
    last = max((photos.path / ".segqa" / "runs").iterdir()).name
    again = photos.runpytest_subprocess("suites", f"--segqa-run={last}", "--segqa-update-baseline")
    assert again.ret == 4
    again.stdout.fnmatch_lines([f"ERROR: segqa: run {last} was made with uncommitted changes (notes.txt (new)), *"])


def test_a_known_failure_is_left_out_of_the_gate(committed: Repository) -> None:
    path = committed.path / "pyproject.toml"
    until = date.today() + timedelta(days=100)  # noqa: DTZ011
    known = f'\n[[tool.segqa.known]]\nwhere = "side=B"\nreason = "on its way"\nuntil = {until}\n'
    path.write_text(path.read_text(encoding="utf-8") + known, encoding="utf-8")
    pattern = "--segqa-name-pattern=(?P<side>[AB])_"
    result = committed.runpytest(*GATE, worse("blind", 5), pattern)
    result.assert_outcomes(xfailed=1)


def test_rules_come_from_the_settings_and_from_the_command_line(committed: Repository) -> None:
    path = committed.path / "pyproject.toml"
    gate = '\n[tool.segqa.gate]\nfail_on = ["broken:1", "mean_iou:-0.2", "slice(*).mean_iou:off"]\n'
    path.write_text(path.read_text(encoding="utf-8") + gate, encoding="utf-8")
    assert committed.runpytest(*GATE, worse("blind", 5)).ret == 0
    assert committed.runpytest(*GATE, worse("blind", 5), "--segqa-fail-on=wrong_object:+0").ret == 1


def test_ci_gets_what_it_asks_for(committed: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    (committed.path / "summary.md").write_text("before\n", encoding="utf-8")
    options = ("--segqa-markdown=summary.md", "--segqa-openmetrics=metrics.txt", "--junit-xml=junit.xml")
    result = committed.runpytest_subprocess(*GATE, worse("blind", 5), *options)
    result.stdout.fnmatch_lines(["::error title=segqa steady broken%3A0::1 case collapsed*"])
    markdown = (committed.path / "summary.md").read_text(encoding="utf-8")
    assert markdown.startswith("before\n### segqa: failed (1 test)")
    assert "| steady | squares | 0.9375 | 1.0000 | \\-0.0625" in markdown or "-0.0625" in markdown
    metrics = (committed.path / "metrics.txt").read_text(encoding="utf-8")
    assert 'segqa_broken{model="steady",dataset="squares"} 1\n' in metrics
    assert metrics.endswith("# EOF\n")
    assert 'name="segqa.verdict" value="regressed"' in (committed.path / "junit.xml").read_text(encoding="utf-8")


def test_a_file_that_cannot_be_written_ends_with_4(committed: Repository) -> None:
    result = committed.runpytest(*GATE, "--segqa-markdown=nowhere/summary.md")
    assert result.ret == 4
    result.stdout.fnmatch_lines(["*segqa: cannot write *nowhere/summary.md: No such file or directory"])


def test_what_cannot_be_compared_is_said_so_in_the_verdict(committed: Repository) -> None:
    committed.runpytest(*GATE, "--pick=first")
    assert verdict(committed)["verdict"] == "incomparable"


@pytest.mark.parametrize("options", [("--segqa-accept=x",), ("--segqa-update-baseline", "--segqa-accept= ")])
def test_a_reason_says_something_and_goes_with_an_update(committed: Repository, options: tuple[str, ...]) -> None:
    result = committed.runpytest(*GATE, *options)
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*--segqa-accept must say why, and goes with --segqa-update-baseline"])


def test_what_is_incomparable_keeps_no_other_test_from_its_turn(committed: Repository) -> None:
    result = committed.runpytest("suites", "--model=steady", "--pick=first")
    assert result.ret == 4
    outcomes = result.parseoutcomes()
    assert (outcomes["errors"], outcomes["passed"]) == (1, 9)
