"""The page without a browser: its parts, its size, its bytes."""

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

from segqa.analysis.failure_clusters.search import find_clusters
from segqa.data.rle import decode_mask
from segqa.errors import SettingsError
from segqa.report.examples import select_varied
from segqa.report.exports import JudgedRun
from segqa.report.page import write_review
from segqa.report.page_data import case_key, shorten_traceback
from segqa.report.session_result import SessionResult, read_ending, write_ending
from segqa.report.write import write_report
from segqa.runs.outcome import Outcome, ProposalScore
from segqa.runs.run import Run
from segqa.runs.store import Store
from segqa.scoring.metrics import Counts
from segqa.settings import GateSettings, ReportSettings, parse_report, parse_settings
from tests.outcomes import outcome_of
from tests.report.test_pytest_html_summary import Tags
from tests.reviewed import Reviewed, reviewed


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Reviewed:
    return reviewed(tmp_path_factory.mktemp("review"))


def block(text: str, name: str) -> Any:
    """What stands in a data block of the page."""
    found = re.search(rf'<script type="application/json" id="{name}">(.*?)</script>', text, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def test_the_columns_are_those_of_the_run(small: Reviewed) -> None:
    text = small.page().read_text(encoding="utf-8")
    data = block(text, "data")
    (run,) = data["runs"]
    assert run["id"] == [outcome.case_id for outcome in small.run.outcomes]
    assert run["iou"] == [round(small.run.iou(outcome), 9) for outcome in small.run.outcomes]
    assert [data["kinds"][kind] or None for kind in run["kind"]] == [small.run.kind(o) for o in small.run.outcomes]
    assert [run["id"][place] for place in run["clusters"][0]["cases"]] == [f"B_{i:03}" for i in range(0, 24, 3)]
    camera = run["attributes"]["camera"]
    assert [camera["values"][at] for at in camera["of"]] == [o.tags["camera"] for o in small.run.outcomes]
    assert [change for change, name in zip(run["change"], run["id"], strict=True) if name[0] == "B"] == [1] * 8
    layers = block(text, f"ex-{run['exhibit'][str(run['id'].index('B_000'))]}")
    counts = small.run.outcomes[run["id"].index("B_000")].proposal_scores[1].counts
    target, decoy = (decode_mask(each, tuple(layers["shape"])) for each in (layers["target"], layers["masks"][1]))
    assert Counts(int((decoy & target).sum()), int((decoy & ~target).sum()), 0, 0).fp == counts.fp


def test_the_headings_answer_in_their_order(small: Reviewed) -> None:
    text = small.page().read_text(encoding="utf-8")
    order = [
        "IoU distribution",
        "Change, case by case",
        "What the failures have in common",
        "Kinds of failure",
        "Slices",
        "Compared with the baseline",
        ">Cases<",
        "Run details",
    ]
    places = [text.index(title) for title in order]
    assert places == sorted(places)
    words = Tags(text).words
    assert "8 of 24 cases fail" in words
    assert "Where camera=B, 100% are wrong_object (8 of 8, no other case does)." in words
    assert "8 of 8 failures are lost by picking" in words


def test_the_same_run_gives_the_same_bytes_and_fetches_nothing(small: Reviewed) -> None:
    text = small.page(name="one").read_text(encoding="utf-8")
    assert small.page(name="two").read_text(encoding="utf-8") == text
    assert "http://" not in text.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in text
    assert str(small.folder) not in text


def test_without_a_baseline_a_line_says_how_to_make_one(small: Reviewed) -> None:
    words = Tags(small.page(baseline=False).read_text(encoding="utf-8")).words
    assert "pytest suites --segqa-update-baseline" in words
    assert "Change, case by case" not in words


def test_pictures_are_left_out_to_stay_below_the_limit_and_it_says_so(small: Reviewed) -> None:
    whole, less = small.page(name="whole"), small.page(name="less", max_mb=0.113)
    text = less.read_text(encoding="utf-8")
    assert less.stat().st_size < min(113_000, whole.stat().st_size)
    kept = len(block(text, "data")["runs"][0]["exhibit"])
    assert 0 < kept < 24
    assert f"photos and masks of {kept} of 24 cases" in text
    assert f"{24 - kept} more would make it larger than 0.113 MB" in text
    assert "photos and masks of 3 of 24 cases" in small.page(name="three", images=3).read_text(encoding="utf-8")


def test_nothing_of_a_photo_is_left_where_photos_are_left_out(small: Reviewed) -> None:
    small.page(name="private", format="dir")
    page = small.page(name="private", format="dir", photos=False)
    assert not list(page.parent.glob("index_files/im/*"))
    for kind in ("th", "strips"):
        for path in page.parent.glob(f"index_files/{kind}/*.webp"):
            with Pillow.open(path) as picture:
                grey = np.asarray(picture.convert("RGB"))[2:20, :3].astype(int)
            assert abs(grey - 128).max() < 6


def test_the_numbers_alone(small: Reviewed) -> None:
    path = small.page(name="json", format="json")
    assert path.name == "report.json"
    assert json.loads(path.read_text(encoding="utf-8"))["runs"][0]["model"] == "two"


def test_of_two_runs_of_a_model_the_first_is_the_baseline(small: Reviewed) -> None:
    path = write_report([small.before, small.run], small.folder / "pair", directory=small.store.root)
    words = Tags(path.read_text(encoding="utf-8")).words
    assert "two: regressed" in words
    assert "Picked by box_score before, by mask_score now." in words


def test_the_baseline_that_was_judged_against_stays_with_the_run(small: Reviewed) -> None:
    from segqa.gate.baseline import get_stored_baseline_path, write_baseline

    write_baseline(get_stored_baseline_path(small.store, small.run), small.before)
    try:
        path = write_report(small.run, small.folder / "kept", directory=small.store.root)
    finally:
        get_stored_baseline_path(small.store, small.run).unlink()
    assert "regressed" in path.read_text(encoding="utf-8")


def test_what_cannot_be_compared_is_said(small: Reviewed) -> None:
    other = replace(small.before, empty="zero")
    path = write_report(small.run, small.folder / "odd", directory=small.store.root, baselines=[other])
    words = Tags(path.read_text(encoding="utf-8")).words
    assert "Incomparable: the empty policy differs" in words


def test_commands_in_a_sentence_are_set_as_code(small: Reviewed) -> None:
    text = small.page(baseline=False, name="code").read_text(encoding="utf-8")
    assert "<p>There is no baseline; <code>pytest suites --segqa-update-baseline</code> makes one.</p>" in text


def test_a_run_that_is_kept_nowhere_has_a_page_without_pictures(tmp_path: Path) -> None:
    run = Run("r", "m", "d", ("x", "y"), (outcome_of(Counts(9, 0, 0, 9), "x"), outcome_of(None, "y")), "product")
    words = Tags(write_report(run, tmp_path, directory=tmp_path).read_text(encoding="utf-8")).words
    assert "masks, and no photo, of 0 of 2 cases" in words
    assert "1 of 2 cases fails" in words


@pytest.mark.parametrize("outcomes", [(), (outcome_of(None, "x"),), (outcome_of(Counts(0, 0, 0, 9), "x"),)])
def test_runs_without_scores_have_a_page(tmp_path: Path, outcomes: Any) -> None:
    run = Run("r", "m", "d", tuple(o.case_id for o in outcomes), outcomes, "product", empty="nan")
    path = write_review([JudgedRun(run, None, "", find_clusters(run))], Store(tmp_path), tmp_path)
    assert "nan" not in Tags(path.read_text(encoding="utf-8")).words.replace("scored “nan”", "").split()


def test_scores_without_bounds_do_not_stop_the_page(tmp_path: Path) -> None:
    counts = Counts(9, 0, 0, 9)
    odd = Outcome(
        case_id="x",
        proposal_scores=(ProposalScore(counts, counts, math.inf, math.nan),),
        picked=0,
        empty_prediction=Counts(0, 0, 9, 9),
    )
    run = Run("r", "m", "d", ("x",), (odd,), "product")
    text = write_report(run, tmp_path, directory=tmp_path).read_text(encoding="utf-8")
    assert block(text, "data")["runs"][0]["offers"] == [[[None, None, 1.0]]]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        ('File "/home/me/my secret/model.py", line 3, in f', 'File "model.py", line 3, in f'),
        ('File "C:\\x\\y.py", line 1', 'File "y.py", line 1'),
        ("cannot identify image file '/data/a/b.png'", "cannot identify image file 'b.png'"),
        ("no C:\\data\\b.png here", "no b.png here"),
        ("see https://example.com/a/b and a/b/c, 1/2", "see https://example.com/a/b and a/b/c, 1/2"),
    ],
)
def test_files_in_a_traceback_are_told_by_their_names_alone(error: str, told: str) -> None:
    assert shorten_traceback(error) == told


