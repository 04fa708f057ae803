"""Whatever comes from outside is text: no script runs, nothing breaks."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from segqa.analysis.failure_clusters.search import find_clusters
from segqa.analysis.label_errors import LabelError
from segqa.report.exports import JudgedRun
from segqa.report.page import write_review
from segqa.report.page_data import case_key
from segqa.report.session_result import SessionResult
from segqa.runs.outcome import Outcome
from segqa.runs.run import Run
from segqa.runs.store import Store
from tests.reviewed import Reviewed, reviewed

Opener = Callable[..., Any]

SCRIPT = "</script><script>document.title='owned'</script>"
TEXTS = {
    "script": SCRIPT,
    "comment": "<!--<script>",
    "image": "<img src=x onerror=\"document.title='owned'\">",
    "quotes": "\"'`${document.title='owned'}\\",
    "template": "{{ 7 * 7 }}{% raw %}",
    "right to left": "\u202egnp.eman \u2067\u200f",
    "long": "x" * 10_000,
    "emoji": "👩🏽‍🚀 ZWJ \u200d \U0001f1e8\U0001f1ed",
    "separators": "a\u2028b\u2029c\x85d\x1b[31m",
    "address": "&case=1#kind=x%00%2F+=",
    "link": "javascript:document.title='owned'",
}


def hostile(text: str) -> tuple[JudgedRun, SessionResult]:
    """A run in which everything is called so."""
    lost = [
        Outcome(
            case_id=f"{text}{number}",
            prompt=text,
            tags={text: text, f"other {text}": str(number % 2)},
            error=f"Traceback\n  {text}\nValueError: {text}",
            note=text,
            digest="00",
        )
        for number in range(9)
    ]
    lost += [replace(outcome, case_id=f"{outcome.case_id}-", prompt="other", tags={}) for outcome in lost]
    provenance = {
        "command": f"pytest {text}",
        "commit": text,
        "fingerprint": text,
        "started": text,
        "notes": [text],
        "options": {"device": text, text: text},
        "versions": {text: text},
        "machine": text,
    }
    ids = tuple(outcome.case_id for outcome in lost)
    run = Run("r", text, text, ids, tuple(lost), text, provenance=provenance)
    return JudgedRun(run, None, text, find_clusters(run)), SessionResult(((text, text),), {"failed": 1})


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_text_from_outside_stays_text(open_page: Opener, tmp_path: Path, text: str) -> None:
    judged, ending = hostile(text)
    suspicions = [LabelError(text, text, (text, text), 0.5)]
    path = write_review([judged, judged], Store(tmp_path), tmp_path, ending=ending, suspicions=suspicions)
    page = open_page(path)
    assert page.title().startswith("FAILED · ")
    assert page.evaluate("document.scripts.length") == 2  # the data and ours
    assert page.locator("#cards .card").count() == 18
    page.locator("#cards .card").first.click()
    assert page.locator("#case-id").text_content() == judged.run.outcomes[0].case_id
    assert text in page.locator("#case-error").text_content()
    assert text in page.locator("#tags").text_content()
    page.keyboard.press("a")
    page.keyboard.press("Escape")
    page.locator("#export-open").click()
    assert page.locator("#known").input_value().startswith("[[tool.segqa.known]]")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_an_injected_script_is_blocked_by_the_pages_own_policy(browser: Any, small_page: Path, tmp_path: Path) -> None:
    text = small_page.read_text(encoding="utf-8")
    image = "<img src='https://example.com/x.png' onerror=\"document.title='owned'\">"
    injected = f"<script>document.title='owned'</script>{image}"
    path = tmp_path / "injected.html"
    path.write_text(text.replace("<main>", f"<main>{injected}"), encoding="utf-8")
    page = browser.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(path.as_uri())
    assert page.title().startswith("REGRESSED")
    assert len([line for line in said if "Content Security Policy" in line]) >= 2
    page.close()


NAMES = [
    "file names.with [brackets] & spaces",
    'it\'s "quoted" `ticks` $HOME',
    "and",
    "id=x or not",
    "ü ñ 日本 👩🏽‍🚀",
    "a%20b#c?d",
    "-rf --help",
    "constructor",
    "__proto__",
    "\u202egnp.exe",
]


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Reviewed:
    """Real files with such names."""
    return reviewed(tmp_path_factory.mktemp("named"), 24, NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_files_of_any_name_can_be_looked_at_and_evaluated_again(open_page: Opener, named: Reviewed, name: str) -> None:
    page = open_page(named.page(), f"#case={case_key(name)}")
    assert page.locator("#case-id").text_content() == name
    assert page.locator("#panes").is_visible()
    words = shlex.split(page.locator("#command").text_content())
    assert words[:4] == ["pytest", "suites", "--model=two", "--segqa-where"]
    assert [outcome.case_id for outcome in named.run.where(words[4]).outcomes] == [name]
    page.keyboard.press("a")
    assert page.locator("#export-open").text_content() == "Export 1 decision"
    page.keyboard.press("Escape")
    page.locator("#q").fill(name.split(maxsplit=1)[0])
    assert re.match(r"[1-9]", page.locator("#count").inner_text())


def test_slices_whose_names_need_quotes_can_be_chosen(open_page: Opener, tmp_path: Path) -> None:
    cases = [
        Outcome(case_id=str(number), tags={"the action": ["Modern Jazz", "it's 'x'=y"][number % 2]}, error="Traceback")
        for number in range(20)
    ]
    run = Run("r", "m", "d", tuple(o.case_id for o in cases), tuple(cases), "product")
    page = open_page(write_review([JudgedRun(run, None, "", find_clusters(run))], Store(tmp_path), tmp_path))
    for link in page.get_by_role("region", name="slices, table").get_by_role("link").all():
        link.click()
        assert page.locator("#count").inner_text() == "10 of 20 cases"
    page.locator("#slice").select_option(index=1)
    assert page.locator("#count").inner_text() == "10 of 20 cases"
