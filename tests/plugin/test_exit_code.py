"""The exit code: where `CI` is set, nothing that keeps a model from being judged is green."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.plugin.test_baselines import GATE, STEADY, Repository, baseline, worse

SUITE = "suites/test_quality.py"
_PREDICT = "        return [Proposals.single(self.mask(image[:, :, 0] > 100)) for image in images]"
_FIXTURE = '    return Steady(**model_options("steady"))'


@pytest.fixture
def photos(repository: Repository) -> Repository:
    """A repository with a model that can be made worse, and the test of the gate."""
    conftest = repository.path / "conftest.py"
    conftest.write_text(conftest.read_text(encoding="utf-8") + STEADY, encoding="utf-8")
    suite = Path(__file__).parents[2] / "suites" / "test_regression.py"
    shutil.copy(suite, repository.path / "suites" / "test_regression.py")
    # so that a case that breaks fails no other test
    settings = repository.path / "pyproject.toml"
    text = settings.read_text(encoding="utf-8")
    settings.write_text(f"{text}\n[tool.segqa.thresholds]\nwrong_object = 0.1\n", encoding="utf-8")
    return repository


@pytest.fixture(scope="module")
def kept() -> dict[str, bytes]:
    """The baseline, once it was made: the same for each test."""
    return {}


@pytest.fixture
def committed(photos: Repository, kept: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> Repository:
    """The same with a baseline, in CI from then on."""
    path = baseline(photos)
    if not kept:
        assert photos.runpytest(*GATE, "--segqa-update-baseline").ret == 0
        kept["baseline"] = path.read_bytes()
        shutil.rmtree(photos.path / ".segqa")  # nothing is stored, so the model is asked
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(kept["baseline"])
    monkeypatch.setenv("CI", "true")
    return photos


def replace_in(repository: Repository, name: str, old: str, new: str) -> None:
    path = repository.path / name
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def set_gate(repository: Repository, setting: str) -> None:
    path = repository.path / "pyproject.toml"
    path.write_text(f"{path.read_text(encoding='utf-8')}\n[tool.segqa.gate]\n{setting}\n", encoding="utf-8")


def read_verdict(repository: Repository) -> Any:
    path = max(repository.path.glob("reports/*/verdict.json"), key=lambda path: path.stat().st_mtime_ns)
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("place", "code"),
    [
        pytest.param(_FIXTURE, "    pytest.skip('no weights')", id="the model is skipped"),
        pytest.param(_FIXTURE, "    pytest.importorskip('no_such_package')", id="a package of the model is missing"),
        pytest.param(_FIXTURE, "    pytest.xfail('later')", id="the model is expected to fail"),
        pytest.param(_FIXTURE, "    pytest.exit('done', returncode=0)", id="the model ends the session"),
        pytest.param(_PREDICT, "        pytest.skip('no GPU')", id="predict skips"),
        pytest.param(_PREDICT, "        pytest.xfail('later')", id="predict is expected to fail"),
    ],
)
def test_a_model_without_an_evaluation_fails(committed: Repository, place: str, code: str) -> None:
    replace_in(committed, "conftest.py", place, code)
    replace_in(committed, "conftest.py", "import segqa\n", "import pytest\nimport segqa\n")
    result = committed.runpytest("suites", "--model=steady")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*ERROR: segqa: steady has no evaluation, but suites/*"])


def test_a_model_that_leaves_by_sys_exit_is_no_model(committed: Repository) -> None:
    replace_in(committed, "conftest.py", _PREDICT, "        raise SystemExit(0)")
    result = committed.runpytest("suites", "--model=steady")
    assert result.ret == pytest.ExitCode.USAGE_ERROR


@pytest.mark.parametrize(
    ("code", "options", "status"),
    [
        pytest.param("os._exit(0)", (), 1, id="in predict"),
        pytest.param("__import__('atexit').register(lambda: os._exit(0))", (worse("blind", 5),), 1, id="at exit"),
        pytest.param("os.fork() or os._exit(0)", (), 0, id="a child"),
    ],
)
def test_a_process_that_ends_itself_hides_nothing(
    committed: Repository, code: str, options: tuple[str, ...], status: int
) -> None:
    replace_in(committed, "conftest.py", _PREDICT, f"        import os\n        {code}\n{_PREDICT}")
    result = committed.runpytest_subprocess("suites", "--model=steady", *options)
    assert result.ret == status
    said = f"ERROR: segqa: os._exit(0) would hide how the tests ended; exit code {status}"
    assert (said in result.stderr.str()) == bool(status)


@pytest.mark.parametrize("ci", ["true", "false"])
def test_a_conftest_that_leaves_by_sys_exit_is_refused_in_ci(
    committed: Repository, monkeypatch: pytest.MonkeyPatch, ci: str
) -> None:
    monkeypatch.setenv("CI", ci)
    replace_in(committed, "conftest.py", "import segqa\n", "import sys\nsys.exit(0)\n")
    result = committed.runpytest_subprocess("suites")
    assert result.ret == (pytest.ExitCode.USAGE_ERROR if ci == "true" else 0)
    assert ("segqa: a conftest.py, or what it imports, called sys.exit(0)" in result.stderr.str()) == (ci == "true")


def test_a_model_without_an_evaluation_fails_under_xdist(committed: Repository) -> None:
    replace_in(committed, "conftest.py", _FIXTURE, "    __import__('pytest').skip('no weights')")
    result = committed.runpytest_subprocess("suites", "--model=steady", "-n", "2")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["ERROR: segqa: steady has no evaluation, but suites/*skipped: no weights*"])


def test_the_reason_for_a_missing_evaluation_reaches_every_output(
    committed: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    replace_in(committed, "conftest.py", _FIXTURE, "    __import__('pytest').skip('no weights')")
    result = committed.runpytest("suites", "--model=steady", "--segqa-markdown=verdict.md")
    assert result.ret == 1
    test = "suites/test_picking.py::test_mean_regret[[]steady[]]"
    why = f"steady has no evaluation, but {test} asks for one (skipped: no weights)"
    result.stdout.fnmatch_lines([f"ERROR: segqa: {why}. *", f"::error title=segqa::{why}*"])
    found = read_verdict(committed)
    assert (found["exit_status"], found["models"], len(found["findings"])) == (1, [], 1)
    markdown = (committed.path / "verdict.md").read_text(encoding="utf-8")
    assert markdown.startswith("### segqa: failed\n\n- **steady has no evaluation")


def test_without_ci_a_skipped_model_is_a_warning(photos: Repository) -> None:
    replace_in(photos, "conftest.py", _FIXTURE, "    __import__('pytest').skip('no weights')")
    result = photos.runpytest("suites", "--model=steady")
    assert result.ret == 0
    why = "(skipped: no weights)*; where CI is set this is exit code 1"
    result.stdout.fnmatch_lines([f"warning: segqa: steady has no evaluation, but suites/*{why}"])


def test_without_ci_tests_that_were_deselected_are_left_alone(photos: Repository) -> None:
    photos.makepyfile(test_plain="def test_plain(): pass")
    result = photos.runpytest(".", "--model=steady", "-k", "plain")
    assert result.ret == 0
    result.stdout.no_fnmatch_line("*has no evaluation*")


def test_a_ci_system_that_does_not_set_ci_is_ci(photos: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JENKINS_URL", "https://jenkins.example")
    replace_in(photos, "conftest.py", _FIXTURE, "    __import__('pytest').skip('no weights')")
    assert photos.runpytest("suites", "--model=steady").ret == 1


@pytest.mark.parametrize("how", ["option", "setting"])
def test_a_baseline_required_explicitly_makes_deselected_tests_red_without_ci(photos: Repository, how: str) -> None:
    photos.makepyfile(test_plain="def test_plain(): pass")
    options = ["--segqa-require-baseline"] if how == "option" else []
    if how == "setting":
        set_gate(photos, "required = true")
    result = photos.runpytest(".", "--model=steady", "-k", "plain", *options)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["ERROR: segqa: steady has no evaluation, * asks for one (deselected). *"])


def test_what_asks_for_no_evaluation_is_left_alone(committed: Repository) -> None:
    committed.makepyfile(test_plain="def test_plain(): pass")
    for options in (["test_plain.py"], ["suites", "--collect-only"], ["--list-models"], ["suites", "--fixtures"]):
        assert committed.runpytest(*options, "--model=steady").ret == 0, options
    assert committed.runpytest("suites", "--model=steady", "--segqa-shard=1/2").ret == 0


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(("suites", "-k", "mean_iou"), id="-k"),
        pytest.param(("suites/test_regression.py", SUITE, "--deselect=suites/test_regression.py"), id="--deselect"),
        pytest.param((SUITE,), id="the test of the gate is not there"),
        pytest.param((SUITE, "-n", "2"), id="xdist"),
        pytest.param(("suites", "--setup-only"), id="--setup-only"),
    ],
)
def test_a_regression_that_no_test_has_seen_fails(committed: Repository, options: tuple[str, ...]) -> None:
    result = committed.runpytest_subprocess(*options, "--model=steady", worse("blind", 5))
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        ["ERROR: segqa: steady: regressed, mean IoU 1.0000 → 0.9375*; broken:0: 1 case *; no test failed for it:*"]
    )
    assert read_verdict(committed)["exit_status"] == 1


@pytest.mark.parametrize("mark", ["@pytest.mark.skip", "@pytest.mark.xfail", "@pytest.mark.skipif(True, reason='x')"])
def test_a_mark_on_the_test_of_the_gate_hides_no_regression(committed: Repository, mark: str) -> None:
    replace_in(committed, "suites/test_regression.py", "def test_no_reg", f"import pytest\n{mark}\ndef test_no_reg")
    result = committed.runpytest("suites", "--model=steady", worse("blind", 5))
    assert result.ret == 1
    result.stdout.fnmatch_lines(["ERROR: segqa: steady: regressed, *"])


def test_a_regression_that_a_test_has_failed_for_is_said_once(committed: Repository) -> None:
    result = committed.runpytest(*GATE, worse("blind", 5))
    assert result.ret == 1
    assert read_verdict(committed)["findings"] == []


def test_without_ci_a_regression_that_no_test_has_seen_is_a_warning(
    committed: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CI")
    result = committed.runpytest(SUITE, "--model=steady", worse("blind", 5))
    assert result.ret == 0
    result.stdout.fnmatch_lines(["warning: segqa: steady: regressed, *"])
    assert len(read_verdict(committed)["warnings"]) == 1


def test_a_regression_by_known_failures_alone_is_a_warning(committed: Repository) -> None:
    path = committed.path / "pyproject.toml"
    until = datetime.now(UTC).astimezone().date() + timedelta(days=30)
    known = f'\n[[tool.segqa.known]]\nwhere = "side=B"\nreason = "on its way"\nuntil = {until}\n'
    path.write_text(path.read_text(encoding="utf-8") + known, encoding="utf-8")
    result = committed.runpytest("suites", "--model=steady", worse("blind", 5), "--segqa-name-pattern=(?P<side>[AB])_")
    assert result.ret == 0
    result.stdout.fnmatch_lines([f"warning: segqa: steady: regressed, *; known until {until}: on its way (side=B)"])


def test_a_regression_that_is_accepted_is_a_warning(committed: Repository) -> None:
    accept = ("--segqa-update-baseline", "--segqa-accept", "the old masks were wrong")
    result = committed.runpytest("suites", "--model=steady", *accept, worse("blind", 5))
    assert result.ret == 0
    result.stdout.fnmatch_lines(["warning: segqa: steady: regressed, *; accepted: the old masks were wrong"])


def test_a_missing_baseline_fails_without_the_test_of_the_gate(committed: Repository) -> None:
    baseline(committed).unlink()
    result = committed.runpytest(SUITE, "--model=steady")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["ERROR: segqa: steady: no baseline at baselines/squares/steady.jsonl; *: commit it"])


def test_a_baseline_that_need_not_be_there_is_a_warning(committed: Repository) -> None:
    baseline(committed).unlink()
    set_gate(committed, "required = false")
    result = committed.runpytest("suites", "--model=steady")
    assert result.ret == 0
    said = "steady has no baseline, and gate.required = false: no regression can be found"
    result.stdout.fnmatch_lines([f"warning: segqa: {said}"])
    assert read_verdict(committed)["warnings"] == [said]


@pytest.mark.parametrize("how", ["another picker", "a corrupt file"])
def test_what_cannot_be_compared_is_4_without_the_test_of_the_gate(committed: Repository, how: str) -> None:
    options = ["--pick=first"] if how == "another picker" else []
    if how == "a corrupt file":
        baseline(committed).write_text("{}\n", encoding="utf-8")
    result = committed.runpytest(SUITE, "--model=steady", *options)
    assert result.ret == 4
    result.stdout.fnmatch_lines(["ERROR: segqa: steady: *"])
    assert read_verdict(committed)["exit_status"] == 4
    assert read_verdict(committed)["problem"]


def test_an_exit_code_that_another_plugin_sets_afterwards_hides_nothing(committed: Repository) -> None:
    hook = "\n\nimport pytest\n@pytest.hookimpl(wrapper=True)\ndef pytest_sessionfinish(session):\n    yield\n"
    conftest = committed.path / "conftest.py"
    text = conftest.read_text(encoding="utf-8")
    conftest.write_text(f"{text}{hook}    session.exitstatus = 0\n", encoding="utf-8")
    assert committed.runpytest_subprocess(SUITE, "--model=steady", worse("blind", 5)).ret == 1
    conftest.write_text(f"{text}{hook}    session.exitstatus = 6\n", encoding="utf-8")
    assert committed.runpytest_subprocess(SUITE, "--model=steady").ret == 6
    assert read_verdict(committed)["exit_status"] == 6


def test_a_session_that_is_ended_before_its_tests_have_run_fails(committed: Repository) -> None:
    committed.makepyfile(test_aa="import pytest\ndef test_aa(evaluation): pytest.exit('enough', returncode=0)")
    result = committed.runpytest_subprocess("test_aa.py", "suites", "--model=steady")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["ERROR: segqa: pytest.exit ended the session with exit code 0 before *: enough"])


def test_a_file_that_cannot_be_written_is_in_the_verdict(committed: Repository) -> None:
    result = committed.runpytest(SUITE, "--model=steady", "--segqa-markdown=nowhere/summary.md")
    assert result.ret == 4
    assert read_verdict(committed)["exit_status"] == 4


def test_a_suite_that_skips_as_a_whole_is_named(committed: Repository) -> None:
    suite = committed.path / SUITE
    skip = "import pytest\npytest.importorskip('no_such_package', reason=\"needs it: pip install 'segqa[it]'\")\n"
    suite.write_text(skip + suite.read_text(encoding="utf-8"), encoding="utf-8")
    result = committed.runpytest("suites", "--model=steady")
    assert result.ret == 0
    said = f"{SUITE} was skipped as a whole: needs it: pip install 'segqa[it]'"
    result.stdout.fnmatch_lines([f"warning: segqa: {said}".replace("[", "[[]").replace("[[]it]", "[[]it[]]")])
    alone = committed.runpytest(SUITE, "--model=steady")
    assert alone.ret == 1
    alone.stdout.fnmatch_lines(
        [f"ERROR: segqa: steady has no evaluation, but {SUITE} asks for one (skipped: needs it*"]
    )


@pytest.mark.parametrize("workers", [(), ("-n", "2")])
def test_suites_that_find_no_model_are_refused(pytester: pytest.Pytester, workers: tuple[str, ...]) -> None:
    for name in ("test_quality.py", "test_regression.py"):
        shutil.copy(Path(__file__).parents[2] / "suites" / name, pytester.path / name)
    result = pytester.runpytest_subprocess(*workers)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "no model is declared; mark a fixture with @segqa.model" in result.stdout.str() + result.stderr.str()


_SILENT = {
    "pytest_cmdline_main returns 0": "def pytest_cmdline_main(config):\n    return 0",
    "pytest_cmdline_main leaves": "def pytest_cmdline_main(config):\n    raise SystemExit(0)",
    "pytest.exit at the start": "def pytest_sessionstart():\n    pytest.exit('done', returncode=0)",
    "pytest.exit while configured": "def pytest_configure():\n    pytest.exit('done', returncode=0)",
    "pytest.exit at the end": "def pytest_sessionfinish():\n    pytest.exit('done', returncode=0)",
    "sys.exit at the end": "def pytest_sessionfinish():\n    raise SystemExit(0)",
}


@pytest.mark.parametrize("hook", _SILENT.values(), ids=_SILENT)
def test_a_session_that_a_hook_ends_green_is_refused_in_ci(
    committed: Repository, monkeypatch: pytest.MonkeyPatch, hook: str
) -> None:
    add_to_conftest(committed, hook)
    result = committed.runpytest_subprocess(SUITE, "--model=steady")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "segqa: the session ended with exit code 0 before its runs were judged" in result.stderr.str()
    monkeypatch.setenv("CI", "false")
    assert committed.runpytest_subprocess(SUITE, "--model=steady").ret == 0


@pytest.mark.parametrize(
    ("hook", "status"),
    [
        pytest.param("os._exit(0)", 4, id="while conftests load"),
        pytest.param("def pytest_collection_modifyitems():\n    os._exit(0)", 1, id="while tests are collected"),
        pytest.param("def pytest_sessionfinish():\n    os._exit(0)", 1, id="at the end"),
    ],
)
def test_a_conftest_that_ends_the_process_is_refused_in_ci(committed: Repository, hook: str, status: int) -> None:
    add_to_conftest(committed, hook)
    result = committed.runpytest_subprocess(SUITE, "--model=steady")
    assert result.ret == status
    assert f"os._exit(0) would hide how the tests ended; exit code {status}" in result.stderr.str()


def test_a_judged_session_may_end_the_process(committed: Repository) -> None:
    add_to_conftest(committed, "def pytest_unconfigure():\n    os._exit(0)")
    assert committed.runpytest_subprocess(SUITE, "--model=steady").ret == 0
    assert committed.runpytest_subprocess(SUITE, "--model=steady", worse("blind", 5)).ret == 1


def test_a_conftest_that_unsets_ci_is_refused(committed: Repository) -> None:
    add_to_conftest(committed, "os.environ['CI'] = ''")
    result = committed.runpytest_subprocess(SUITE, "--model=steady")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "unset the variable CI" in result.stderr.str()


@pytest.mark.parametrize(
    "hook",
    [
        pytest.param("def pytest_sessionfinish(session):\n    session.exitstatus = 0", id="exitstatus"),
        pytest.param(
            "@pytest.hookimpl(wrapper=True)\ndef pytest_runtestloop(session):\n"
            "    found = yield\n    session.testsfailed = 0\n    return found",
            id="testsfailed",
        ),
    ],
)
def test_a_regression_that_failed_a_test_fails_the_session(committed: Repository, hook: str) -> None:
    add_to_conftest(committed, hook)
    result = committed.runpytest_subprocess(*GATE, worse("blind", 5))
    assert result.ret == 1
    result.stdout.fnmatch_lines(["ERROR: segqa: steady: regressed, *; its test failed, and something set the exit*"])


def test_suites_that_are_not_collected_are_named(committed: Repository) -> None:
    committed.makepyfile(test_plain="def test_plain(): pass")
    ignored = ("--ignore-glob=*_[qrps]*.py", "test_plain.py", "suites", "--model=steady")
    result = committed.runpytest(*ignored)
    result.stdout.fnmatch_lines(
        ["warning: segqa: suites/test_*.py asks for an evaluation and was not collected, so nothing judges steady"]
    )
    assert "warning" not in committed.runpytest("test_plain.py", "--model=steady").stdout.str()


def test_the_baseline_of_a_model_that_is_gone_is_named(committed: Repository) -> None:
    path = baseline(committed)
    path.with_name("older.jsonl").write_bytes(path.read_bytes())
    result = committed.runpytest(SUITE, "--model=steady")
    assert result.ret == 0
    said = "nothing judges the baseline baselines/squares/older.jsonl: older is not declared any more"
    result.stdout.fnmatch_lines([f"warning: segqa: {said}"])
    assert read_verdict(committed)["warnings"] == [said]


def add_to_conftest(repository: Repository, code: str) -> None:
    path = repository.path / "conftest.py"
    text = path.read_text(encoding="utf-8")
    path.write_text(f"{text}\n\nimport os\nimport pytest\n{code}\n", encoding="utf-8")


def test_another_program_in_place_of_pytest_is_refused(committed: Repository) -> None:
    code = f"        __import__('os').execv('/bin/true', ['true'])\n{_PREDICT}"
    replace_in(committed, "conftest.py", _PREDICT, code)
    result = committed.runpytest_subprocess("suites", "--model=steady")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*os.exec would hide how the tests ended; use subprocess*"])


def test_a_baseline_under_another_name_says_which_one_holds_its_cases(committed: Repository) -> None:
    settings = committed.path / "pyproject.toml"
    named = settings.read_text(encoding="utf-8").replace("[tool.segqa]", '[tool.segqa]\ndataset_name = "after"', 1)
    settings.write_text(named, encoding="utf-8")
    assert committed.runpytest(SUITE, "--model=steady", "--segqa-update-baseline").ret == 0
    result = committed.runpytest(SUITE, "--model=steady")
    assert result.ret == 0
    said = (
        "warning: segqa: baselines/squares/steady.jsonl has 16 of these 16 cases, but another baseline judges them: *"
    )
    result.stdout.fnmatch_lines([said])


def test_what_an_earlier_session_left_under_the_same_id_is_forgotten(committed: Repository) -> None:
    left = committed.path / ".segqa" / "sessions" / "fixed"
    left.mkdir(parents=True)
    assert committed.runpytest(*GATE).ret == 0
    good = next((committed.path / ".segqa" / "runs").glob("*-steady-squares")).name
    (left / "steady.run").write_text(good, encoding="utf-8")
    result = committed.runpytest_subprocess(*GATE, worse("blind", 5), "-n", "2", "--testrunuid=fixed")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*steady: regressed*"])


def test_a_baseline_that_git_knows_is_to_be_restored(committed: Repository) -> None:
    for command in ("init -q", "add -A", "-c user.name=a -c user.email=a@b.c commit -qm one"):
        committed.run("git", *command.split())
    baseline(committed).unlink()
    result = committed.runpytest(*GATE)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*no baseline: baselines/squares/steady.jsonl is gone, but git knows it (commit *"])


@pytest.mark.parametrize("workers", [[], ["-n1"]], ids=["alone", "in a worker"])
def test_a_fixture_that_unsets_ci_does_not_end_the_strict_mode(committed: Repository, workers: list[str]) -> None:
    unset = "    import os\n    os.environ.pop('CI', None)\n"
    replace_in(committed, "conftest.py", _FIXTURE, f"{unset}{_FIXTURE}")
    baseline(committed).unlink()
    result = committed.runpytest(*GATE, *workers)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*segqa: no baseline*"])
