"""Claim the folder of the reports, and remove it if no test evaluates a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from segqa.plugin.context import is_hosting, runs_no_tests
from segqa.plugin.xdist_messages import FOLDER, REPORT, is_worker, read_input
from segqa.support.escaping import to_block

if TYPE_CHECKING:  # numpy and OpenCV would load with them
    from segqa.plugin.session import Session


def claim_report_folder(config: pytest.Config, session: Session) -> None:
    """Claim a folder, and let pytest-html write a self-contained report there unless the user has named another file.

    A shard has no report.

    Raises:
        pytest.UsageError: the folder cannot be made.
    """
    if not session.chosen_models or session.shard is not None or is_hosting(config) or runs_no_tests(config):
        return
    has_html = hasattr(config.option, "htmlpath")
    if is_worker(config):  # its findings name the reports
        session.folder = Path(read_input(config, FOLDER))
        if has_html:
            config.option.htmlpath = read_input(config, REPORT)
        return
    try:
        folder = session.claim_folder()
    except OSError as error:
        raise pytest.UsageError(f"segqa: cannot write a report: {to_block(str(error))}; see --segqa-report") from error
    if has_html and config.option.htmlpath is None:
        session.writes_html = True
        config.option.htmlpath = str(folder / "report.html")
        config.option.self_contained_html = True


def withdraw_report(config: pytest.Config, session: Session) -> None:
    """Keep pytest-html from writing a report, and remove the folder: no test has asked for an evaluation.

    Call this before the test loop ends: pytest-html writes when the session finishes.
    """
    if session.writes_html:
        from pytest_html.basereport import BaseReport

        for plugin in config.pluginmanager.get_plugins():
            if isinstance(plugin, BaseReport):
                config.pluginmanager.unregister(plugin)
    if session.folder is not None:
        remove_empty_folders(session.folder)


def remove_empty_folders(folder: Path) -> None:
    """Remove a folder, and the one it is in, if they are empty."""
    for each in (folder, folder.parent):
        if each.is_dir() and not any(each.iterdir()):
            each.rmdir()
