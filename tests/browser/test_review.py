"""The review page as a person uses it."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as Pillow

from segqa.analysis.failure_clusters.search import find_clusters
from segqa.data.mask import Image, Mask
from segqa.data.rle import decode_mask
from segqa.gate.comparison import compare
from segqa.gate.verdict import judge
from segqa.inference.evaluator import Evaluation
from segqa.models.protocol import Proposals
from segqa.report.case_images import CaseImages
from segqa.report.drawing import FALSE_NEGATIVE, FALSE_POSITIVE
from segqa.report.exports import JudgedRun
from segqa.report.page import write_review
from segqa.report.page_data import case_key, permalink
from segqa.report.session_result import SessionResult
from segqa.settings import parse_settings
from tests.reviewed import Reviewed

Opener = Callable[..., Any]
WRONG = "B_000"


def cards(page: Any) -> int:
    return int(page.locator("#cards .card").count())


def canvas(page: Any, pane: str) -> NDArray[np.uint8]:
    """The pixels of a pane, RGBA `[H, W, 4]`."""
    width, height, data = page.evaluate(
        """(pane) => {
            const canvas = document.querySelector(`canvas[data-pane=${pane}]`);
            const {width, height} = canvas;
            return [width, height, Array.from(canvas.getContext("2d").getImageData(0, 0, width, height).data)];
        }""",
        pane,
    )
    return np.array(data, np.uint8).reshape(height, width, 4)


def masks(small: Reviewed, case_id: str) -> tuple[Mask, list[Mask]]:
    """Target and proposals as they are shown."""
    with CaseImages(small.store, small.run.id) as exhibits:
        exhibit = exhibits.get(case_id)
    assert exhibit is not None
    return decode_mask(exhibit.target, exhibit.shape), [decode_mask(text, exhibit.shape) for text in exhibit.masks]


def away_from(mask: Mask, reach: int = 2) -> Mask:
    """The pixels that are not near the contour of a mask."""
    near = np.zeros_like(mask)
    for rows in range(-reach, reach + 1):
        for columns in range(-reach, reach + 1):
            near |= np.roll(mask, (rows, columns), (0, 1)) != mask
    return ~near


def test_it_opens_on_what_fails(open_page: Opener, small_page: Path) -> None:
    page = open_page(small_page)
    assert page.title() == "REGRESSED · two on photos · segqa"
    assert page.locator("#count").inner_text() == "8 of 24 cases"
    assert cards(page) == 8
    assert "camera=B" in page.locator(".headline").inner_text()
    assert page.locator(".chips li").filter(has_text="newly failing").inner_text().split() == ["8", "newly", "failing"]


def test_a_cluster_is_a_filter(open_page: Opener, small_page: Path) -> None:
    page = open_page(small_page)
    page.locator("#outcome").select_option("")
    assert page.locator("#count").inner_text() == "24 of 24 cases"
    page.get_by_role("region", name="clusters, table").get_by_role("link", name=re.compile("camera=B")).first.click()
    assert page.locator("#count").inner_text() == "8 of 24 cases"
    assert page.url.endswith("#cluster=1")
    assert set(page.locator("#cards .id").all_text_contents()) == {f"B_{index:03}" for index in range(0, 24, 3)}


@pytest.mark.parametrize(
    ("fragment", "count"),
    [
        ("#slice=camera%3DA", 16),
        ("#kind=wrong_object", 8),
        ("#change=new", 8),
        ("#change=fixed", 0),
        ("#iou=0", 8),
        ("#iou=0.90-0.95", 16),
        ("#outcome=passing", 16),
        ("#outcome=recoverable", 8),
        ("#outcome=error", 0),
        ("#q=b_00+wrong_object", 4),
        ("#review=open", 24),
        ("#slice=camera%3DZ", 0),
        ("#nonsense=1", 24),
    ],
)
def test_a_filter_stands_in_the_address(open_page: Opener, small_page: Path, fragment: str, count: int) -> None:
    page = open_page(small_page, fragment)
    assert page.locator("#count").inner_text() == f"{count} of 24 cases"
    assert cards(page) == count


def test_bars_of_the_histogram_are_filters_and_one_stop_of_the_tabulator(open_page: Opener, small_page: Path) -> None:
    page = open_page(small_page)
    bars = page.locator(".bars a")
    assert [bar.get_attribute("tabindex") for bar in bars.all()] == ["0", "-1"]
    bars.first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    assert page.locator("#count").inner_text() == "16 of 24 cases"
    page.locator("#range").click()
    assert page.locator("#count").inner_text() == "24 of 24 cases"


def test_sorting(open_page: Opener, small_page: Path) -> None:
    page = open_page(small_page, "#sort=id")
    assert page.locator("#cards .id").first.text_content() == "A_001"
    page.locator("#sort").select_option("drop")
    assert page.locator("#cards .id").first.text_content() == "B_000"


def test_walking_with_the_keys_stays_in_the_filter(open_page: Opener, small_page: Path) -> None:
    page = open_page(small_page, "#cluster=1")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    seen = [page.locator("#case-id").inner_text()]
    for key in ("j", "ArrowRight", "ArrowDown", "j", "j", "j", "j", "j"):
        page.keyboard.press(key)
        seen.append(page.locator("#case-id").inner_text())
    assert seen == [*(f"B_{index:03}" for index in range(0, 24, 3)), "B_021"]
    page.keyboard.press("k")
    assert page.locator("#position").inner_text() == "7 of 8"
    page.keyboard.press("Escape")
    assert not page.locator("#case").is_visible()
    assert page.evaluate("document.activeElement.dataset.case") is not None
    assert "case=" not in page.url


def test_letters_typed_into_the_search_do_nothing_else(open_page: Opener, small_page: Path) -> None:
    page = open_page(small_page)
    page.keyboard.press("/")
    page.keyboard.type("jnb_003?")
    assert page.locator("#q").input_value() == "jnb_003?"
    assert not page.locator("dialog[open]").count()
    page.locator("#q").fill("b_003")
    assert page.locator("#count").inner_text() == "1 of 24 cases"


def test_a_permalink_opens_the_case(open_page: Opener, small_page: Path) -> None:
    page = open_page(small_page, f"#case={case_key(WRONG)}")
    assert page.locator("#case-id").inner_text() == WRONG
    assert page.locator("#command").inner_text() == f"pytest suites --model=two --segqa-where id={WRONG}"
    rows = page.locator("#proposals tbody tr").all_inner_texts()
    assert rows[1].split() == ["1", "0.9000", "0.3000", "0.0000", "picked"]
    assert "★ best" in rows[0]
    page.keyboard.press("Escape")
    assert page.locator("#count").inner_text() == "24 of 24 cases"


def test_the_error_map_shows_the_masks_pixel_by_pixel(open_page: Opener, small: Reviewed, small_page: Path) -> None:
    page = open_page(small_page, f"#case={case_key(WRONG)}")
    for _ in range(6):
        page.keyboard.press("]")
    target, (_, decoy) = masks(small, WRONG)
    shown = canvas(page, "error")[:, :, :3]
    rows, columns = np.indices(target.shape)
    far = away_from(target)
    wrong, lost = decoy & ~target & far, target & ~decoy & far
    plain_wrong, plain_lost = (rows + columns) % 7 >= 2, (rows - columns) % 7 >= 2
    assert (shown[wrong & plain_wrong] == FALSE_POSITIVE).all()
    assert (shown[wrong & ~plain_wrong] == (30, 10, 0)).all()
    assert (shown[lost & plain_lost] == FALSE_NEGATIVE).all()
    assert (shown[lost & ~plain_lost] == (235, 245, 255)).all()
    nothing = ~target & ~decoy & far & away_from(decoy, 4)
    assert np.abs(shown[nothing].astype(int) - 40).max() < 16
    edge = target & ~away_from(target, 1)
    assert (shown[edge] == 255).all(axis=-1).any()


def test_layers_and_keys_change_the_pixels(open_page: Opener, small: Reviewed, small_page: Path) -> None:
    page = open_page(small_page, f"#case={case_key(WRONG)}")
    target, (bright, decoy) = masks(small, WRONG)
    inside = decoy & away_from(decoy)

    def tinted(pane: str, mask: Mask) -> bool:
        plain, shown = canvas(page, "image").astype(int), canvas(page, pane).astype(int)
        return bool(np.abs(plain - shown)[mask].sum(axis=-1).min() > 20)

    assert tinted("prediction", inside)
    assert tinted("target", target & away_from(target))
    page.keyboard.press("0")
    assert not tinted("prediction", inside)
    assert tinted("prediction", bright & away_from(bright))
    assert page.locator("#pane-iou").inner_text() == "IoU 0.9167"
    page.keyboard.press("r")
    assert tinted("prediction", inside)
    page.keyboard.press("b")
    assert page.locator("#pane-prediction").inner_text() == "the baseline's prediction"
    assert tinted("prediction", bright & away_from(bright))
    page.keyboard.press("b")
    page.keyboard.press("p")
    assert np.array_equal(canvas(page, "prediction"), canvas(page, "image"))
    page.keyboard.press("p")
    page.keyboard.down("Space")
    assert np.array_equal(canvas(page, "error"), canvas(page, "image"))
    page.keyboard.up("Space")
    assert tinted("error", inside)
    page.keyboard.press("o")
    assert not tinted("error", inside)


def test_views_zoom_and_opacity_stay_from_case_to_case(open_page: Opener, small_page: Path) -> None:
    page = open_page(small_page, f"#cluster=1&case={case_key(WRONG)}")
    page.keyboard.press("v")
    assert page.locator("#panes figure:visible").count() == 1
    left = canvas(page, "slider")
    page.locator("#split").fill("0")
    assert not np.array_equal(left, canvas(page, "slider"))
    page.keyboard.press("v")
    page.keyboard.press("+")
    page.keyboard.press("j")
    assert page.locator("#case").get_attribute("data-mode") == "one"
    assert "scale(1.5)" in page.locator("canvas[data-pane=one]").get_attribute("style")
    page.keyboard.press("f")
    page.keyboard.press("v")
    assert page.locator("#panes figure:visible").count() == 4
    box = page.locator("canvas[data-pane=error]").bounding_box()
    page.mouse.move(box["x"] + 20, box["y"] + 20)
    page.mouse.wheel(0, -100)
    styles = {pane.get_attribute("style") for pane in page.locator("#panes figure:visible canvas").all()}
    assert len(styles) == 1
    assert "scale(1.25)" in styles.pop()


def test_the_next_newly_failing_case(open_page: Opener, small_page: Path) -> None:
    page = open_page(small_page, "#sort=id")
    page.keyboard.press("n")
    assert page.locator("#case-id").inner_text() == "B_000"
    page.keyboard.press("n")
    assert page.locator("#case-id").inner_text() == "B_003"


def test_command_and_link_are_copied(open_page: Opener, small_page: Path) -> None:
    page = open_page(small_page, f"#case={case_key(WRONG)}", permissions=["clipboard-read", "clipboard-write"])
    for key, expected in (
        ("c", f"pytest suites --model=two --segqa-where id={WRONG}"),
        ("y", f"#case={case_key(WRONG)}"),
    ):
        page.keyboard.press(key)
        page.get_by_text("copied").wait_for()
        assert page.evaluate("navigator.clipboard.readText()").endswith(expected)
        page.wait_for_timeout(60)


def test_decisions_are_kept_filtered_and_exported(open_page: Opener, small: Reviewed, small_page: Path) -> None:
    page = open_page(small_page, f"#cluster=1&case={case_key(WRONG)}")
    page.keyboard.press("a")
    page.locator("#note").fill('the "decoy" is on its way out')
    page.locator("#stage").focus()
    page.keyboard.press("j")
    page.keyboard.press("l")
    page.keyboard.press("j")
    page.keyboard.press("x")
    page.keyboard.press("Escape")
    page.reload()
    page.locator("#review").select_option("done")
    assert cards(page) == 3
    page.locator("#review").select_option("open")
    assert cards(page) == 5
    page.locator("#export-open").click()
    assert page.locator("#tally").inner_text() == "1 accepted as known, 1 bug, 1 label error, 1 with a note."
    known = tomllib.loads(page.locator("#known").input_value())["tool"]["segqa"]
    (entry,) = parse_settings(known).known
    assert entry.reason == 'the "decoy" is on its way out'
    assert [outcome.case_id for outcome in small.run.where(entry.where).outcomes] == [WRONG]
    assert (
        page.locator("#accept")
        .input_value()
        .startswith(f"segqa baseline accept '{small.run.id}' --reason 'the \"decoy\"")
    )
    with page.expect_download() as download:
        page.locator("#download").click()
    exported = json.loads(Path(download.value.path()).read_text(encoding="utf-8"))
    assert [(one["case"], one["decision"]) for one in exported["decisions"]] == [
        ("B_000", "known"),
        ("B_003", "label"),
        ("B_006", "bug"),
    ]


def test_dark_and_light_differ_and_can_be_chosen(open_page: Opener, small_page: Path) -> None:
    colour = "getComputedStyle(document.body).backgroundColor"
    page = open_page(small_page, color_scheme="dark")
    dark = page.evaluate(colour)
    page.locator("#theme").select_option("light")
    assert page.evaluate(colour) != dark
    page.reload()
    assert page.locator("#theme").input_value() == "light"
    assert page.evaluate(colour) == "rgb(255, 255, 255)"


def test_print_hides_the_tools(open_page: Opener, small_page: Path) -> None:
    page = open_page(small_page)
    page.emulate_media(media="print")
    assert not page.locator(".filters").is_visible()
    assert page.locator("#cards").is_visible()
    assert page.pdf()[:4] == b"%PDF"


def test_several_runs_are_one_page(open_page: Opener, small: Reviewed) -> None:
    page = open_page(small.page(small.before, small.run, name="both"))
    assert page.locator("#runs tbody tr").count() == 2
    assert page.locator(".run:visible h2").count() == 1
    # on the one that was made last
    assert page.locator("#runs a").nth(1).get_attribute("aria-current") == "true"
    assert page.locator("#count").inner_text() == "8 of 24 cases"
    page.locator("#runs a").nth(0).click()
    assert page.locator("#count").inner_text() == "0 of 24 cases"
    page.locator("#runs a").nth(1).click()
    assert page.locator("#count").inner_text() == "8 of 24 cases"
    page.locator("#cards .card").first.click()
    assert page.locator("#others a").count() == 1
    page.keyboard.press("m")
    assert page.locator("#case-id").inner_text() == WRONG
    assert page.locator("#case-iou").inner_text().startswith("IoU 0.9167")


def test_without_photos_the_masks_are_on_grey(open_page: Opener, small: Reviewed) -> None:
    path = small.page(name="masks", photos=False)
    assert 'id="im-' not in path.read_text(encoding="utf-8")
    page = open_page(path, f"#case={case_key(WRONG)}")
    assert (canvas(page, "image")[:, :, :3] == 128).all()


def test_a_page_in_a_sandbox_without_storage_works(open_page: Opener, small_page: Path, tmp_path: Path) -> None:
    frame = tmp_path / "frame.html"
    frame.write_text(
        f'<title>x</title><iframe sandbox="allow-scripts" width=1400 height=800 src="{small_page.as_uri()}"></iframe>'
    )
    page = open_page(frame)
    inside = page.frame_locator("iframe")
    inside.locator("#outcome").select_option("passing")
    assert inside.locator("#count").inner_text() == "16 of 24 cases"
    inside.locator("#cards .card").first.click()
    inside.locator("#case-id").wait_for()


def test_keys_are_told(open_page: Opener, small_page: Path) -> None:
    page = open_page(small_page)
    page.keyboard.press("?")
    assert "hold to hide the masks" in page.locator("#help").inner_text()
    page.keyboard.press("Escape")
    assert not page.locator("#help").is_visible()


def test_keys_do_nothing_to_the_case_below_the_help(open_page: Opener, small_page: Path) -> None:
    page = open_page(small_page, f"#cluster=1&case={case_key(WRONG)}")
    page.keyboard.press("?")
    page.keyboard.press("j")
    page.keyboard.press("x")
    page.keyboard.press("Escape")
    assert page.locator("#case-id").inner_text() == WRONG
    assert page.locator("#export-open").inner_text() == "Export decisions"


def test_the_same_case_of_every_run_in_turn(open_page: Opener, small: Reviewed) -> None:
    page = open_page(small.page(small.before, small.run, small.before, name="three"), f"#case={case_key(WRONG)}")
    seen = []
    for _ in range(3):
        page.keyboard.press("m")
        seen.append(page.url.partition("run=")[2][:1])
    assert seen == ["1", "2", ""]


def test_a_link_may_name_the_run_by_its_id(open_page: Opener, small: Reviewed) -> None:
    path = small.page(small.before, small.run, name="by_id")
    page = open_page(path, f"#{permalink(small.run, WRONG)}")
    assert page.locator("#case-iou").inner_text().startswith("IoU 0.0000")


def test_cards_show_each_decision(open_page: Opener, small_page: Path) -> None:
    page = open_page(small_page, f"#cluster=1&case={case_key(WRONG)}")
    for key in ("a", "j", "x", "Escape"):
        page.keyboard.press(key)
    assert page.locator("#cards .marks").nth(0).text_content().endswith("known")
    assert page.locator("#cards .marks").nth(1).text_content().endswith("bug")


def test_closing_leads_back_to_where_one_was(open_page: Opener, small_page: Path) -> None:
    page = open_page(small_page)
    example = page.locator(".example").first
    example.scroll_into_view_if_needed()
    before = page.evaluate("scrollY")
    example.click()
    page.keyboard.press("Escape")
    assert page.evaluate("scrollY") == before
    assert page.evaluate("document.activeElement.className") == "example"
    assert page.locator("#count").inner_text() == "8 of 24 cases"


def test_arrows_scroll_what_scrolls(open_page: Opener, small_page: Path) -> None:
    page = open_page(small_page, f"#cluster=1&case={case_key(WRONG)}", height=500)
    page.locator(".side").focus()
    page.keyboard.press("ArrowDown")
    page.wait_for_timeout(300)
    assert page.locator("#case-id").inner_text() == WRONG
    assert page.locator(".side").evaluate("(side) => side.scrollTop") > 0


def test_the_baseline_layer_is_over_with_its_case(open_page: Opener, small_page: Path) -> None:
    page = open_page(small_page, f"#cluster=1&case={case_key(WRONG)}")
    page.keyboard.press("b")
    assert page.locator("[data-layer=before]").get_attribute("aria-pressed") == "true"
    page.keyboard.press("j")
    assert page.locator("[data-layer=before]").get_attribute("aria-pressed") == "false"


@pytest.mark.parametrize("key", ["0", "1"])
def test_a_proposal_has_its_number_as_key_and_its_own_numbers(open_page: Opener, small_page: Path, key: str) -> None:
    page = open_page(small_page, f"#case={case_key(WRONG)}")
    assert page.locator("#proposals tbody button").all_inner_texts() == ["0", "1"]
    page.keyboard.press(key)
    current = page.locator("#proposals tr[aria-current=true]")
    assert current.locator("button").inner_text() == key
    iou = current.locator("td").nth(3).inner_text()
    assert page.locator("#case-iou b").inner_text() == f"IoU {iou}"
    told = dict(row.inner_text().split("\t") for row in page.locator("#metrics tr").all())
    right, wrong, lost = (24 * 22, 0, 24 * 2) if key == "0" else (0, 16 * 20, 24 * 24)
    assert (told["false positive"], told["false negative"]) == (f"{wrong} px", f"{lost} px")
    assert told["precision"] == f"{right / (right + wrong):.4f}"
    assert page.locator("#numbers-of").inner_text() == ("proposal 0" if key == "0" else "the prediction")


def test_of_the_baseline_s_prediction_only_the_iou_is_told(open_page: Opener, small_page: Path) -> None:
    page = open_page(small_page, f"#case={case_key(WRONG)}")
    page.keyboard.press("b")
    assert page.locator("#case-iou b").inner_text() == "IoU 0.9167"
    assert page.locator("#metrics").inner_text().split() == ["IoU", "0.9167"]


def test_the_ring_around_a_card_is_not_cut_off(open_page: Opener, small_page: Path) -> None:
    page = open_page(small_page)
    page.keyboard.press("j")
    card = page.locator("#cards .card").first
    drawn = np.array(Pillow.open(BytesIO(card.screenshot())).convert("RGB")).astype(int)
    height, width = drawn.shape[:2]
    edges = [drawn[height // 2, 1], drawn[height // 2, width - 2], drawn[1, width // 2], drawn[height - 2, width // 2]]
    assert all(np.abs(edge - (0, 114, 178)).max() < 12 for edge in edges)


def test_on_a_phone_a_case_opens_at_its_buttons(open_page: Opener, small_page: Path) -> None:
    page = open_page(small_page, width=390, height=844)
    page.locator("#cards .card").first.click()
    assert page.evaluate("document.querySelector('#case').scrollTop") == 0
    page.locator("#tags").scroll_into_view_if_needed()
    box = page.locator("#next").bounding_box()
    assert box is not None
    assert 0 <= box["y"] < 844 - box["height"]


@pytest.mark.parametrize("width", [390, 320])
def test_on_a_phone_no_table_of_numbers_is_cut_off(open_page: Opener, small: Reviewed, width: int) -> None:
    path = small.page(small.before, small.run, name="phone")
    page = open_page(path, "#run=1&outcome=failing", width=width, height=844)
    for name in ("runs side by side", "pickers", "kinds of failure", "slices", "clusters"):
        region = page.locator(f"[aria-label='{name}, table']:visible")
        assert region.first.evaluate("(e) => e.scrollWidth <= e.clientWidth"), name


def test_the_pickers_stand_beside_the_histogram(open_page: Opener, small: Reviewed) -> None:
    page = open_page(small.page(baseline=False, name="beside"))
    histogram, pickers = (
        page.locator(f"section[aria-labelledby={name}-0]").bounding_box() for name in ("histogram", "pickers")
    )
    assert histogram["y"] == pickers["y"]


def test_runs_of_one_model_are_named_by_their_ids(open_page: Opener, small: Reviewed) -> None:
    page = open_page(small.page(small.before, small.run, name="named"), "#run=1&outcome=failing")
    assert page.locator("#runs th a").all_inner_texts() == [small.before.id, small.run.id]
    assert page.locator("section.run h2:visible").inner_text() == small.run.id
    weights = page.locator("#runs th a").evaluate_all("(all) => all.map((e) => getComputedStyle(e).fontWeight)")
    assert weights == ["400", "700"]
    page.locator("#cards .card").first.click()
    assert page.locator("#others a").all_inner_texts() == [small.before.id]


def test_of_a_model_of_one_mask_no_box_is_shown(open_page: Opener, small: Reviewed) -> None:
    class One:
        fingerprint = "one"

        def predict(self, images: Sequence[Image], prompts: Sequence[str]) -> list[Proposals]:
            return [Proposals.single(image[:, :, 0] > 100) for image in images]

    run = Evaluation().run(One(), "one", small.dataset, small.store)
    page = open_page(small.page(run, baseline=False, name="one"))
    page.locator("#cards .card").first.click()
    assert not page.locator("#legend-box").is_visible()
    page = open_page(small.page(name="several"))
    page.locator("#cards .card").first.click()
    assert page.locator("#legend-box").is_visible()


def test_the_last_line_of_an_error_is_in_view(open_page: Opener, small: Reviewed) -> None:
    class Failing:
        fingerprint = "failing"

        def predict(self, images: Sequence[Image], prompts: Sequence[str]) -> list[Proposals]:
            raise ValueError("a line\n" * 60 + "the reason")

    run = Evaluation().run(Failing(), "failing", small.dataset.limit(2), small.store)
    page = open_page(small.page(run, baseline=False, name="failing"))
    page.locator("#cards .card").first.click()
    assert page.locator("#case-reason").inner_text() == "ValueError: a line"
    assert page.locator("#unseen").inner_text() == "The case ended in an error, so there is no prediction to show."
    below = page.locator("#case-error").evaluate("(e) => e.scrollHeight - e.scrollTop - e.clientHeight")
    assert below < 2


def test_an_error_map_is_above_the_fold(open_page: Opener, small: Reviewed) -> None:
    failing = tuple((f"suites/test_x.py::test_{n}", "0.1 is below 0.5") for n in range(12))
    ending = SessionResult(failing, {"failed": 12}, titles={name: "The mean over cases." for name, _ in failing})
    path = write_review(
        [JudgedRun(small.run, None, "", find_clusters(small.run))], small.store, small.folder / "lead", ending=ending
    )
    page = open_page(path)
    box = page.locator(".lead img").first.bounding_box()
    assert box is not None
    assert box["y"] + box["height"] < 900


def test_tests_cases_and_gate_do_not_look_alike(open_page: Opener, small: Reviewed) -> None:
    verdict = judge(compare(small.before, small.run, same_picker=False))
    path = write_review(
        [JudgedRun(small.run, verdict, "", find_clusters(small.run))],
        small.store,
        small.folder / "three",
        ending=SessionResult(),
    )
    page = open_page(path)
    assert page.locator(".verdict").inner_text() == "TESTS PASSED"
    assert page.locator(".share").inner_text() == "8 of 24 cases fail"
    assert page.locator(".gate").inner_text().lower().endswith("gate regressed")
    style = (
        "(e) => { const s = getComputedStyle(e); return [s.backgroundColor, s.borderTopWidth, s.borderRadius].join() }"
    )
    looks = {page.locator(each).evaluate(style) for each in (".verdict", ".share", ".gate")}
    assert len(looks) == 3


def test_a_model_of_one_mask_has_nothing_about_picking(open_page: Opener, small: Reviewed) -> None:
    class One:
        fingerprint = "one"

        def predict(self, images: Sequence[Image], prompts: Sequence[str]) -> list[Proposals]:
            return [Proposals.single((image[:, :, 0] > 100) & (image[:, :, 0] < 180)) for image in images]

    runs = [Evaluation().run(One(), name, small.dataset, small.store) for name in ("one", "other")]
    page = open_page(small.page(*runs, baseline=False, name="one"))
    words = "".join(page.locator(each).inner_text().lower() for each in ("#runs", ".run:visible", "#cards"))
    assert not re.search("recoverable|regret|oracle|picker|picked by|proposal", words)
    for option in ("#sort option[value=regret]", "#outcome option[value=recoverable]"):
        assert page.locator(option).get_attribute("hidden") is not None
    page.locator("#cards .card").first.click()
    assert not page.locator("#proposals").is_visible()