def test_new_errors_are_listed_and_newly_failing(tmp_path: Path) -> None:
    good = [outcome_of(Counts(9, 0, 0, 9), f"case{i}", digest="d") for i in range(9)]
    lost = [outcome_of(None, good[0].case_id), *good[1:]]
    runs = [
        Run(name, "m", "d", tuple(o.case_id for o in outcomes), tuple(outcomes), "product")
        for name, outcomes in (("before", good), ("after", lost))
    ]
    text = write_report(runs, tmp_path, directory=tmp_path).read_text(encoding="utf-8")
    assert "New errors: 1" in text
    words = Tags(text).words
    assert "Against the baseline: regressed, 0 newly failing and 1 new error." in words
    assert '<td class="n" data-label="newly failing">+1</td>' in text
    assert "1 new, not in the mean" in words
    assert "over 8 in both runs" in words
    after = block(text, "data")["runs"][1]
    assert after["errors"]["reasons"] == ["ValueError: no"]
    assert (after["change"][0], after["before"][0]) == (1, 1.0)


def test_how_the_tests_ended_is_kept(tmp_path: Path) -> None:
    failing = (("test_x", "0.1 is below 0.5"),)
    titles = {"test_x": "The mean over cases."}
    ending = SessionResult(
        failing, {"failed": 1, "passed": 3}, findings=("f",), warnings=("w",), problem="p", titles=titles
    )
    store = Store(tmp_path)
    write_ending(ending, store, "r")
    assert read_ending(store, "r") == ending
    assert read_ending(store, "s") is None
    assert (ending.name, SessionResult().name, SessionResult(complete=False).name) == ("failed", "passed", "incomplete")
    assert (SessionResult(findings=("f",)).name, SessionResult(problem="p").name) == ("failed", "incomplete")
    assert not SessionResult(complete=False).passed


