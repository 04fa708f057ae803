import json
import xml.etree.ElementTree as ET

import pytest

from segqa.runs.store import Store
from segqa.support.environment import compute_fair_share
from tests.plugin.workers import WORKERS

Repository = pytest.Pytester


def runs(repository: Repository) -> list[str]:
    return Store(repository.path / ".segqa").run_ids()


@pytest.mark.parametrize("workers", WORKERS)
def test_a_good_model_passes_and_leaves_a_report(repository: Repository, workers: tuple[str, ...]) -> None:
    result = repository.runpytest_subprocess("suites", *workers)
    result.assert_outcomes(passed=9)
    assert result.ret == 0
    assert len(runs(repository)) == 1
    (report,) = repository.path.glob("reports/*/report.html")
    assert report.parent.name == runs(repository)[0]
    result.stdout.fnmatch_lines(
        [
            "bright on squares: mean IoU 1.0000 (16 scored, 0 missing, 0 errors)",
            "review page: reports/*/index.html",
            f"*{report.name} -",
        ]
    )


@pytest.mark.parametrize("workers", WORKERS)
def test_a_bad_model_fails_with_number_bound_and_worst_cases(repository: Repository, workers: tuple[str, ...]) -> None:
    result = repository.runpytest_subprocess("suites/test_quality.py", "--model=inverted", *workers)
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            "E * mean IoU 0.0000 is below 0.5000",
            "E * inverted on squares (16 scored, 0 missing, 0 errors), picked by agreement",
            "E * worst 5:",
            "E * 0.0000  wrong_object  A_000",
            "E * review: reports/*-inverted-squares/index.html",
        ]
    )


def test_test_ids_name_the_model(repository: Repository) -> None:
    result = repository.runpytest("suites", "--model=inverted,bright", "-v")
    result.stdout.fnmatch_lines_random(
        ["*::test_mean_iou[[]inverted[]] FAILED*", "*::test_mean_iou[[]bright[]] PASSED*"]
    )


def test_each_model_is_gone_before_the_next_is_built(repository: Repository) -> None:
    result = repository.runpytest("suites", "--model=inverted", "--model", "bright", "-v", "-s")
    gone = [index for index, line in enumerate(result.outlines) if "inverted is gone" in line]
    second = [index for index, line in enumerate(result.outlines) if "[bright]" in line and "PASSED" in line]
    assert len(gone) == 1
    assert gone[0] < second[0]
    assert len(runs(repository)) == 2


def test_all_evaluates_every_model(repository: Repository) -> None:
    repository.runpytest("suites", "--model=all")
    assert {run_id.split("-")[2] for run_id in runs(repository)} == {"bright", "inverted"}


def test_models_are_listed(repository: Repository) -> None:
    result = repository.runpytest("--list-models")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["bright * Segments what is bright.", "inverted * Segments what is dark."])


def test_a_declared_data_set_goes_by_its_name(repository: Repository) -> None:
    result = repository.runpytest("suites", "--dataset=declared")
    result.stdout.fnmatch_lines(["bright on squares: mean IoU 1.0000 (4 scored, *"])


def test_options_reach_the_evaluation(repository: Repository) -> None:
    options = ["--limit=5", "--pick=first", "--prompt=square.", "--segqa-batch-size=2", "--segqa-empty=zero"]
    pattern = ["--segqa-name-pattern=(?P<row>[AB])_", "--segqa-model-option=bright.cutoff=150"]
    assert repository.runpytest("suites", *options, *pattern).ret == 0
    run = Store(repository.path / ".segqa").load(runs(repository)[0])
    assert len(run.outcomes) == 5
    assert (run.pick, run.empty) == ("first", "zero")
    assert run.outcomes[0].prompt == "square."
    assert run.outcomes[0].tags["row"] in "AB"
    assert "bright.cutoff=150" in run.provenance["command"]


