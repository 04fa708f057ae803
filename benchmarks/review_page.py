"""How large the review page is and how fast it answers, beside pytest-html with the same rows and pictures.

    python benchmarks/review_page.py [--cases 10000] [--images 200] [--html-rows 1000 10000]

A run of 10,000 cases with three proposals each, of which about 15 % fail, against a baseline that differs a little;
with pictures of 200 of them, 512 × 384, from `../shared/data/ccp` if it is there, else drawn. All times are taken in
Chromium, from an event to the second animation frame after it, so that painting counts; an event that does nothing
takes the time of the row `empty_prediction`. Medians, and the slowest in parentheses.

What the two give is not the same: pytest-html has one photo a row and no masks, filters by outcome only, and has no
next case; the nearest that it has is to open a row.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from playwright.sync_api import Browser, Page, sync_playwright

from segqa.analysis.failure_clusters.search import find_clusters
from segqa.data.mask import Image, Mask
from segqa.data.rle import encode_mask
from segqa.gate.baseline import read_baseline, write_baseline
from segqa.gate.comparison import compare
from segqa.report.case_images import THUMBNAIL, CaseImage, CaseImages
from segqa.report.case_selection import select
from segqa.report.drawing import encode_image, error_map, fit
from segqa.report.write import write_report
from segqa.runs.outcome import Outcome, ProposalScore
from segqa.runs.run import Run, describe
from segqa.runs.slices import find_edges
from segqa.runs.store import Store
from segqa.scoring.error_breakdown import Breakdown
from segqa.scoring.metrics import Counts
from segqa.settings import ReportSettings

PHOTOS = Path(__file__).parents[2] / "shared" / "data" / "ccp"
WIDTH, HEIGHT = 512, 384
PIXELS = WIDTH * HEIGHT
REPEATS = 5
PATIENCE = 300
"""Seconds after which pytest-html is given up."""

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]

ACTIONS = ("Ballet", "Break", "House", "Jazz", "Krump", "Lock", "Pop", "Waack")
PLACES = ("hall", "roof", "stage", "street", "studio")
CLOTHES = ("dress", "jeans", "leggings", "pants", "shorts", "suit")
SORTS = {
    "passed": ((0.9, 0.99), (0.0, 0.12), 0.3),
    "wrong_object": ((0.0, 0.0), (0.4, 1.2), 0.7),
    "merged": ((0.9, 1.0), (0.9, 1.6), 0.7),
    "partial": ((0.3, 0.55), (0.0, 0.04), 0.7),
    "boundary": ((0.76, 0.8), (0.16, 0.22), 0.05),
    "low": ((0.62, 0.75), (0.1, 0.2), 0.7),
}
"""Of each sort of prediction the recall, the false positives as a share of the target, and how much is wrong inside."""

OTHERS = ("wrong_object", "merged", "partial", "boundary", "low", "missed", "hallucinated", "error")


def make_runs(cases: int) -> tuple[Run, Run]:
    """A run, and the one before it, in which some failed that do not now, and more the other way round."""
    random = np.random.default_rng(0)
    tags = [_tags(random) for _ in range(cases)]
    before = [_sort(random, own) for own in tags]
    turned = random.random(cases)
    after = [_turned(random, *each) for each in zip(before, tags, turned, strict=True)]
    moved = random.random(cases) < 0.1
    versions = ((after, moved.astype(int)), (before, np.zeros(cases, int)))
    first, second = (_run([*map(_outcome, range(cases), tags, sorts, times.tolist())]) for sorts, times in versions)
    return first, second


def _tags(random: np.random.Generator) -> dict[str, str]:
    action = str(random.choice(ACTIONS))
    return {
        "action": action,
        "sequence": f"{action}{random.integers(1, 6)}",
        "camera": f"C{random.integers(1, 7)}",
        "light": str(random.choice(("day", "dusk", "night"), p=(0.6, 0.2, 0.2))),
        "place": str(random.choice(PLACES)),
        "clothing": str(random.choice(CLOTHES)),
    }


def _sort(random: np.random.Generator, tags: dict[str, str], fails: float = 0.09) -> str:
    """What becomes of a case: two clusters, and what happens everywhere."""
    chance = random.random()
    if tags["camera"] == "C5" and tags["light"] == "night" and chance < 0.8:
        return "wrong_object"
    if tags["action"] == "Krump" and chance < 0.3:
        return "partial"
    if chance >= fails:
        return "passed"
    return str(random.choice(OTHERS, p=(0.2, 0.15, 0.15, 0.2, 0.2, 0.05, 0.02, 0.03)))


def _turned(random: np.random.Generator, sort: str, tags: dict[str, str], turn: float) -> str:
    """What became of a case after the baseline; its target is the same, empty or not."""
    if sort == "passed" and turn < 0.015:
        turned = _sort(random, tags, fails=1.0)
        return "missed" if turned == "hallucinated" else turned
    return "passed" if turn < 0.05 and sort != "hallucinated" else sort


def _outcome(number: int, tags: dict[str, str], sort: str, version: int) -> Outcome:
    """A case; with another version its masks differ a little."""
    case_id = f"{tags['action']}_{tags['sequence']}_{tags['camera']}_{number:05}"
    about = np.random.default_rng([number, 2])
    random = np.random.default_rng([number, version])
    target = 0 if sort == "hallucinated" else int(about.uniform(0.04, 0.3) * PIXELS)
    digest = hashlib.sha256(case_id.encode()).hexdigest()
    plain: dict[str, Any] = {"case_id": case_id, "prompt": "person.", "tags": tags, "digest": digest}
    if sort == "error":
        return Outcome(
            **plain, error=f'Traceback (most recent call last):\n  File "case.py", line 80\nValueError: {number}'
        )
    properties = {
        "image_size": float(PIXELS),
        "brightness": about.uniform(0.1 if tags["light"] == "night" else 0.35, 0.7),
        "contrast": about.uniform(0.1, 0.35),
        "sharpness": about.uniform(40, 600),
        "target_area": target / PIXELS,
        "components": float(about.integers(1, 4)) if target else 0.0,
        "border": float(about.random() < 0.2),
        "elongation": about.uniform(1.2, 5),
        "colour_similarity": about.uniform(0.2, 0.9),
        "proposals": 0.0 if sort == "missed" else 3.0,
    }
    return Outcome(
        **plain,
        properties=properties,
        proposals_key=digest[:32],
        proposal_scores=() if sort == "missed" else _offers(random, sort, target),
        picked=None if sort == "missed" else 0,
        empty_prediction=Counts(0, 0, target, PIXELS - target),
        seconds=float(random.uniform(0.1, 0.4)),
    )


def _offers(random: np.random.Generator, sort: str, target: int) -> tuple[ProposalScore, ...]:
    """The picked one and two others; of a failure now and then a better one."""
    picked = "wrong_object" if sort == "hallucinated" else sort
    better = "passed" if random.random() < 0.3 else "partial"
    offers = [_offer(random, each, target) for each in (picked, better, "wrong_object")]
    counts = offers[0].counts
    if counts.iou < 0.7:
        breakdown = Breakdown(*_thirds(counts.fp), *_thirds(counts.fn), counts.tp + counts.fp + counts.fn)
        offers[0] = replace(offers[0], breakdown=breakdown)
    return tuple(offers)


def _thirds(number: int) -> tuple[int, int, int]:
    return number // 3, number // 3, number - 2 * (number // 3)


def _offer(random: np.random.Generator, sort: str, target: int) -> ProposalScore:
    recalls, excesses, share = SORTS[sort]
    tp, fp = int(random.uniform(*recalls) * target), int(random.uniform(*excesses) * (target or PIXELS // 10))
    counts = Counts(tp, fp, target - tp, PIXELS - target - fp)
    inside = Counts(int(0.9 * tp), int(share * fp), int(share * (target - tp)), int(0.9 * counts.tn))
    return ProposalScore(counts, inside, float(random.uniform(0.3, 0.99)), float(random.uniform(0.3, 0.99)))


def _run(outcomes: list[Outcome]) -> Run:
    outcomes = sorted(outcomes, key=lambda outcome: outcome.case_id)
    return Run(
        id="20270110-120000-detector-dance",
        model="detector",
        dataset="dance",
        expected=tuple(outcome.case_id for outcome in outcomes),
        outcomes=tuple(outcomes),
        pick="agreement",
        edges=find_edges(outcomes),
        provenance={"command": "pytest suites --model=detector --dataset=dance", "fingerprint": "v3", "options": {}},
    )


def pictures() -> Iterator[tuple[Image, Mask]]:
    """Photos with the mask of a person, without end."""
    random = np.random.default_rng(0)
    paths = sorted((PHOTOS / "images").glob("*.jpg"))
    if paths:
        while True:
            yield from map(_photo, paths)
    while True:
        yield _drawn(random)


def _photo(path: Path) -> tuple[Image, Mask]:
    """A photo and its mask, cut to 4 : 3 from above and scaled."""
    with Pillow.open(path) as photo, Pillow.open(PHOTOS / "masks" / f"{path.stem}.png") as mask:
        box = (0, 0, photo.width, photo.width * HEIGHT // WIDTH)
        small = photo.convert("RGB").crop(box).resize((WIDTH, HEIGHT), Pillow.Resampling.BOX)
        return np.asarray(small), np.asarray(mask.crop(box).resize((WIDTH, HEIGHT), Pillow.Resampling.NEAREST)) > 127


def _drawn(random: np.random.Generator) -> tuple[Image, Mask]:
    """Clouds with some grain in them, and a blob."""
    clouds = sum(_cloud(random, 2**octave, 3) / 2**octave for octave in range(2, 9))
    image = np.clip(128 + 300 * clouds, 0, 255).astype(np.uint8)
    rows, columns = np.indices((HEIGHT, WIDTH))
    away = np.hypot((rows - HEIGHT / 2) / HEIGHT, (columns - WIDTH / 2) / WIDTH)
    return image, away + 0.1 * _cloud(random, 8, 1) + 0.02 * _cloud(random, 64, 1) < 0.3


def _cloud(random: np.random.Generator, size: int, channels: int) -> NDArray[np.float32]:
    noise = random.standard_normal((size, size, channels)).astype(np.float32)
    return np.asarray(cv2.resize(noise, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC), np.float32)


def _exhibit(outcome: Outcome, photo: Image, target: Mask, random: np.random.Generator) -> CaseImage:
    """The exhibit of a case: a mask with another contour, half of it, and a thing beside it."""
    half = target & (np.indices(target.shape)[0] < HEIGHT // 2)
    masks = [_wobble(mask, random) for mask in (target, half, np.roll(target, WIDTH // 3, axis=1))]
    boxes = [cv2.boundingRect(mask.view(np.uint8)) for mask in masks]
    return CaseImage(
        case_id=outcome.case_id,
        shape=(HEIGHT, WIDTH),
        whole=(HEIGHT, WIDTH),
        target=encode_mask(target),
        masks=tuple(encode_mask(mask) for mask in masks),
        boxes=tuple((float(x), float(y), float(x + w), float(y + h)) for x, y, w, h in boxes),
        before=encode_mask(_wobble(target, random)),
        measured={"boundary_iou": 0.6123, "boundary_f": 0.7012, "hd95": 14.2136, "pieces": 2.0, "target_pieces": 1.0},
        photo=encode_image(photo),
        thumbnail=encode_image(fit(error_map(photo, masks[0], target), THUMBNAIL, THUMBNAIL)),
    )


def _wobble(mask: Mask, random: np.random.Generator) -> Mask:
    """The mask with its pixels moved a little, so that its contour is as rough as a model's."""
    rows, columns = np.indices(mask.shape).astype(np.float32)
    moves = [8 * _cloud(random, 12, 1) + 2 * _cloud(random, 96, 1) for _ in range(2)]
    return cv2.remap(mask.astype(np.uint8), columns + moves[0], rows + moves[1], cv2.INTER_NEAREST) > 0