def test_what_the_session_found_stands_at_the_top(small: Reviewed, tmp_path: Path) -> None:
    ending = SessionResult(findings=("<b>no evaluation</b>",), warnings=("no baseline",))
    page = write_review(
        [JudgedRun(small.run, None, "", find_clusters(small.run))], small.store, tmp_path, ending=ending
    ).read_text(encoding="utf-8")
    assert '<span class="verdict failed"><small>tests</small> FAILED</span>' in page
    assert page.index("no baseline") < page.index('class="run"')
    assert "&lt;b&gt;no evaluation&lt;/b&gt;" in page


def test_examples_are_chosen_to_differ(small: Reviewed) -> None:
    from segqa.report.case_images import CaseImage
    from segqa.report.drawing import encode_image

    def looks(name: str, grey: int) -> CaseImage:
        picture = encode_image(np.full((20, 20, 3), grey, np.uint8))
        return CaseImage(name, (20, 20), (20, 20), "", (), thumbnail=picture)

    alike = [looks(f"dark{i}", 10 + i) for i in range(9)] + [looks("bright", 240), looks("grey", 120)]
    assert {each.case_id for each in select_varied(alike, 3)} == {"dark0", "bright", "grey"}


def test_a_key_of_a_case_is_short_and_its_own() -> None:
    keys = {case_key(f"case {number}") for number in range(10_000)}
    assert len(keys) == 10_000
    assert all(re.fullmatch(r"[0-9a-f]{10}", key) for key in keys)


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ({"imagse": 1}, "unknown key 'imagse'; did you mean 'image"),
        ({"images": -1}, "images must be a whole number from 0, or none, got -1"),
        ({"images": "few"}, "images must be a whole number from 0, or none, got 'few'"),
        ({"max_mb": 0}, "max_mb must be a number of megabytes from 0.1 to 500, got 0"),
        ({"image_size": 8}, "image_size must be from 32 to 4096 pixels, got 8"),
        ({"format": "pdf"}, "format must be one of html, dir, json, got 'pdf'"),
    ],
)
def test_settings_of_the_report_are_checked(table: dict[str, object], problem: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(problem)):
        parse_settings({"report": table})


def test_images_none_leaves_the_photos_out() -> None:
    assert parse_settings({"report": {"images": "none"}}).report == ReportSettings(photos=False)
    assert parse_report({"images": "20"}, "--{}", ReportSettings(photos=False)) == ReportSettings(images=20)


def test_the_page_says_what_its_intervals_count_as_independent(tmp_path: Path) -> None:
    outcomes = tuple(
        outcome_of(Counts(9 - n % 3, 0, n % 3, 18), f"{n:02}", tags={"video": f"v{n // 12}", "half": f"{n % 2}"})
        for n in range(48)
    )
    run = Run("r", "m", "d", tuple(outcome.case_id for outcome in outcomes), outcomes, "product")
    pages = [
        write_report(run, tmp_path / tag, directory=tmp_path, gate=GateSettings(group_by=tag)).read_text(
            encoding="utf-8"
        )
        for tag in ("", "video")
    ]
    words = [Tags(page).words for page in pages]
    assert "Intervals count each case as independent, but cases look grouped by 'video' (4 values" in words[0]
    assert "Intervals count the 4 groups by 'video', not the cases." in words[1]
    bars = [re.findall(r"95 % interval [\d.]+ to [\d.]+", page) for page in pages]
    assert bars[0] != bars[1]
