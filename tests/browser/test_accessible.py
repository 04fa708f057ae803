"""What axe-core finds on the page: nothing, in either theme, in every state."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import axe_playwright_python
import pytest

from segqa.report.page_data import case_key
from tests.reviewed import Reviewed

Opener = Callable[..., Any]

AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")


def violations(page: Any) -> list[str]:
    page.evaluate(AXE)
    found = page.evaluate("axe.run()")
    return [f"{one['id']}: {node['html']}" for one in found["violations"] for node in one["nodes"]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_the_page_has_no_violation(open_page: Opener, small_page: Path, scheme: str, width: int) -> None:
    assert violations(open_page(small_page, color_scheme=scheme, width=width)) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_a_case_has_no_violation(open_page: Opener, small_page: Path, scheme: str, width: int) -> None:
    page = open_page(small_page, f"#cluster=1&case={case_key('B_003')}", color_scheme=scheme, width=width)
    page.keyboard.press("a")
    page.locator("#said").get_by_text("x").count()
    assert violations(page) == []


@pytest.mark.parametrize("opener", ["#help-open", "#export-open"])
def test_dialogs_have_no_violation(open_page: Opener, small_page: Path, opener: str) -> None:
    page = open_page(small_page)
    page.locator(opener).click()
    assert violations(page) == []


def test_several_runs_have_no_violation(open_page: Opener, small: Reviewed) -> None:
    assert violations(open_page(small.page(small.before, small.run, name="two"))) == []


def test_every_control_is_reached_by_the_tabulator_in_order(open_page: Opener, small_page: Path) -> None:
    page = open_page(small_page, f"#cluster=1&case={case_key('B_003')}")
    seen = []
    for _ in range(40):
        page.keyboard.press("Tab")
        seen.append(
            page.evaluate("document.activeElement.id || document.activeElement.textContent.trim().slice(0, 20)")
        )
    order = [seen.index(name) for name in ("4 panes", "opacity", "accept as known", "note", "copy-link")]
    assert order == sorted(order)
    assert {"previous", "next", "close ×"} <= set(seen)