def keep(folder: Path, cases: int, images: int) -> tuple[Run, Run, list[CaseImage]]:
    """Make a run and keep it with its exhibits; the run, its baseline as read from a file, and the exhibits."""
    made, before = make_runs(cases)
    store = Store(folder / ".segqa")
    run = store.begin(made, "key")
    store.append(run.id, run.outcomes)
    store.finish(run, "key")
    write_baseline(folder / f"{run.model}.jsonl", before)
    baseline = read_baseline(folder / f"{run.model}.jsonl")
    chosen = select(find_clusters(run), compare(baseline, run), images)
    random = np.random.default_rng(0)
    exhibits = [_exhibit(outcome, *each, random) for outcome, each in zip(chosen, pictures(), strict=False)]
    with CaseImages(store, run.id) as kept:
        kept.put(exhibits)
    return run, baseline, exhibits


def segqa_page(folder: Path, run: Run, baseline: Run, images: int) -> tuple[Path, float]:
    """The page of a run, and the seconds that it took to write."""
    start = time.perf_counter()
    settings = ReportSettings(images=images)
    page = write_report(run, folder / "page", directory=folder / ".segqa", baselines=[baseline], settings=settings)
    return page, time.perf_counter() - start


CONFTEST = """
import base64
from pathlib import Path

import pytest
from pytest_html import extras


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    report = yield
    picture = Path(__file__).with_name("pictures") / item.callspec.id
    if report.when == "call" and picture.is_file():
        encoded = base64.b64encode(picture.read_bytes()).decode()
        report.extras = [extras.image(encoded, mime_type="image/webp", extension="webp")]
    return report
"""
TESTS = """
import json
from pathlib import Path

import pytest

CASES = json.loads(Path(__file__).with_name("cases.json").read_text())


@pytest.mark.parametrize("failure", [pytest.param(failure, id=case_id) for case_id, failure in CASES])
def test_case(failure):
    assert not failure
"""


