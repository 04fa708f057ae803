"""What a session leaves to be looked at: the review page, and pytest-html's report with the way to it."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from segqa.report.case_images import CaseImages
from segqa.report.page_data import case_key
from segqa.runs.store import Store
from tests.plugin.workers import MOSTLY_ONE
from tests.report.test_pytest_html_summary import Tags

Repository = pytest.Pytester


def the(repository: Repository, name: str) -> Path:
    (path,) = repository.path.glob(f"reports/*/{name}")
    return path


def data_of(page: Path) -> Any:
    found = re.search(r'id="data">(.*?)</script>', page.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    return json.loads(found[1])


@pytest.mark.parametrize("workers", MOSTLY_ONE)
def test_a_failing_test_shows_its_worst_case_and_leads_to_it(repository: Repository, workers: tuple[str, ...]) -> None:
    repository.runpytest_subprocess("suites/test_quality.py", "--model=inverted", *workers)
    text = the(repository, "report.html").read_text(encoding="utf-8").replace("&#34;", '"').replace("&quot;", '"')
    assert "worst: A_000: image, target, prediction, error map" in text.replace("&lt;", "<")
    assert f"case={case_key('A_000')}" in text
    assert (
        "<code>suites/test_quality.py::test_mean_iou[inverted]</code>: <b>mean IoU 0.0000 is below 0.5000</b>"
        in the(repository, "index.html").read_text(encoding="utf-8")
    )
    assert "data:image/webp;base64,UklGR" in text


def test_the_test_log_has_a_column_of_iou(repository: Repository) -> None:
    repository.runpytest_subprocess("suites/test_quality.py", "--model=inverted,bright")
    text = the(repository, "report.html").read_text(encoding="utf-8")
    assert '<th class="sortable" data-column-type="iou">IoU</th>' in text
    (blob,) = (attributes["data-jsonblob"] for _, attributes in Tags(text).elements if "data-jsonblob" in attributes)
    rows = {name: "".join(rows[0]["resultsTableRow"]) for name, rows in json.loads(str(blob))["tests"].items()}
    for model, shown in (("inverted", "0.0000"), ("bright", "1.0000")):
        assert f'<td class="col-iou">{shown}</td>' in rows[f"suites/test_quality.py::test_mean_iou[{model}]"]


def test_a_test_about_a_slice_shows_the_worst_case_of_the_slice(repository: Repository) -> None:
    repository.makepyfile(
        test_slice="def test_b(evaluation): assert evaluation.where('target_area>0 and id=B_003').mean_iou >= 0.5"
    )
    repository.runpytest_subprocess("test_slice.py", "--model=inverted")
    assert f"case={case_key('B_003')}" in the(repository, "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("workers", MOSTLY_ONE)
def test_the_page_has_the_tests_and_the_pictures(repository: Repository, workers: tuple[str, ...]) -> None:
    repository.runpytest_subprocess("suites/test_quality.py", "--model=inverted", *workers)
    page = the(repository, "index.html")
    text = page.read_text(encoding="utf-8")
    assert "tests failed</h2>" in text
    assert "mean IoU 0.0000 is below 0.5000" in text
    assert len(data_of(page)["runs"][0]["exhibit"]) == 16


def test_models_of_a_session_share_a_page_and_its_cases(repository: Repository) -> None:
    repository.runpytest_subprocess("suites/test_quality.py", "--model=bright,inverted", "--segqa-report-images=2")
    first, second = data_of(the(repository, "index.html"))["runs"]
    assert (first["model"], second["model"]) == ("bright", "inverted")
    assert first["exhibit"].keys() == second["exhibit"].keys()
    assert 2 <= len(first["exhibit"]) <= 4


def test_the_baseline_stays_with_the_run(repository: Repository) -> None:
    repository.runpytest_subprocess("suites/test_quality.py", "--segqa-update-baseline", "--segqa-allow-dirty")
    repository.runpytest_subprocess("suites/test_quality.py", "--segqa-report=second")
    (page,) = repository.path.glob("second/*/index.html")
    assert "bright: identical" in page.read_text(encoding="utf-8")
    assert data_of(page)["runs"][0]["before"] == [1.0] * 16
    run_id = page.parent.name
    (repository.path / "baselines").rename(repository.path / "gone")
    repository.run(sys.executable, "-c", "from segqa.cli import app; app()", "report", run_id, "--out", "rebuilt")
    rebuilt = (repository.path / "rebuilt" / "index.html").read_text(encoding="utf-8")
    assert rebuilt == page.read_text(encoding="utf-8")


def test_a_folder_for_servers_that_forbid_scripts(repository: Repository) -> None:
    repository.runpytest_subprocess("suites/test_quality.py", "--model=inverted", "--segqa-report-format=dir")
    page = the(repository, "index.html")
    assert "<article" in page.read_text(encoding="utf-8")
    assert len(list(page.parent.glob("index_files/strips/*.webp"))) == 16
    assert (page.parent / "index_files" / "review.css").is_file()


def test_the_numbers_alone(repository: Repository) -> None:
    result = repository.runpytest_subprocess("suites/test_quality.py", "--segqa-report-format=json")
    assert json.loads(the(repository, "report.json").read_text(encoding="utf-8"))["runs"][0]["model"] == "bright"
    result.stdout.fnmatch_lines(["review page: reports/*/report.json"])


def test_photos_can_be_left_out(repository: Repository) -> None:
    repository.runpytest_subprocess("suites/test_quality.py", "--model=inverted", "--segqa-report-images=none")
    text = the(repository, "index.html").read_text(encoding="utf-8")
    assert 'id="im-' not in text
    assert 'id="th-0"' in text
    (run_id,) = Store(repository.path / ".segqa").run_ids()
    with CaseImages(Store(repository.path / ".segqa"), run_id) as exhibits:
        kept = exhibits.get("A_000")
    assert kept is not None
    assert kept.photo == b""


def test_settings_of_the_page_stand_in_pyproject(repository: Repository) -> None:
    with (repository.path / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write('\n[tool.segqa.report]\nimages = 3\nimage_size = 32\nformat = "html"\n')
    repository.runpytest_subprocess("suites/test_quality.py", "--model=inverted")
    assert "photos and masks of 3 of 16 cases" in the(repository, "index.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("option", "problem"),
    [
        ("--segqa-report-images=few", "--segqa-report-images must be a whole number from 0, or none, got 'few'"),
        ("--segqa-report-image-size=9", "--segqa-report-image-size must be from 32 to 4096 pixels, got 9"),
        ("--segqa-report-max-mb=0", "--segqa-report-max-mb must be a number of megabytes from 0.1 to 500, got 0.0"),
    ],
)
def test_what_makes_no_sense_ends_with_4(repository: Repository, option: str, problem: str) -> None:
    result = repository.runpytest_subprocess("suites", option)
    assert result.ret == 4
    result.stderr.fnmatch_lines([f"*{problem}*"])


def test_no_page_says_where_the_repository_lies(repository: Repository) -> None:
    repository.makepyfile(
        test_lost="import segqa\n\n\ndef test_lost(evaluation):\n    assert evaluation.error_share <= 0\n"
    )
    (repository.path / "squares" / "masks" / "A_000.png").write_bytes(b"no picture")
    repository.run(sys.executable, "-m", "pytest", "test_lost.py")
    for name in ("index.html", "verdict.json"):
        assert str(repository.path) not in the(repository, name).read_text(encoding="utf-8")


def test_the_test_log_of_others_is_left_alone(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_plain(): pass")
    pytester.runpytest_subprocess("--html=log.html")
    text = (pytester.path / "log.html").read_text(encoding="utf-8")
    assert "log.html" in text
    assert "IoU" not in text


def test_the_way_from_a_log_elsewhere_is_quoted(repository: Repository) -> None:
    repository.runpytest_subprocess("suites", "--segqa-report=my #1 reports", "--html=other/dir/log.html")
    assert "my%20%231%20reports/" in (repository.path / "other/dir/log.html").read_text(encoding="utf-8")
