from html.parser import HTMLParser
from pathlib import Path

import numpy as np

from segqa.cluster.search import clusters
from segqa.evaluation.evaluation import Evaluation
from segqa.metrics import Counts
from segqa.outcome import Outcome
from segqa.proposals import Proposals
from segqa.report.strips import read_strip, write_strips
from segqa.report.summary import render_summary, select_worst
from segqa.run import Run
from segqa.store import Store
from tests.conftest import bright_square, write_case
from tests.outcomes import outcome_of

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


def render(run: Run, tmp_path: Path, failing: list[tuple[str, str]] | None = None) -> Tags:
    return Tags(render_summary([clusters(run)], Store(tmp_path), failing=failing or []))


def run_of(*outcomes: Outcome, **rest: object) -> Run:
    ids = tuple(outcome.case_id for outcome in outcomes)
    values: dict[str, object] = {"model": "unet", "dataset": "photos", "provenance": PROVENANCE, **rest}
    return Run(id="r", expected=ids, outcomes=outcomes, pick="product", **values)  # type: ignore[arg-type]


def test_the_verdict_names_the_failing_tests(tmp_path: Path) -> None:
    assert "Passed" in render(run_of(), tmp_path).words
    failed = render(
        run_of(), tmp_path, [("suites/test_quality.py::test_mean_iou[unet]", "mean IoU 0.4 is below 0.5")]
    ).words
    assert "1 of the tests did not hold" in failed
    assert "test_mean_iou[unet]: mean IoU 0.4 is below 0.5" in failed


def test_whatever_comes_from_outside_is_text(tmp_path: Path) -> None:
    lost = Outcome(
        case_id=HOSTILE, tags={HOSTILE: HOSTILE}, error=f"Traceback\nValueError: {HOSTILE}", note=HOSTILE, digest="00"
    )
    provenance = {**PROVENANCE, "command": HOSTILE, "notes": [HOSTILE], "commit": HOSTILE}
    page = render(run_of(lost, model=HOSTILE, dataset=HOSTILE, provenance=provenance), tmp_path, [(HOSTILE, HOSTILE)])
    names = {name for name, _ in page.elements}
    assert not names & {"script", "img"}
    assert not [attributes for _, attributes in page.elements if any(key.startswith("on") for key in attributes)]
    assert page.words.count(HOSTILE) >= 8


def test_a_session_that_was_stopped_has_not_passed(tmp_path: Path) -> None:
    words = Tags(render_summary([clusters(run_of())], Store(tmp_path), failing=[], complete=False)).words
    assert "Incomplete" in words
    assert "Passed" not in words


def test_passing_zeros_do_not_push_failing_cases_out(tmp_path: Path) -> None:
    nothing = [outcome_of(Counts(0, 0, 0, 9), f"a{i:02}") for i in range(25)]
    run = run_of(*nothing, outcome_of(Counts(0, 0, 9, 9), "missed"), empty="zero")
    assert [outcome.case_id for outcome in select_worst(run)] == ["missed"]


def test_only_failing_cases_are_shown_and_at_most_20(tmp_path: Path) -> None:
    bad = [outcome_of(Counts(1, 9, 9, 9), f"bad{i:02}") for i in range(30)]
    good = [outcome_of(Counts(9, 0, 0, 9), f"good{i}") for i in range(5)]
    assert len(select_worst(run_of(*bad, *good))) == 20
    assert [outcome.case_id for outcome in select_worst(run_of(bad[3], *good))] == ["bad03"]


def test_strips_of_the_worst_cases_are_in_the_page(tmp_path: Path) -> None:
    class Dark:
        def predict(
            self, images: list[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]], prompts: object
        ) -> list[Proposals]:
            return [Proposals.single(image[:, :, 0] < 100) for image in images]

    for index in range(3):
        write_case(tmp_path / "data", f"[{index}] & 'x'", *bright_square(index))
    from segqa.datasets.folder import open_folder

    data, store = open_folder(tmp_path / "data"), Store(tmp_path / ".segqa")
    run = Evaluation().run(Dark(), "dark", data, store)  # type: ignore[arg-type]
    write_strips(run, select_worst(run), data, store)
    assert all(read_strip(run, outcome, store) for outcome in run.outcomes)
    page = Tags(render_summary([clusters(run)], store, failing=[]))
    sources = [attributes["src"] or "" for name, attributes in page.elements if name == "img"]
    assert len(sources) == 3
    assert all(source.startswith("data:image/webp;base64,UklGR") for source in sources)


def test_nothing_is_fetched_from_anywhere(tmp_path: Path) -> None:
    text = render_summary([clusters(run_of())], Store(tmp_path), failing=[])
    assert "http://" not in text.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in text