def test_paths_are_relative_to_where_they_are_written(repository: Repository) -> None:
    conftest = repository.path / "conftest.py"
    text = conftest.read_text(encoding="utf-8") + (
        "\n\n@segqa.model\ndef shows(model_options):\n"
        "    print('options', model_options('shows', paths=['checkpoint', 'x']))\n    return Bright()\n"
    )
    conftest.write_text(text, encoding="utf-8")
    with (repository.path / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write("\n[tool.segqa.models.shows]\nx = 'in/file'\ncheckpoint = 'old'\nsize = 3\n")
    (repository.path / "elsewhere").mkdir()
    repository.chdir()
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(repository.path / "elsewhere")
        options = ["--model=shows", "-s", "--segqa-checkpoint=shows=new"]
        result = repository.runpytest_inprocess("../suites/test_quality.py", "--rootdir=..", *options)
    root = repository.path
    seen = next(line for line in result.outlines if "options" in line)
    assert f"'x': PosixPath('{root}/in/file')" in seen
    assert f"'checkpoint': PosixPath('{root}/elsewhere/new')" in seen
    assert "'size': 3" in seen


def test_a_users_own_fixture_called_model_is_not_evaluated_under_anothers_name(repository: Repository) -> None:
    conftest = repository.path / "conftest.py"
    text = conftest.read_text(encoding="utf-8") + (
        "\n\nimport pytest\n\n@pytest.fixture(scope='session')\ndef model():\n    return 3\n"
        "\n@pytest.fixture\ndef dataset():\n    return 4\n"
    )
    conftest.write_text(text, encoding="utf-8")
    repository.makepyfile(test_own="def test_own(model, dataset): assert (model, dataset) == (3, 4)")
    repository.runpytest("suites", "test_own.py").assert_outcomes(passed=10)


def test_a_users_own_fixture_called_evaluation_is_no_run(repository: Repository) -> None:
    repository.makepyfile(
        test_own="import pytest\n\n@pytest.fixture\ndef evaluation():\n    return 3\n"
        "\ndef test_own(evaluation, thresholds): assert evaluation == 3\n"
        "\ndef test_failing(evaluation, thresholds): assert evaluation == 4\n"
    )
    repository.runpytest("test_own.py", "--html=own.html").assert_outcomes(passed=1, failed=1)


def test_an_assertion_with_not_tells_the_truth(repository: Repository) -> None:
    repository.makepyfile(
        test_own="def test_own(evaluation):\n    assert not evaluation.mean_iou > 0.9\n"
        "def test_slice(evaluation):\n    evaluation.slice('camera', 'C2')\n"
    )
    result = repository.runpytest("test_own.py")
    result.stdout.fnmatch_lines(
        [
            "E * not mean IoU 1.0000 is above 0.9000",
            "*no case has a tag or property 'camera'; known: border, brightness*",
        ]
    )


def test_nothing_scored_is_said_so(repository: Repository) -> None:
    for path in (repository.path / "squares" / "masks").iterdir():
        path.write_bytes(b"no picture")
    result = repository.runpytest("suites/test_quality.py")
    result.stdout.fnmatch_lines(["E * mean IoU is undefined, nothing was scored (bound 0.5000)"])
    result.assert_outcomes(failed=6)


def test_with_few_cases_the_slice_test_is_skipped(repository: Repository) -> None:
    result = repository.runpytest("suites/test_slices.py", "--limit=6", "-rs")
    result.assert_outcomes(passed=1, skipped=1)
    result.stdout.fnmatch_lines(["*no slice has 8 cases: tags come from metadata.csv*"])


@pytest.mark.parametrize("option", ["--help", "--fixtures", "--markers", "--collect-only"])
def test_asking_leaves_nothing_behind(repository: Repository, option: str) -> None:
    assert repository.runpytest_subprocess(option).ret == 0
    assert not (repository.path / "reports").exists()
    assert not (repository.path / ".segqa").exists()


def test_a_model_that_cannot_be_built_does_not_stop_the_others(repository: Repository) -> None:
    conftest = repository.path / "conftest.py"
    text = conftest.read_text(encoding="utf-8") + (
        "\n\n@segqa.model\ndef a_lost_one():\n    from segqa.errors import ModelError\n"
        "    raise ModelError('no weights')\n"
    )
    conftest.write_text(text, encoding="utf-8")
    result = repository.runpytest_subprocess("suites/test_quality.py", "--model=a_lost_one,bright")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.assert_outcomes(passed=6, errors=6)
    result.stdout.fnmatch_lines(["bright on squares: mean IoU 1.0000*", "ERROR: segqa: no weights"])


def test_several_models_stand_side_by_side(repository: Repository) -> None:
    repository.runpytest_subprocess("suites", "--model=inverted,bright", "-n", "2")
    (report,) = repository.path.glob("reports/*/report.html")
    page = report.read_text(encoding="utf-8")
    assert "Side by side" in page
    assert page.index("<h2>inverted on squares") < page.index("<h2>bright on squares")


def test_only_the_held_out_cases_are_evaluated(repository: Repository) -> None:
    result = repository.runpytest("suites/test_quality.py", "--segqa-held-out")
    result.stdout.fnmatch_lines(["bright on squares: mean IoU 1.0000 (4 scored, *"])


def test_thresholds_of_a_model_hold_for_it_alone(repository: Repository) -> None:
    with (repository.path / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write("\n[tool.segqa.thresholds]\nmean_iou = 0.1\n[tool.segqa.thresholds.inverted]\nmean_iou = 0.0\n")
    result = repository.runpytest("suites", "--model=all", "-k", "test_mean_iou")
    result.assert_outcomes(passed=2)


def test_directories_can_be_chosen(repository: Repository) -> None:
    repository.runpytest("suites", "--segqa-cache-dir=kept", "--segqa-report=pages")
    assert list(repository.path.glob("pages/*/report.html"))
    assert list(repository.path.glob("kept/runs/*/run.json"))
    assert not (repository.path / ".segqa").exists()
    assert not (repository.path / "reports").exists()


@pytest.mark.parametrize("workers", WORKERS)
def test_scores_reach_junit_xml(repository: Repository, workers: tuple[str, ...]) -> None:
    repository.runpytest_subprocess("suites", "--junitxml=junit.xml", "-k", "test_mean_iou", *workers)
    tree = ET.parse(repository.path / "junit.xml")  # noqa: S314 - our own
    properties = {node.get("name"): node.get("value") for node in tree.iter("property")}
    assert properties["segqa.mean_iou"] == "1.0"
    assert properties["segqa.model"] == "bright"
    assert properties["segqa.errors"] == "0"
    assert properties["segqa.cluster"] == ""
    assert str(properties["segqa.report"]).endswith("index.html")


def test_pytest_html_goes_where_the_user_says(repository: Repository) -> None:
    repository.runpytest("suites", "--html=mine.html")
    (page,) = repository.path.glob("reports/*/*.html")
    assert f"reports/{page.parent.name}/index.html" in (repository.path / "mine.html").read_text(encoding="utf-8")


def test_without_pytest_html_the_suites_still_run(repository: Repository) -> None:
    result = repository.runpytest_subprocess("suites", "-p", "no:html", "-p", "no:metadata")
    assert result.ret == 0
    assert [page.name for page in repository.path.glob("reports/*/*.html")] == ["index.html"]


def test_tests_that_do_not_use_segqa_leave_nothing_behind(repository: Repository) -> None:
    repository.makepyfile(test_plain="def test_plain(): pass")
    result = repository.runpytest_subprocess("test_plain.py")
    assert result.ret == 0
    assert not (repository.path / ".segqa").exists()
    assert not (repository.path / "reports").exists()
    result.stdout.no_fnmatch_line("*html report*")
    result.stdout.no_fnmatch_line("*segqa:*")


def test_a_repository_without_models_is_left_alone(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_plain(): pass")
    # would be refused if anybody looked at it
    pytester.makepyprojecttoml("[tool.segqa]\nmodle = 1")
    result = pytester.runpytest_subprocess()
    assert result.ret == 0
    result.stdout.no_fnmatch_line("*segqa:*")


def test_an_unused_plugin_imports_nothing_heavy(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import sys

        def test_plain():
            assert not {"numpy", "cv2", "scipy", "PIL", "torch", "tqdm", "filelock"} & set(sys.modules)
        """
    )
    assert pytester.runpytest_subprocess("-p", "no:hypothesispytest").ret == 0


def test_an_unused_plugin_is_not_called_for_each_test(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import sys

        def test_plain(request):
            hooks = request.config.pluginmanager.hook
            for hook in (hooks.pytest_runtest_makereport, hooks.pytest_runtest_call):
                assert not [each.plugin_name for each in hook.get_hookimpls() if "segqa" in each.plugin_name]
            assert "segqa.settings" not in sys.modules
        """
    )
    assert pytester.runpytest_subprocess("-p", "no:hypothesispytest").ret == 0


@pytest.mark.parametrize("workers", WORKERS)
def test_errors_are_listed_and_break_the_budget(repository: Repository, workers: tuple[str, ...]) -> None:
    (repository.path / "squares" / "images" / "A_000.png").write_bytes(b"")
    result = repository.runpytest_subprocess("suites", *workers)
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        ["*share of errors 0.0625 is above 0.0000", "*error   A_000  CaseError: A_000.png is empty*"]
    )


def test_a_resumed_run_says_so(repository: Repository) -> None:
    repository.makeconftest(
        (repository.path / "conftest.py")
        .read_text(encoding="utf-8")
        .replace(
            "    def predict(self, images, prompts):\n        return [Proposals.single(image[:, :, 0] >",
            "    def predict(self, images, prompts):\n"
            "        import os, pathlib\n"
            "        pathlib.Path('asked').open('a').write(f'{len(images)}\\n')\n"
            "        if os.environ.get('STOP') and len(pathlib.Path('asked').read_text().split()) > 2:\n"
            "            raise KeyboardInterrupt\n"
            "        return [Proposals.single(image[:, :, 0] >",
        )
    )
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("STOP", "1")
        result = repository.runpytest_subprocess("suites", "--segqa-batch-size=4")
        assert result.ret == pytest.ExitCode.INTERRUPTED
        result.stdout.fnmatch_lines(
            ["segqa: bright: 8 of 16 cases are done and kept; the same command goes on from there"]
        )
    result = repository.runpytest_subprocess("suites", "--segqa-batch-size=4")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        ["bright on squares: mean IoU 1.0000 (16 scored*", "  resumed: 8 cases had been done before"]
    )
    assert len(runs(repository)) == 1


def test_the_run_states_where_it_comes_from(repository: Repository) -> None:
    repository.runpytest("suites", "--limit=3")
    header = json.loads((repository.path / ".segqa" / "runs" / runs(repository)[0] / "run.json").read_text())
    provenance = header["run"]["provenance"]
    assert "suites --limit=3" in provenance["command"]
    assert provenance["fingerprint"] == "bright-100"
    assert provenance["commit"] == ""


def test_rescoring_neither_builds_nor_asks_the_model(repository: Repository) -> None:
    repository.runpytest_subprocess("suites/test_quality.py")
    conftest = repository.path / "conftest.py"
    text = conftest.read_text(encoding="utf-8").replace('return Bright(**model_options("bright"))', "raise SystemError")
    conftest.write_text(text, encoding="utf-8")
    result = repository.runpytest_subprocess("suites/test_quality.py", "--segqa-rescore", "--pick=first", "-n", "2")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*16 of 16 answered from stored proposals"])


def test_rescoring_says_what_is_missing(repository: Repository) -> None:
    repository.runpytest_subprocess("suites/test_quality.py", "--limit=5")
    result = repository.runpytest_subprocess("suites/test_quality.py", "--segqa-rescore")
    assert result.ret == 4
    result.stdout.fnmatch_lines(["*11 of 16 cases have no stored proposals of bright, such as *"])
    result = repository.runpytest_subprocess("suites", "--segqa-rescore", "--segqa-no-cache")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*--segqa-rescore asks no model*"])


def test_models_evaluated_side_by_side_share_the_cores(repository: Repository) -> None:
    conftest = repository.path / "conftest.py"
    text = conftest.read_text(encoding="utf-8").replace(
        "        return [Proposals.single(image[:, :, 0] > self.cutoff)",
        '        import cv2, pathlib\n        pathlib.Path("threads.txt").write_text(str(cv2.getNumThreads()))\n'
        "        return [Proposals.single(image[:, :, 0] > self.cutoff)",
    )
    conftest.write_text(text, encoding="utf-8")
    repository.runpytest_subprocess("suites/test_quality.py", "--model=bright,inverted", "-n", "2")
    assert (repository.path / "threads.txt").read_text(encoding="utf-8") == str(compute_fair_share(2))


def test_what_is_imported_is_no_garbage_until_the_session_ends(repository: Repository) -> None:
    repository.makepyfile(test_own="import gc\n\ndef test_own(): print('frozen', gc.get_freeze_count() > 0)")
    script = repository.makepyfile(
        script="import gc, pytest\npytest.main(['test_own.py', '-sq'])\nprint('in the end', gc.get_freeze_count())"
    )
    result = repository.runpython(script)
    result.stdout.fnmatch_lines(["frozen True*", "in the end 0"])
    (repository.path / "conftest.py").write_text("", encoding="utf-8")
    repository.runpython(script).stdout.fnmatch_lines(["frozen False*", "in the end 0"])
