"""Extend the report of pytest-html: a title, a summary, a column with the IoU, the worst case of a failure."""

from __future__ import annotations

import base64
import inspect
import os
from collections.abc import Generator
from contextlib import suppress
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from segqa.errors import StoreError
from segqa.plugin.assertions import SHOWN_RUN
from segqa.plugin.context import find_session, get_session
from segqa.plugin.requested_fixtures import find_evaluation
from segqa.plugin.session_result import build_session_result

if TYPE_CHECKING:
    from segqa.plugin.session import Session
    from segqa.runs.run import Run


class ReportHooks:
    """The hooks of pytest-html; registered only if segqa is used, since other tests have reports, too."""

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_report_title(self, report: Any) -> None:
        """Set the title of the report."""
        report.title = "segqa"

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_results_summary(self, prefix: list[str], session: pytest.Session) -> None:
        """Put verdict, scores, histogram, failure clusters and a link to the review page above the tests."""
        state = get_session(session.config)
        if not state.runs or state.shard is not None:
            return
        from segqa.report.pytest_html_summary import render_summary

        found = [state.get_clusters(run) for run in state.runs.values()]
        prefix.append(
            render_summary(found, build_session_result(session), _find_page_address(session.config), state.group_by)
        )

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_results_table_header(self, cells: list[str]) -> None:
        """Add a sortable column for the mean IoU."""
        cells.insert(2, '<th class="sortable" data-column-type="iou">IoU</th>')

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_results_table_row(self, report: pytest.TestReport, cells: list[str]) -> None:
        """Add the mean IoU of the evaluation that a test requested."""
        scores = [value for name, value in getattr(report, "user_properties", []) if name == "segqa.mean_iou"]
        shown = f"{float(scores[-1]):.4f}" if scores else ""
        cells.insert(2, f'<td class="col-iou">{shown}</td>')


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the worst case of a failing test, with a link to the review page."""
    report = yield
    state = find_session(item.config)
    if report.when == "call" and report.failed and state is not None:
        run: Run | None = item.config.stash.get(SHOWN_RUN, None) or find_evaluation(item)
        if run is not None and getattr(item.config.option, "htmlpath", None):
            found = [*getattr(report, "extras", []), *_render_extras(item.config, state, run)]
            report.extras = found  # type: ignore[attr-defined] # pytest-html's
    if report.failed:
        # on the report, since a worker sends that; its attributes are JSON
        report.segqa_title = _read_title(item)  # type: ignore[attr-defined] # ours
    if report.when == "teardown":
        item.config.stash[SHOWN_RUN] = None
    return report


def _read_title(item: pytest.Item) -> str:
    """Return the first line of a test's docstring; empty without one."""
    function = getattr(item, "function", None)
    return (inspect.getdoc(function) or "").partition("\n")[0] if function is not None else ""


def _find_page_address(config: pytest.Config) -> str:
    """Return the URL of the review page relative to pytest-html's report; empty if one of them is missing."""
    page, report = get_session(config).page, getattr(config.option, "htmlpath", None)
    if page is None or not report:
        return ""
    return quote(Path(os.path.relpath(page, (config.invocation_params.dir / report).parent)).as_posix())


def _render_extras(config: pytest.Config, session: Session, run: Run) -> list[dict[str, Any]]:
    """Return the images of the worst case and a link to it, in JSON's types, since they cross processes."""
    from pytest_html import extras

    from segqa.report.case_images import CaseImages
    from segqa.report.drawing import encode_image, media_type
    from segqa.report.page_data import permalink

    worst = run.only(run.failures().outcomes, "failing").worst(len(run.outcomes))
    shown = None
    # problems of the store are reported at the end of the session; a hook must not end it
    with suppress(StoreError), CaseImages(session.store, run.id) as case_images:
        shown = next(case_images.get_all(worst.ids, 1), None)
    if shown is None:
        return []
    (picked,) = (outcome.picked for outcome in worst.take(worst.ids.is_among({shown.case_id})))
    strip = encode_image(shown.strip(picked))
    name = escape(shown.case_id)
    address = f"data:{media_type(strip)};base64,{base64.b64encode(strip).decode()}"
    picture = f'<img alt="image, target, prediction and error map of {name}" src="{address}" width="720">'
    found = [extras.html(f"<div><p>worst: {name}: image, target, prediction, error map</p>{picture}</div>")]
    page = _find_page_address(config)
    if page and page.endswith(".html"):
        found.append(extras.url(f"{page}#{permalink(run, shown.case_id)}", name="review"))
    return found
