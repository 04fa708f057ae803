"""The page as a folder: for servers that forbid scripts, inline styles and data addresses."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from segqa.report.page_data import case_key
from tests.reviewed import Reviewed

Opener = Callable[..., Any]

JENKINS = "sandbox allow-same-origin; default-src 'none'; img-src 'self'; style-src 'self';"


class Strict(http.server.SimpleHTTPRequestHandler):
    """Serves files as Jenkins does."""

    def end_headers(self) -> None:
        self.send_header("Content-Security-Policy", JENKINS)
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as it is declared there
        pass


@pytest.fixture(scope="module")
def folder(small: Reviewed) -> Path:
    return small.page(name="folder", format="dir").parent


@pytest.fixture
def server(folder: Path) -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Strict, directory=folder)) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{serving.server_address[1]}/index.html"
        serving.shutdown()


def test_under_jenkins_policy_the_content_is_there(browser: Any, server: str) -> None:
    page = browser.new_page()
    page.goto(server)
    assert not page.locator("#cards").is_visible()
    assert page.locator("article").count() == 24
    assert page.locator("article").first.inner_text().startswith("B_000 IoU 0.0000")
    loaded = "(image) => image.decode().then(() => image.naturalWidth)"
    strips = page.locator("article img")
    assert strips.count() == 24
    assert strips.first.evaluate(loaded) == 4 * 80 + 18
    assert page.locator(".example img").first.evaluate(loaded) == 80
    assert page.evaluate("getComputedStyle(document.querySelector('h1')).fontSize") == "17px"
    page.close()


def test_a_link_leads_to_the_case_without_a_script(browser: Any, server: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{server}#case={case_key('B_021')}")
    page.get_by_role("heading", name="B_021").wait_for()
    top = page.get_by_role("heading", name="B_021").bounding_box()["y"]
    assert 0 <= top < 720
    context.close()


def test_from_the_disk_it_is_the_same_page(open_page: Opener, folder: Path) -> None:
    page = open_page(folder / "index.html", f"#cluster=1&case={case_key('B_000')}")
    assert not page.locator("article").first.is_visible()
    assert page.locator("#position").inner_text() == "1 of 8"
    page.keyboard.press("Escape")
    assert page.locator("#cards .card").count() == 8
    thumbnail = page.locator("#cards .thumb img").first
    assert thumbnail.evaluate("(image) => image.decode().then(() => image.naturalWidth)") == 80
