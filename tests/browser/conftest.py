"""A real Chromium, and a page in it that must not complain: no error, no request, nothing blocked by its own policy."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.reviewed import Reviewed, reviewed

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")

ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
_WATCH = "addEventListener('securitypolicyviolation', (e) => console.error('blocked: ' + e.violatedDirective));"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of these are marked."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Not longer than a module: its event loop would be in the way of other tests in the same process."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("Chromium is not there (apt-get install chromium)")
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield opened
        opened.close()


Opener = Callable[..., Any]


@pytest.fixture
def open_page(browser: Any) -> Iterator[Opener]:
    """Opens a file in a page of its own, and checks at the end that it had nothing to complain of."""
    complaints: list[str] = []
    contexts = []

    def opened(path: Path | str, fragment: str = "", *, width: int = 1440, height: int = 900, **options: Any) -> Any:
        options.setdefault("accept_downloads", True)
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        page = context.new_page()
        page.add_init_script(_WATCH)
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(f"dialog {dialog.message}"))
        page.on("request", lambda request: complaints.append(request.url) if request.url.startswith("http") else None)
        page.goto((path.as_uri() if isinstance(path, Path) else path) + fragment)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Reviewed:
    """24 cases, of which the 8 of camera B are wrong and were right in the baseline."""
    return reviewed(tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="session")
def small_page(small: Reviewed) -> Path:
    """Its page."""
    return small.page()
