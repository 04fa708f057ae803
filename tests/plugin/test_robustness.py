"""The robustness suite: what it says of a model that stays with its answer, and of one that does not."""

from __future__ import annotations

import json
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from segqa.analysis.robustness.perturbations import BEHAVIOURS, PERTURBATIONS
from segqa.plugin.markers import KINDS
from tests.plugin.workers import MOSTLY_ONE

pytest.importorskip("albumentations")

Repository = pytest.Pytester

SUITE = ("suites/test_robustness.py", "-rs")
INVARIANCES = [change for change in PERTURBATIONS if change.behaviour == "INV"]
TESTS = 2 * len(INVARIANCES) + 4

MODELS = '''

class Half(Bright):
    """Segments what is brighter than the image's middle grey: light is nothing to it, and a blank image is one."""

    def predict(self, images, prompts):
        return [Proposals.single(image[:, :, 0] >= (int(image.min()) + int(image.max())) / 2) for image in images]


@segqa.model
def half():
    return Half(fingerprint="half")


class Red(Bright):
    """Segments what has more blue than red, as one does that has learnt red and is fed BGR."""

    def predict(self, images, prompts):
        return [Proposals.single(image[:, :, 2] > image[:, :, 0]) for image in images]


@segqa.model
def red():
    return Red(fingerprint="red")


@segqa.model
def nameless():
    model = Half()
    del model.fingerprint
    return model


class Slow(Bright):
    def predict(self, images, prompts):
        import time

        time.sleep(0.05 * len(images))
        return super().predict(images, prompts)


@segqa.model
def slow():
    return Slow(fingerprint="slow")
'''


@pytest.fixture
def lit(repository: Repository) -> Repository:
    """The repository with models that differ in what they stand, four cases to change, and the suite."""
    conftest = repository.path / "conftest.py"
    conftest.write_text(conftest.read_text(encoding="utf-8") + MODELS, encoding="utf-8")
    suite = Path(__file__).parents[2] / "suites" / "test_robustness.py"
    shutil.copy(suite, repository.path / "suites" / "test_robustness.py")
    write(repository, "[tool.segqa.robustness]\ncases = 4")
    return repository


def write(repository: Repository, text: str) -> None:
    settings = f'[tool.segqa]\nmodel = "half"\ndataset = "squares"\n{text}\n'
    (repository.path / "pyproject.toml").write_text(settings, encoding="utf-8")


def runs(repository: Repository) -> list[str]:
    return sorted(path.name for path in repository.path.glob(".segqa/runs/*"))


@pytest.mark.parametrize("workers", MOSTLY_ONE)
def test_what_a_model_does_not_stand_fails(lit: Repository, workers: tuple[str, ...]) -> None:
    result = lit.runpytest_subprocess(*SUITE, "--junitxml=junit.xml", *workers)
    result.assert_outcomes(passed=TESTS - 1, failed=1)
    for line in (
        "E*assert share of hallucinated, blank, 1.0000 is above 0.0000",
        "E*half on squares, blank (12 scored, 0 errors)",
        "E*IoU 1.0000 → 0.0000  hallucinated  A_0??~blank-1",
        "*just these: pytest *suites/test_robustness.py*--segqa-where 'id=A_0*",
        "*the changed cases: segqa report *-half-squares-changed --open",
        "*robustness: 4 cases, 152 changed images, run *-half-squares-changed",
        "capability   MFT       INV       DIR",
        "emptiness    1 failed*",
        "geometry     *8 passed*",
        "colour       *2 passed*1 passed",
    ):
        result.stdout.fnmatch_lines([line])
    assert len([name for name in runs(lit) if name.endswith("changed")]) == 1
    cases = ET.parse(lit.path / "junit.xml").iter("testcase")  # noqa: S314 - our own
    properties = [{p.get("name"): p.get("value") for p in case.iter("property")} for case in cases]
    marked = [found for found in properties if "segqa.behaviour" in found]
    assert len(marked) == TESTS - 1
    assert {"segqa.behaviour": "MFT", "segqa.capability": "emptiness"}.items() <= marked[-1].items() or workers


def test_a_model_that_is_fed_bgr_shows(lit: Repository) -> None:
    from tests.conftest import bright_square, write_case

    for index in range(6):
        image, mask = bright_square(index)
        image[mask] = (220, 40, 40)
        write_case(lit.path / "reds", f"{index:02}", image, mask)
    result = lit.runpytest(*SUITE, "--model=red", "--dataset=reds", "-k", "red_and_blue")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "E*the model is probably fed BGR where it has learnt from RGB, or the reverse",
            "E*proven gain of IoU, channel_swap 1 (red and blue exchanged), 1.0000 is above 0.0000",
            "E*mean IoU 0.0000 → 1.0000, mean gain +1.0000",
        ]
    )


