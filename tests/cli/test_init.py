import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import segqa
from segqa.cli import app


def init(folder: Path) -> str:
    result = CliRunner().invoke(app, ["init", str(folder)])
    assert result.exit_code == 0
    return result.output


def test_a_new_repository_can_be_tested_at_once(pytester: pytest.Pytester) -> None:
    init(pytester.path)
    result = pytester.runpytest_subprocess("suites/test_quality.py", "--limit=4", "-k", "mean_iou or error")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*hog_grabcut on studio: mean IoU 0.* (4 scored, 0 missing, 0 errors)"])


ALONE = """
import sys
sys.path = [path for path in sys.path if path not in {roots!r}]
import pytest
sys.exit(pytest.main({arguments!r}))
"""


@pytest.mark.parametrize("mode", ["importlib", "prepend", "append"])
@pytest.mark.parametrize("other", [True, False], ids=["with a package called fixtures", "alone"])
def test_the_models_are_found_by_an_installed_package_from_anywhere(tmp_path: Path, mode: str, other: bool) -> None:
    site, here, new = (tmp_path / name for name in ("site", "here", "new"))
    site.mkdir()
    here.mkdir()
    # as in a wheel, nothing but the package can be imported
    (site / "segqa").symlink_to(Path(segqa.__file__).parent)
    if other:
        (site / "fixtures").mkdir()
        (site / "fixtures" / "__init__.py").touch()
    init(new)
    (new / "fixtures" / "data.py").write_text("from .models import hog_grabcut\n", encoding="utf-8")
    roots = [path for path in sys.path if (Path(path or ".") / "fixtures").is_dir()]
    arguments = [str(new / "suites"), f"--rootdir={here}", f"--import-mode={mode}", "--list-models"]
    listed = subprocess.run(
        [sys.executable, "-c", ALONE.format(roots=roots, arguments=arguments)],
        cwd=here,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (listed.returncode, listed.stderr) == (0, "")
    assert listed.stdout.startswith("detect_segment ")


def test_a_file_of_fixtures_that_is_not_there_is_named(pytester: pytest.Pytester) -> None:
    init(pytester.path)
    (pytester.path / "fixtures" / "data.py").unlink()
    result = pytester.runpytest_subprocess("--list-models")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["ERROR: segqa: no file */fixtures/data.py; expected one that declares*"])


def test_what_is_there_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text("mine = True\n", encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'mine'\n", encoding="utf-8")
    said = init(tmp_path)
    assert "kept" in said
    assert 'add to it:\n\n[tool.pytest.ini_options]\ntestpaths = ["suites"]' in said
    assert '\n[tool.segqa]\nmodel = "hog_grabcut"' in said
    assert 'load_fixtures(pluginmanager, FIXTURES / "models.py", FIXTURES / "data.py")' in said
    assert (tmp_path / "conftest.py").read_text(encoding="utf-8") == "mine = True\n"
    assert "segqa" not in (tmp_path / "pyproject.toml").read_text(encoding="utf-8")
    assert (tmp_path / "suites" / "test_quality.py").is_file()


def test_a_second_time_changes_nothing(tmp_path: Path) -> None:
    init(tmp_path)
    assert "made" not in init(tmp_path)


def test_git_is_kept_from_merging_baselines(tmp_path: Path) -> None:
    (tmp_path / ".gitattributes").write_text("*.png binary", encoding="utf-8")
    for _ in range(2):
        assert CliRunner().invoke(app, ["init", str(tmp_path)]).exit_code == 0
    lines = (tmp_path / ".gitattributes").read_text(encoding="utf-8").splitlines()
    assert lines == ["*.png binary", "baselines/**/*.jsonl -merge"]


def test_git_ignores_what_a_run_writes_and_not_the_baselines(tmp_path: Path) -> None:
    init(tmp_path)
    assert (tmp_path / ".gitignore").read_bytes() == b".segqa/\nreports/\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"*.pt", b"*.pt\n.segqa/\nreports/\n"),
        (b"\xe9t\xe9\r\n", b"\xe9t\xe9\r\n.segqa/\nreports/\n"),
        (b"/reports\n", b"/reports\n.segqa/\n"),
        (b".segqa\nreports/", b".segqa\nreports/"),
        (b"# reports/\n", b"# reports/\n.segqa/\nreports/\n"),
    ],
    ids=["no end of line", "other encoding", "one of them", "both", "in a comment"],
)
def test_an_existing_gitignore_is_only_added_to(tmp_path: Path, before: bytes, after: bytes) -> None:
    (tmp_path / ".gitignore").write_bytes(before)
    for _ in range(2):
        init(tmp_path)
    assert (tmp_path / ".gitignore").read_bytes() == after


def test_the_new_folder_is_the_rootdir_of_pytest_below_another_project(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nxfail_strict = true")
    init(pytester.path / "new")
    pytester.chdir()
    for start in (".", "new"):
        with pytest.MonkeyPatch.context() as patched:
            patched.chdir(pytester.path / start)
            result = pytester.runpytest_subprocess(os.path.relpath(pytester.path / "new/suites"), "--collect-only")
        assert result.ret == 0
        result.stdout.fnmatch_lines([f"rootdir: {pytester.path}/new", "configfile: pyproject.toml"])


@pytest.mark.parametrize(
    ("name", "text"), [("pytest.ini", ""), ("setup.cfg", "[tool:pytest]"), ("tox.ini", "[pytest]")]
)
def test_a_folder_with_a_configuration_of_pytest_gets_no_second_one(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    init(tmp_path)
    assert "[tool.pytest" not in (tmp_path / "pyproject.toml").read_text(encoding="utf-8")
