from html.parser import HTMLParser

from segqa.analysis.failure_clusters.search import find_clusters
from segqa.report.pytest_html_summary import render_summary
from segqa.report.session_result import SessionResult
from segqa.runs.outcome import Outcome
from segqa.runs.run import Run
from segqa.support.escaping import to_line

PROVENANCE = {"command": "pytest", "commit": "", "dirty": False, "started": "2026", "notes": []}
HOSTILE = "</script><img src=x onerror=alert(1)>\"'&\u202e😀"


class Tags(HTMLParser):
    """All elements with their attributes, and the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += data


def render(run: Run, ending: SessionResult | None = None, page: str = "index.html") -> Tags:
    return Tags(render_summary([find_clusters(run)], ending or SessionResult(), page))


def run_of(*outcomes: Outcome, **rest: object) -> Run:
    ids = tuple(outcome.case_id for outcome in outcomes)
    values: dict[str, object] = {"model": "unet", "dataset": "photos", "provenance": PROVENANCE, **rest}
    return Run(id="r", expected=ids, outcomes=outcomes, pick="product", **values)  # type: ignore[arg-type]


def test_the_verdict_names_the_failing_tests() -> None:
    assert "Passed" in render(run_of()).words
    failing = (("suites/test_quality.py::test_mean_iou[unet]", "mean IoU 0.4 is below 0.5"),)
    failed = render(run_of(), SessionResult(failing)).words
    assert "1 test failed" in failed
    assert "test_mean_iou[unet]: mean IoU 0.4 is below 0.5" in failed


def test_whatever_comes_from_outside_is_text() -> None:
    lost = Outcome(case_id=HOSTILE, tags={HOSTILE: HOSTILE}, error=f"Traceback\nValueError: {HOSTILE}", digest="00")
    provenance = {**PROVENANCE, "command": HOSTILE, "notes": [HOSTILE], "commit": HOSTILE}
    run = run_of(lost, model=HOSTILE, dataset=HOSTILE, provenance=provenance)
    page = render(run, SessionResult(((HOSTILE, HOSTILE),)))
    names = {name for name, _ in page.elements}
    assert not names & {"script", "img"}
    assert not [attributes for _, attributes in page.elements if any(key.startswith("on") for key in attributes)]
    assert page.words.count(to_line(HOSTILE)) >= 5
    assert HOSTILE not in page.words


def test_a_session_that_was_stopped_has_not_passed() -> None:
    words = render(run_of(), SessionResult(complete=False)).words
    assert "Incomplete" in words
    assert "Passed" not in words


def test_it_leads_to_the_review_page() -> None:
    links = [
        attributes["href"] for name, attributes in render(run_of(), page="../r/index.html").elements if name == "a"
    ]
    assert links == ["../r/index.html"]
    assert not [name for name, _ in render(run_of(), page="").elements if name == "a"]


def test_nothing_is_fetched_from_anywhere() -> None:
    text = render_summary([find_clusters(run_of())], SessionResult(), "index.html")
    assert "http://" not in text.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in text
