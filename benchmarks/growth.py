"""How time, memory and disk grow with the number of cases.

    python benchmarks/growth.py [--cases 1000 10000 100000] [--repeats 3 3 1]

Cases of 128 × 96 pixels with four tags, drawn when they are read, and a model that knows the answers: what is measured
is segqa. Cases of camera C5 at night show another object that the model takes, those of the action Krump lose a half
of it, and some fail without a reason.

Each size is measured in two processes, as two runs of CI would be: the first evaluates and writes the baseline, picking
by the mask score alone; the second is answered from the stored proposals, picks by agreement, searches clusters, is
judged against the baseline, and writes the review page with its pictures. Peaks are those of the process up to there,
the interpreter and its libraries included. Medians of the repeats, which are taken in turns; behind each number, how
many times that of the size before it is.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import cv2
import numpy as np

import segqa
from segqa.data.mask import Image, Mask
from segqa.inference.evaluator import Evaluation
from segqa.inference.timing import peak_memory

WIDTH, HEIGHT = 128, 96
ACTIONS = ("Ballet", "Break", "House", "Jazz", "Krump", "Lock", "Pop", "Waack")
LIGHTS = ("day", "day", "dusk", "night")
PLACES = ("hall", "roof", "stage", "street", "studio")
SECONDS = ("first evaluation", "second evaluation", "write baseline", "clusters", "compare and judge", "review page")
SIZES = ("run", "proposals", "properties", "baseline", "page")
PEAKS = ("first evaluation", "second evaluation", "all the rest")

Numbers = dict[str, float]


@dataclass(frozen=True, slots=True)
class Drawn:
    """A source that draws its picture; all that there is to know follows from its number."""

    number: int

    @property
    def tags(self) -> dict[str, str]:
        """Of its case; each has texts of its own, as those that are read from files have."""
        random = np.random.default_rng([self.number, 1])
        action, light, place = (values[random.integers(len(values))] for values in (ACTIONS, LIGHTS, PLACES))
        return {
            "action": "".join(action),
            "camera": f"C{random.integers(1, 7)}",
            "light": "".join(light),
            "place": "".join(place),
        }

    def digest(self) -> bytes:
        """Of the image."""
        return hashlib.sha256(f"image {self.number}".encode()).digest()[:16]

    def target_digest(self) -> bytes:
        """Of the target."""
        return hashlib.sha256(f"target {self.number}".encode()).digest()[:16]

    def stamp(self) -> str:
        """There is no file."""
        return ""

    def image(self) -> Image:
        """The object and another one on one of some grounds, in that light; the first pixel holds the number."""
        scene = Scene.of(self.number)
        picture = grounds()[self.number % 16] // (3 if self.tags["light"] == "night" else 1)
        picture[scene.other] = (90, 60, 120)
        picture[scene.target] = (200, 150, self.number % 256)
        picture[0, 0] = tuple(self.number.to_bytes(3, "big"))
        return picture

    def target(self) -> segqa.Target:
        """The object."""
        return segqa.Target(Scene.of(self.number).target)


@dataclass(frozen=True, slots=True)
class Scene:
    """Where things are: the object, the same a little off, and another one; each `[H, W]` bool."""

    target: Mask
    found: Mask
    other: Mask

    @classmethod
    def of(cls, number: int) -> Scene:
        """The scene of a case."""
        random = np.random.default_rng([number, 2])
        (x, y), (wide, high) = random.integers((30, 40), (60, 56)), random.integers((10, 20), (20, 34))
        off, cut = random.integers(0, 2, 2)
        return cls(_ellipse(x, y, wide, high), _ellipse(x + off, y - cut, wide, high), _ellipse(105, 60, 9, high))


class Memory:
    """A model that has seen all cases before."""

    fingerprint = "1"

    def predict(self, images: Sequence[Image], prompts: Sequence[str]) -> list[segqa.Proposals]:
        """Three proposals an image: the object or what is taken for it, half of it, and the other object."""
        return [
            _proposals(int.from_bytes(image[0, 0].tobytes(), "big")) for image, _ in zip(images, prompts, strict=True)
        ]


def _proposals(number: int) -> segqa.Proposals:
    """What the model makes of a case."""
    scene, tags = Scene.of(number), Drawn(number).tags
    random = np.random.default_rng([number, 3])
    chance, noise = random.random(), random.uniform(0, 0.1, (2, 3))
    half = scene.found & (np.arange(HEIGHT)[:, None] > HEIGHT / 2)
    scores = np.array([[0.9, 0.7, 0.5], [0.8, 0.6, 0.4]])  # of masks, of boxes
    if tags["camera"] == "C5" and tags["light"] == "night" and chance < 0.8:
        scores = scores[:, ::-1]
    elif (tags["action"] == "Krump" and chance < 0.3) or chance < 0.04:
        scores = scores[:, [1, 0, 2]]
    elif chance > 0.98:
        scores[0] = scores[0, ::-1]  # the mask score alone is mistaken
    masks = np.stack([scene.found, half, scene.other])
    return segqa.Proposals(masks, *(scores + noise), np.tile((20.0, 10.0, 100.0, 90.0), (3, 1)))


def _ellipse(x: int, y: int, wide: int, high: int) -> Mask:
    rows, columns = np.ogrid[:HEIGHT, :WIDTH]
    mask: Mask = ((columns - x) / wide) ** 2 + ((rows - y) / high) ** 2 < 1
    return mask


@cache
def grounds() -> Image:
    """Sixteen backgrounds."""
    noise = np.random.default_rng(0).integers(0, 256, (16, HEIGHT // 8, WIDTH // 8, 3), dtype=np.uint8)
    return np.stack([cv2.resize(each, (WIDTH, HEIGHT)) for each in noise])


def dataset(cases: int) -> segqa.Dataset:
    """So many cases."""
    sources = map(Drawn, range(cases))
    return segqa.Dataset.from_cases(
        "drawn",
        (
            segqa.Case(f"{source.tags['action']}_{source.number:07}", "person.", source, source.tags)
            for source in sources
        ),
    )


def first(folder: Path, cases: int) -> Numbers:
    """What the first run takes: nothing is known yet."""
    found: Numbers = {}
    drawn = dataset(cases)
    with _measured(found, "first evaluation", "first evaluation"):
        run = _evaluated(drawn, folder, "mask_score")
    with _measured(found, "write baseline"):
        segqa.write_baseline(_baseline(folder), run)
    return found


def second(folder: Path, cases: int) -> Numbers:
    """What the second run takes, and what there is on disk after it."""
    found: Numbers = {}
    drawn = dataset(cases)
    with _measured(found, "second evaluation", "second evaluation"):
        run = _evaluated(drawn, folder, "agreement")
    with _measured(found, "clusters"):
        assert segqa.find_clusters(run).select("wrong_object")
    with _measured(found, "compare and judge"):
        before = segqa.read_baseline(_baseline(folder))
        segqa.judge(segqa.compare(before, run, same_picker=False))
    with _measured(found, "review page", "all the rest"):
        page = segqa.write_report(run, folder / "page", directory=folder, baselines=[before], dataset=drawn)
    of = {"run": folder / "runs" / run.id, "baseline": _baseline(folder), "page": page}
    of |= {name: folder / f"{name}.sqlite" for name in ("proposals", "properties")}
    return found | {f"MB of {name}": _megabytes(path) for name, path in of.items()}


def _evaluated(drawn: segqa.Dataset, folder: Path, pick: str) -> segqa.Run:
    """The run of the model that remembers, as `pytest suites` makes it, without a bar."""
    return Evaluation(pick=pick).run(Memory(), "memory", drawn, segqa.Store(folder))


def _baseline(folder: Path) -> Path:
    return folder / "baselines" / "drawn" / "memory.jsonl"


@contextmanager
def _measured(found: Numbers, seconds: str, peak: str = "") -> Iterator[None]:
    """Take the seconds of a block under a name, and the peak of memory after it under another."""
    start = time.perf_counter()
    yield
    found[f"s of {seconds}"] = time.perf_counter() - start
    if peak:
        found[f"peak MB of {peak}"] = peak_memory()["ram"]


def _megabytes(path: Path) -> float:
    """Of a file, or of all in a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file()) / 1e6