def test_a_second_session_asks_and_evaluates_nothing_again(lit: Repository) -> None:
    lit.runpytest(*SUITE)
    before = runs(lit)
    result = lit.runpytest(*SUITE)
    result.assert_outcomes(passed=TESTS - 1, failed=1)
    new = [name for name in runs(lit) if name not in before]
    assert [name.endswith("-half-squares") or "-half-squares-" in name for name in new] == [True]
    assert not any("changed" in name for name in new)
    assert json.loads((lit.path / ".segqa" / "runs" / new[0] / "changed.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("workers", MOSTLY_ONE)
def test_a_model_without_a_fingerprint_is_measured_once_a_session(lit: Repository, workers: tuple[str, ...]) -> None:
    for times in (1, 2):
        lit.runpytest_subprocess(*SUITE, "--model=nameless", *workers).assert_outcomes(passed=TESTS - 1, failed=1)
        assert len([name for name in runs(lit) if "changed" in name]) == times


def test_bounds_and_numbers_of_cases_are_a_models_own(lit: Repository) -> None:
    write(lit, "[tool.segqa.robustness.half]\ncases = 2\n[tool.segqa.thresholds.half]\nblank = 1.0")
    result = lit.runpytest(*SUITE)
    result.assert_outcomes(passed=TESTS)
    result.stdout.fnmatch_lines(["*robustness: 2 cases, 76 changed images*"])


def test_no_case_is_a_skip_that_says_so(lit: Repository) -> None:
    result = lit.runpytest(*SUITE, "--segqa-robustness-cases=0")
    result.assert_outcomes(skipped=TESTS)
    result.stdout.fnmatch_lines([f"SKIPPED [[]{len(INVARIANCES)}] *no case is to be changed: cases = 0 in*"])


def test_what_would_take_too_long_is_a_skip_that_says_how_long(lit: Repository) -> None:
    write(lit, "[tool.segqa.robustness]\nminutes = 0.05")
    result = lit.runpytest(*SUITE, "--model=slow", "--limit=3")
    result.assert_outcomes(skipped=TESTS)
    result.stdout.fnmatch_lines(["SKIPPED*114 predictions would take about 0 minutes, more than 0.05: fewer cases*"])


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "n 2"])
def test_in_ci_a_suite_that_measured_nothing_is_a_warning(
    lit: Repository, monkeypatch: pytest.MonkeyPatch, workers: tuple[str, ...]
) -> None:
    monkeypatch.setenv("CI", "true")
    write(lit, "[tool.segqa.robustness]\nminutes = 0.05\n[tool.segqa.gate]\nrequired = false")
    result = lit.runpytest_subprocess(*SUITE, "--model=slow", "--limit=3", *workers)
    result.stdout.fnmatch_lines(["warning: segqa: robustness of slow is not judged (skipped: 114 predictions would*"])


def test_without_stored_answers_there_is_nothing_to_score_again(lit: Repository) -> None:
    lit.runpytest("suites/test_quality.py")
    result = lit.runpytest(*SUITE, "--segqa-rescore")
    result.assert_outcomes(skipped=TESTS)
    result.stdout.fnmatch_lines(["SKIPPED*its answers to changed images are not kept: * of 152 cases have no*"])
    lit.runpytest(*SUITE)
    lit.runpytest(*SUITE, "--segqa-rescore").assert_outcomes(passed=TESTS - 1, failed=1)


def test_several_models_are_measured_one_after_the_other(lit: Repository) -> None:
    result = lit.runpytest(*SUITE, "--model=half,red", "--segqa-robustness-cases=2")
    result.stdout.fnmatch_lines(["*76 changed images, run *-half-squares-changed"])
    result.stdout.fnmatch_lines(["*76 changed images, run *-red-squares-changed"])


@pytest.mark.parametrize("workers", MOSTLY_ONE)
@pytest.mark.parametrize(
    ("mark", "problem"),
    [
        ('"FMT", capability="light"', "expected one of MFT, INV, DIR and a text, got 'FMT', 'light'"),
        ('"INV"', "*missing 1 required positional argument: 'capability'"),
        ('"INV", capability=3', "expected one of MFT, INV, DIR and a text, got 'INV', 3"),
    ],
)
def test_a_marker_that_says_nothing_ends_with_4(
    repository: Repository, mark: str, problem: str, workers: tuple[str, ...]
) -> None:
    test = f"import pytest\n\n\n@pytest.mark.segqa_behaviour({mark})\ndef test_it():\n    assert True\n"
    (repository.path / "test_marked.py").write_text(test, encoding="utf-8")
    result = repository.runpytest_subprocess("test_marked.py", *workers)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    said = result.stdout.str() + result.stderr.str()
    assert "test_marked.py::test_it: expected segqa_behaviour(kind, capability=…): " in said


def test_tests_of_ones_own_are_counted(repository: Repository) -> None:
    test = """
        import pytest

        @pytest.mark.segqa_behaviour("MFT", capability="empty rooms")
        def test_nothing_in_an_empty_room(evaluation):
            assert evaluation.mean_iou > 2

        @pytest.mark.segqa_behaviour("MFT", capability="empty rooms")
        def test_skipped():
            pytest.skip("not today")
    """
    repository.makepyfile(test_own=test)
    result = repository.runpytest("test_own.py")
    result.stdout.fnmatch_lines(["empty rooms  1 failed*"])


def test_the_kinds_are_those_of_the_changes() -> None:
    assert KINDS == BEHAVIOURS


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--segqa-robustness-cases=-1",), "--segqa-robustness-cases must be a whole number from 0, got -1"),
        ((), "[[]tool.segqa.robustness] has an unknown key 'case'; did you mean 'cases'?"),
    ],
)
def test_settings_that_make_no_sense_end_with_4(lit: Repository, options: tuple[str, ...], problem: str) -> None:
    if not options:
        write(lit, "[tool.segqa.robustness]\ncase = 4")
    result = lit.runpytest_subprocess(*SUITE, *options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: segqa: {problem}"])
