"""The starter's model `http`, from `pyproject.toml` to the verdict, before a real server."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from segqa.cli import app
from segqa.inference.evaluator import evaluate
from segqa.runs.store import Store
from tests.conftest import bright_square, write_case
from tests.serving.conftest import Bright, start_server


@pytest.fixture
def started(pytester: pytest.Pytester) -> pytest.Pytester:
    """What `segqa init` makes, and twelve squares."""
    pytest.importorskip("fastapi", reason="serving needs segqa[serve]")
    pytest.importorskip("httpx", reason="the model http needs segqa[http]")
    assert CliRunner().invoke(app, ["init", str(pytester.path)]).exit_code == 0
    for index in range(12):
        write_case(pytester.path / "squares", f"{index:02}", *bright_square(index))
    return pytester


def test_the_suites_see_a_served_model_as_they_see_it_here(started: pytest.Pytester) -> None:
    settings = started.path / "pyproject.toml"
    options = ["suites/test_quality.py", "--model=http", "--dataset=squares", "--pick=mask_score"]
    with start_server(Bright()) as url:
        settings.write_text(f'[tool.segqa.models.http]\nurl = "{url}"\ntimeout = 5\n', encoding="utf-8")
        result = started.runpytest_subprocess(*options)
    assert result.ret == 1, result.stdout.str()  # what is brighter still is never there
    store = Store(started.path / ".segqa")
    [served] = [store.load(run_id) for run_id in store.run_ids()]
    local = evaluate(Bright(), started.path / "squares", pick="mask_score")
    assert [(each.case_id, each.picked, each.counts, each.proposal_scores) for each in served.outcomes] == [
        (each.case_id, each.picked, each.counts, each.proposal_scores) for each in local.outcomes
    ]


def test_a_server_that_is_not_there_ends_the_session_with_4(started: pytest.Pytester) -> None:
    options = ["--segqa-model-option=http.url=http://127.0.0.1:9", "--segqa-model-option=http.retries=0"]
    result = started.runpytest_subprocess("suites/test_quality.py", "--model=http", "--dataset=squares", *options)
    assert result.ret == 4
    result.stdout.fnmatch_lines(["*http://127.0.0.1:9/model cannot be reached:*"])
