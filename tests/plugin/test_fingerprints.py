"""A model that changes under an unchanged fingerprint."""

import json

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from segqa.cli import app

CONFTEST = '''
import numpy as np
import segqa
from segqa.plugin.options import add_short_options


def pytest_addoption(parser):
    add_short_options(parser)


def find_red(image):
    """Find what is red."""
    return image[:, :, 0] > 100


def unrelated(image):
    return image


@segqa.model
def red():
    """Segments what is red."""

    class Red:
        fingerprint = "red-v1"

        def predict(self, images, prompts):
            return [segqa.Proposals.single(find_red(image)) for image in images]

    return Red()
'''
WORSE = CONFTEST.replace("image[:, :, 0]", "image[:, :, 2]")
COMPUTED = CONFTEST.replace('fingerprint = "red-v1"\n', "fingerprint = segqa.fingerprint_of(find_red)\n")
SLIGHTLY = CONFTEST.replace("return image[:, :, 0] > 100", "return (image[:, :, 0] > 100) & (np.arange(64) < 54)")
REFORMATTED = CONFTEST.replace('"""Find what is red."""', "# a comment").replace("return image\n", "return -image\n")


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A model of red squares, evaluated once on a laptop."""
    monkeypatch.delenv("CI", raising=False)
    for index in range(8):
        image = np.zeros((64, 64, 3), np.uint8)
        image[4 + index : 44 + index, 8:56, 2] = 200
        for folder, content in [("images", image), ("masks", image[:, :, 2] // 200 * 255)]:
            (pytester.path / "squares" / folder).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(pytester.path / "squares" / folder / f"{index}.png"), content)
    pytester.makeconftest(CONFTEST)
    pytester.makepyprojecttoml('[tool.segqa]\nmodel = "red"\ndataset = "squares"\ngate.required = false\n')
    pytester.makepyfile(test_it="def test_it(evaluation):\n    assert evaluation.mean_iou > 0.9\n")
    assert run(pytester).ret == 0
    return pytester


def run(pytester: pytest.Pytester, *options: str) -> pytest.RunResult:
    return pytester.runpytest("-p", "no:cacheprovider", *options)


def test_a_model_made_worse_fails_where_ci_is_set(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    project.makeconftest(WORSE)
    result = run(project)
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            "ERROR: segqa: red no longer gives its stored answers*stored no failure, now missed*segqa.fingerprint_of*",
            "*8 of 8 answered from stored proposals*",
            "*spot check: 3 of 8 stored cases asked anew, lowest IoU 0.0000, 3 differ*",
        ]
    )


def test_it_fails_on_a_laptop_by_one_case(project: pytest.Pytester) -> None:
    project.makeconftest(WORSE)
    result = run(project)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*spot check: 1 of 8 stored cases asked anew*"])


@pytest.mark.parametrize("ci", ["", "true"])
def test_what_decides_nothing_passes_without_a_word(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, ci: str
) -> None:
    monkeypatch.setenv("CI", ci)
    project.makeconftest(REFORMATTED)
    result = run(project)
    assert result.ret == 0
    result.stdout.no_fnmatch_line("*segqa: *stored*")
    assert ("spot check: 3 of 8 stored cases asked anew, lowest IoU 1.0000" in result.stdout.str()) == bool(ci)


def test_other_source_with_the_same_answers_is_a_warning(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    project.makeconftest(CONFTEST.replace("> 100", "> 101"))
    result = run(project)
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        ["warning: segqa: 8 of 8 stored answers of red are from other source*3 asked anew agree, lowest IoU 1.0000*"]
    )


@pytest.mark.parametrize(("ci", "code"), [("", 0), ("true", 1)])
def test_other_source_that_nobody_checks_is_a_finding_in_ci(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, ci: str, code: int
) -> None:
    monkeypatch.setenv("CI", ci)
    project.makeconftest(WORSE)
    for option in ("--segqa-rescore", "--segqa-spot-check=0"):
        result = run(project, option)
        assert result.ret == code
        result.stdout.fnmatch_lines(["*segqa: 8 of 8 stored answers of red are from other source or options than now*"])


def test_a_prediction_that_differs_by_more_than_the_bound_fails(project: pytest.Pytester) -> None:
    project.makeconftest(SLIGHTLY)
    result = run(project)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["ERROR: segqa: red no longer*IoU of stored and new prediction 0.9*, below 0.98*"])
    pyproject = project.path / "pyproject.toml"
    pyproject.write_text(pyproject.read_text() + "\nspot_check_iou = 0.9\n")
    assert run(project).ret == 0


def test_a_model_that_fails_now_fails_the_session(project: pytest.Pytester) -> None:
    project.makeconftest(CONFTEST.replace("return image[:, :, 0] > 100", "raise ValueError('no weights')"))
    result = run(project)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*stored no failure, now an error (ValueError: no weights)*"])


def test_model_options_count_as_source(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    takes_options = CONFTEST.replace("def red():", "def red(model_options):")
    project.makeconftest(takes_options)
    assert run(project, "--segqa-refresh-cache").ret == 0
    assert run(project, "--segqa-spot-check=0").ret == 0
    result = run(project, "--segqa-spot-check=0", "--segqa-model-option=red.cutoff=1")
    assert result.ret == 1


def test_a_computed_fingerprint_asks_anew_what_has_changed(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    project.makeconftest(COMPUTED)
    assert run(project).ret == 0
    result = run(project)
    result.stdout.fnmatch_lines(["*8 of 8 answered from stored proposals*"])
    result.stdout.no_fnmatch_line("*spot check*")
    project.makeconftest(COMPUTED.replace("image[:, :, 0]", "image[:, :, 2]"))
    result = run(project)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*0 of 8 answered from stored proposals*"])


def test_a_worker_says_it_too(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    project.makeconftest(WORSE)
    result = run(project, "-n2")
    assert result.ret == 1
    assert result.stdout.str().count("red no longer gives its stored answers") == 1
    result.stdout.fnmatch_lines(["*spot check: 3 of 8 stored cases asked anew*"])


@pytest.mark.parametrize("option", ["--segqa-spot-check=3", "--segqa-shard=1/1"])
def test_a_run_that_is_judged_later_says_it_again(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    monkeypatch.setenv("CI", "true")
    project.makeconftest(WORSE)
    result = run(project, option)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["ERROR: segqa: red no longer*", "*spot check: 3 of 8*"])
    newest = max((project.path / ".segqa" / "runs").iterdir())
    if "shard" in option:
        merged = CliRunner().invoke(app, ["merge", newest.name, "--dir", str(project.path / ".segqa")])
        assert merged.exit_code == 0
        newest = max((project.path / ".segqa" / "runs").iterdir())
    assert run(project, f"--segqa-run={newest.name}").ret == 1


def test_no_baseline_is_made_of_answers_of_another_model(project: pytest.Pytester) -> None:
    project.makeconftest(WORSE)
    result = run(project, "--segqa-update-baseline")
    assert result.ret == 4
    assert not (project.path / "baselines").exists()


def test_a_spot_check_does_not_go_with_rescoring(project: pytest.Pytester) -> None:
    result = run(project, "--segqa-rescore", "--segqa-spot-check=2")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*--segqa-rescore asks no model, so it goes without --segqa-spot-check*"])


def test_the_provenance_of_a_run_says_what_came_of_it(project: pytest.Pytester) -> None:
    assert run(project, "--segqa-spot-check=2").ret == 0
    newest = max((project.path / ".segqa" / "runs").iterdir())
    known = json.loads((newest / "run.json").read_text())["run"]["provenance"]["stored_answers"]
    assert (known["stored"], known["asked"], known["lowest_iou"], known["differences"]) == (8, 2, 1.0, [])