def measured(cases: int) -> Numbers:
    """All numbers of one size, from two fresh processes."""
    found: Numbers = {}
    with TemporaryDirectory() as folder:
        for step in STEPS:
            command = [sys.executable, __file__, "--step", step, "--folder", folder, "--cases", str(cases)]
            finished = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603 - ourselves
            found |= json.loads(finished.stdout.splitlines()[-1])
    return found


def table(title: str, names: Sequence[str], found: dict[int, Numbers], *, digits: int) -> None:
    """Print some of the numbers of all sizes, a line a size."""
    print(f"\n{title}:\n\n| cases | {' | '.join(names)} |\n|{'---|' * (len(names) + 1)}")
    before: Numbers = {}
    for cases, numbers in found.items():
        cells = [_cell(numbers, before, f"{title} of {name}", digits) for name in names]
        print(f"| {cases:,} | {' | '.join(cells)} |")
        before = numbers


def _cell(numbers: Numbers, before: Numbers, name: str, digits: int) -> str:
    """A number, and how many times the one before it is."""
    times = f" ({numbers[name] / before[name]:.1f}×)" if name in before else ""
    return f"{numbers[name]:,.{digits}f}{times}"


def main(sizes: Sequence[int], repeats: Sequence[int]) -> None:
    """Measure in turns, and print."""
    print(f"{platform.machine()}, Python {platform.python_version()}, numpy {np.__version__}", flush=True)
    found: dict[int, list[Numbers]] = {cases: [] for cases in sizes}
    for turn in range(max(repeats)):
        for cases, times in zip(sizes, repeats, strict=True):
            if turn < times:
                found[cases].append(measured(cases))
    medians = {cases: {name: median(each[name] for each in all_) for name in all_[0]} for cases, all_ in found.items()}
    table("s", SECONDS, medians, digits=2)
    table("MB", SIZES, medians, digits=2)
    table("peak MB", PEAKS, medians, digits=0)


STEPS: dict[str, Callable[[Path, int], Numbers]] = {"first": first, "second": second}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--repeats", type=int, nargs="+", default=[3, 3, 1])
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.step:
        print(json.dumps(STEPS[given.step](given.folder, given.cases[0])))
    else:
        main(given.cases, given.repeats)