def html_page(folder: Path, run: Run, exhibits: Sequence[CaseImage], rows: int) -> Path | None:
    """The page of pytest-html: so many of the run's cases, evenly chosen, and the photos on those that fail first."""
    project = folder / f"html-{rows}"
    (project / "pictures").mkdir(parents=True)
    chosen = run.outcomes[:: max(1, len(run.outcomes) // rows)][:rows]
    failing_first = sorted(chosen, key=lambda outcome: run.kind(outcome) is None)
    for outcome, exhibit in zip(failing_first, exhibits, strict=False):
        (project / "pictures" / outcome.case_id).write_bytes(exhibit.photo)
    cases = [(outcome.case_id, describe(run, outcome) if run.kind(outcome) else "") for outcome in chosen]
    files = {
        "conftest.py": CONFTEST,
        "test_cases.py": TESTS,
        "pytest.ini": "[pytest]\n",
        "cases.json": json.dumps(cases),
    }
    for name, text in files.items():
        (project / name).write_text(text)
    options = ["-q", "--no-header", "--tb=short", "--no-summary", "-p", "no:segqa", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", *options, "--html=page.html", "--self-contained-html"]
    try:
        done = subprocess.run(command, cwd=project, timeout=PATIENCE, capture_output=True, check=False)  # noqa: S603
    except subprocess.TimeoutExpired:
        return None
    assert done.returncode == 1, done.stdout[-2000:]
    return project / "page.html"


WATCH = """
window.drawn = 0;
const original = CanvasRenderingContext2D.prototype.drawImage;
CanvasRenderingContext2D.prototype.drawImage = function (picture, ...rest) {
  original.call(this, picture, ...rest);
  if (picture instanceof HTMLImageElement) window.drawn += 1;
};
const look = () => {
  if (READY) requestAnimationFrame(() => requestAnimationFrame(() => { window.ready = performance.now(); }));
  else requestAnimationFrame(look);
};
requestAnimationFrame(look);
"""
TIMED = """async (value) => {
  const frame = () => new Promise((done) => requestAnimationFrame(done));
  const settle = async () => { await frame(); await frame(); };
  await settle();
  await new Promise((done) => setTimeout(done, 50));
  const drawn = window.drawn, start = performance.now();
  TRIGGER;
  while (PENDING) await frame();
  await settle();
  return performance.now() - start;
}"""
SEGQA_READY = "document.documentElement.classList.contains('js') && document.querySelector('#cards .card')"
HTML_READY = "document.querySelector('#results-table tbody')"
CHANGE = """{
  const control = document.getElementById(value[0]);
  control.value = value[1];
  control.dispatchEvent(new Event(control.id === "q" ? "input" : "change", { bubbles: true }));
}"""
KEY = "document.activeElement.dispatchEvent(new KeyboardEvent('keydown', { key: value, bubbles: true }))"
CLICK = "document.querySelector(value).click()"
PHOTO = "!document.querySelector('#panes').hidden && window.drawn === drawn"

Timings = dict[str, list[float]]


@contextmanager
def opened(browser: Browser, path: Path, ready: str, fragment: str = "") -> Iterator[tuple[Page, float]]:
    """A page, and after how many milliseconds it was usable."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.set_default_timeout(1000 * PATIENCE)
    page.add_init_script(WATCH.replace("READY", ready))
    page.goto(path.as_uri() + fragment)
    wait = (
        "async () => { while (!window.ready) await new Promise((done) => setTimeout(done, 20)); return window.ready; }"
    )
    yield page, page.evaluate(wait)
    context.close()


def timed(page: Page, trigger: str, values: Sequence[object], pending: str = "false") -> list[float]:
    """The milliseconds of each event."""
    script = TIMED.replace("TRIGGER", trigger).replace("PENDING", pending)
    return [page.evaluate(script, value) for value in values]


def heap(page: Page) -> float:
    """The megabytes of JavaScript's own objects."""
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    session.send("Performance.enable")
    metrics = {each["name"]: each["value"] for each in session.send("Performance.getMetrics")["metrics"]}
    return float(metrics["JSHeapUsedSize"]) / 1e6


def loading(browser: Browser, path: Path, ready: str) -> list[float]:
    """The milliseconds of each of some loads."""
    times = []
    for _ in range(REPEATS):
        with opened(browser, path, ready) as (_, milliseconds):
            times.append(milliseconds)
    return times


def segqa_times(browser: Browser, path: Path) -> tuple[Timings, float]:
    """What one does on the review page, and its heap at the end."""
    times: Timings = {"ready": loading(browser, path, SEGQA_READY)}
    with opened(browser, path, SEGQA_READY) as (page, _):
        times["nothing"] = timed(page, "null", range(REPEATS))
        timed(page, CHANGE, [("outcome", "")])
        times["filter"] = timed(page, CHANGE, _filters(page))
        times["filter, a letter typed"] = timed(page, CHANGE, [("q", "camera=c5 night"[:end]) for end in range(1, 16)])
        timed(page, CHANGE, [("q", "")])
        orders = page.evaluate("[...document.querySelectorAll('#sort option')].map((option) => option.value)")
        times["sort"] = timed(page, CHANGE, [("sort", order) for order in [*orders[1:], orders[0]]])
        times["show more"] = timed(page, CLICK, ["#more"] * REPEATS)
        timed(page, CHANGE, [("change", "new")])
        times["open a case"] = timed(page, CLICK, ["#cards .card"], PHOTO)
        steps = min(20, int(page.inner_text("#position").split()[-1]) - 1)
        times["next case"] = timed(page, KEY, ["j"] * steps, PHOTO)
        times["next case, seen before"] = timed(page, KEY, ["k"] * steps, PHOTO)
        layers = [f"[data-layer={layer}]" for layer in ("error", "target", "prediction", "outline", "before")]
        times["layer"] = timed(page, CLICK, [layer for layer in layers for _ in range(2)])
        times["four, slider, one"] = timed(page, KEY, ["v"] * 6)
        times["opacity"] = timed(page, CHANGE.replace('"q"', '"opacity"'), [("opacity", "0.3"), ("opacity", "0.8")] * 3)
        page.evaluate("document.querySelector('#case [data-close]').click()")
        timed(page, CHANGE, [("change", ""), ("outcome", "")])
        timed(page, CLICK, ["#cards .card"], PHOTO)
        times["next case of all, errors first"] = timed(page, KEY, ["j"] * 20, PHOTO)
        return times, heap(page)


def _filters(page: Page) -> list[tuple[str, str]]:
    """Every filter set to its second and third value, and back."""
    script = """[...document.querySelectorAll('.filters select:not(#sort)')]
        .map((select) => [select.id, [...select.options].map((option) => option.value)])"""
    return [
        (name, value)
        for name, values in page.evaluate(script)
        for chosen in values[1:3]
        for value in (chosen, values[0])
    ]


def html_times(browser: Browser, path: Path) -> tuple[Timings, float]:
    """What one can do on the page of pytest-html, and its heap at the end."""
    times: Timings = {"ready": loading(browser, path, HTML_READY)}
    with opened(browser, path, HTML_READY) as (page, _):
        times["nothing"] = timed(page, "null", range(REPEATS))
        boxes = [f"[data-test-result={outcome}]" for outcome in ("passed", "passed", "failed", "failed")]
        times["filter"] = timed(page, CLICK, boxes)
        times["sort"] = timed(page, CLICK, [f"[data-column-type={name}]" for name in ("testId", "duration", "result")])
        times["next case"] = timed(page, CLICK, [".collapsible .col-result"] * 3)
        return times, heap(page)


def main(cases: int, images: int, html_rows: Sequence[int]) -> None:
    """Print the table."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        run, baseline, exhibits = keep(folder, cases, images)
        page, seconds = segqa_page(folder, run, baseline, images)
        print(
            f"{run!r}\n{len(run.failures())} failing, {len(exhibits)} pictures; written in {seconds:.1f} s", flush=True
        )
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        ours, heap_size = segqa_times(browser, page)
        reference = {"MB": page.stat().st_size / 1e6, "heap": heap_size, **{key: median(ours[key]) for key in ours}}
        for key, values in ours.items():
            print(f"  {key}: {told(values)} ms, {len(values)} times", flush=True)
        print("page | MB | ready ms | filter ms | sort ms | next case ms | heap MB")
        print(f"segqa, {cases} cases | {line(reference['MB'], ours, heap_size, lambda *_: '')}", flush=True)
        for rows in html_rows:
            start = time.perf_counter()
            other = html_page(folder, run, exhibits, rows)
            if other is None:
                print(f"pytest-html, {rows} rows | given up after {PATIENCE} s", flush=True)
                continue
            wrote = time.perf_counter() - start
            theirs, heap_size = html_times(browser, other)
            ratio = line(
                other.stat().st_size / 1e6, theirs, heap_size, lambda key, value: f" {value / reference[key]:.1f}×"
            )
            print(f"pytest-html, {rows} rows | {ratio} | tests and page in {wrote:.1f} s", flush=True)
        browser.close()


def told(values: Sequence[float]) -> str:
    """Median and maximum."""
    return f"{median(values):.0f} ({max(values):.0f})"


def line(size: float, times: Timings, heap_size: float, ratio: Callable[[str, float], str]) -> str:
    """A line of the table."""
    names = ("ready", "filter", "sort", "next case")
    cells = [f"{told(times[name])}{ratio(name, median(times[name]))}" for name in names]
    return " | ".join([f"{size:.1f}{ratio('MB', size)}", *cells, f"{heap_size:.0f}{ratio('heap', heap_size)}"])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--html-rows", type=int, nargs="*", default=[1_000, 10_000])
    main(**vars(parser.parse_args()))
