"""What a run of ten million cases takes: evaluated in shards, merged, judged against another run, with its page.

    python benchmarks/scale.py [--cases 100000 1000000 10000000] [--folder DIR]

Cases of 32 × 24 pixels with four tags, drawn when they are read, and a model that answers from memory: what is measured
is segqa. Two shards are evaluated at a time, each in a process of its own, then merged into one run. A second run is
made of the same proposals, picked otherwise, so that one light of one camera loses. Each step is a process of its own,
whose memory is told: its peak, the interpreter and its libraries included.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest
from numpy.typing import NDArray

import segqa
from segqa.data.case_table import CaseTable
from segqa.data.mask import Image, Mask
from segqa.data.string_columns import CategoricalColumn, StringColumn
from segqa.data.subsets import Shard
from segqa.inference.evaluator import Evaluation
from segqa.inference.merge_shards import merge_parts, read_part
from segqa.inference.timing import peak_memory
from segqa.runs.outcome_columns import MemoryColumns
from segqa.runs.parquet_blocks import from_table, to_table
from segqa.runs.store import read_blocks

Numbers: TypeAlias = NDArray[np.int64]

WIDTH, HEIGHT, SCENES = 32, 24, 256
LIGHTS, PLACES = ("day", "dusk", "night"), ("hall", "roof", "stage", "street", "studio")
MOST_IN_A_SHARD, AT_ONCE = 2_500_000, 2
LARGE = 50_000
"""All sizes are kept in Parquet files, so that they compare; by default it is those above a million."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A source that draws its picture; all that there is to know follows from its number."""

    number: int

    def digest(self) -> bytes:
        """Of the image."""
        return sha256(b"image %d" % self.number).digest()[:16]

    def target_digest(self) -> bytes:
        """Of the target."""
        return sha256(b"target %d" % self.number).digest()[:16]

    def stamp(self) -> str:
        """There is no file."""
        return ""

    def image(self) -> Image:
        """The object and another one; the first pixels hold the number."""
        picture = scenes()[self.number % SCENES][0].copy()
        picture.ravel()[:4] = np.frombuffer(self.number.to_bytes(4, "big"), np.uint8)
        return picture

    def target(self) -> segqa.Target:
        """The object."""
        return segqa.Target(scenes()[self.number % SCENES][1])


class Memory:
    """A model that has seen all cases before: it offers the object and another one.

    The mask score is mistaken in 3 % of the cases. The box score is in 1 %, and in half of those of camera C5 at night.
    """

    fingerprint = "1"

    def predict(self, images: Sequence[Image], prompts: Sequence[str]) -> list[segqa.Proposals]:
        """Two proposals an image."""
        numbers = np.array([_number(image) for image, _ in zip(images, prompts, strict=True)])
        dark = (mixed(numbers, 1) % 8 == 4) & (mixed(numbers, 2) % 3 == 2)
        by_mask, by_box = mixed(numbers, 5) / 2**32 < 0.03, mixed(numbers, 6) / 2**32 < np.where(dark, 0.5, 0.01)
        noise = mixed(numbers, 7)[:, None] / 2**34
        scores = [np.where(wrong[:, None], [0.3, 0.6], [0.6, 0.3]) + noise for wrong in (by_mask, by_box)]
        return [
            segqa.Proposals(scenes()[number % SCENES][2], mask_scores, box_scores, BOXES)
            for number, mask_scores, box_scores in zip(numbers.tolist(), *scores, strict=True)
        ]


def _number(image: Image) -> int:
    return int.from_bytes(image.ravel()[:4].tobytes(), "big")


BOXES = np.tile((2.0, 2.0, 20.0, 20.0), (2, 1))


def mixed(numbers: Numbers, salt: int) -> NDArray[np.uint64]:
    """Numbers below 2 to the 32 that look random, the same each time."""
    found = (numbers.astype(np.uint64) + np.uint64(salt * 0x9E3779B9)) * np.uint64(0xBF58476D1CE4E5B9)
    return (found ^ (found >> np.uint64(29))) * np.uint64(0x94D049BB133111EB) >> np.uint64(32)


@cache
def scenes() -> list[tuple[Image, Mask, Mask]]:
    """Images, targets, and two masks each."""
    random = np.random.default_rng(0)
    return [_scene(random) for _ in range(SCENES)]


def _scene(random: np.random.Generator) -> tuple[Image, Mask, Mask]:
    picture = random.integers(0, 120, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    target, found, other = (np.zeros((HEIGHT, WIDTH), np.bool_) for _ in range(3))
    x, y = random.integers(2, 6, 2)
    target[y : y + 16, x : x + 10] = True
    found[y + 1 : y + 16, x : x + 10 + int(random.integers(2))] = True
    other[4:20, 24:30] = True
    picture[target] += 120
    return picture, target, np.stack([found, other])


def dataset(cases: int) -> segqa.Dataset:
    """So many cases."""
    numbers = np.arange(cases)
    tags = {
        "camera": CategoricalColumn(tuple(f"C{n}" for n in range(1, 9)), (mixed(numbers, 1) % 8).astype(np.int8)),
        "light": CategoricalColumn(LIGHTS, (mixed(numbers, 2) % 3).astype(np.int8)),
        "place": CategoricalColumn(PLACES, (mixed(numbers, 3) % 5).astype(np.int8)),
        "take": CategoricalColumn(tuple(f"T{n:02}" for n in range(20)), (mixed(numbers, 4) % 20).astype(np.int8)),
    }
    ids = StringColumn.from_strings(f"{number:08}" for number in range(cases))
    prompts = CategoricalColumn(("person.",), np.zeros(cases, np.int8))
    return segqa.Dataset.from_cases("drawn", CaseTable(ids, Drawn, prompts, tags))


def evaluate(folder: Path, cases: int, shard: str) -> dict[str, float]:
    """One shard, picked by the mask score."""
    number, of = map(int, shard.split("/"))
    store = segqa.Store(folder / f"shard-{number}", large=LARGE)
    how = Evaluation(pick="mask_score", threads=1, batch_size=64, shard=Shard(number, of), options={"shard": shard})
    run = how.run(Memory(), "memory", dataset(cases), store)
    files = store.run_folder(run.id) / "cases", store.root / "proposals.sqlite", store.root / "properties.sqlite"
    return dict(zip(("MB of run", "MB of proposals", "MB of properties"), map(_megabytes, files), strict=True))


def merge(folder: Path, cases: int, _: str) -> dict[str, float]:
    """The run of all shards; their proposals stay where they are."""
    folders = sorted(folder.glob("shard-*/runs/*"))
    for path in folder.glob("shard-*/proposals.sqlite"):
        path.rename(path.with_suffix(".kept"))
    store = segqa.Store(folder / "whole", large=LARGE)
    run = merge_parts([read_part(path) for path in folders], store)
    assert len(run.outcomes) == cases
    return {"MB of run": _megabytes(store.run_folder(run.id))}


def pick_again(folder: Path, _: int, __: str) -> dict[str, float]:
    """A second run: the same proposals, picked by the box score."""
    store = segqa.Store(folder / "whole", large=LARGE)
    first = store.load(store.run_ids()[0])
    second = store.begin(replace(first, id="second", expected=(), outcomes=(), pick="box_score"), "")
    everything = map(from_table, read_blocks(store.run_folder(first.id)))
    store.file(second.id, (to_table(held.repick(_by_box_score(held))) for held in everything))
    store.finish(replace(second, provenance=first.provenance, edges=first.edges), "")
    return {}


def verdict(folder: Path, cases: int, _: str) -> dict[str, float]:
    """What `segqa compare RUN RUN` says."""
    first, second = _runs(folder)
    judged = segqa.judge(segqa.compare(first, second, same_picker=False))
    assert judged.name == "regressed", judged.story
    assert "slice(*).mean_iou" in judged.story
    return {"broken": len(judged.comparison.broken) / cases}


def find_clusters(folder: Path, _: int, __: str) -> dict[str, float]:
    """What the failures of the second run have in common."""
    found = segqa.find_clusters(_runs(folder)[1])
    assert any(cluster.condition == "camera=C5 and light=night" for cluster in found), found
    return {}


def page(folder: Path, cases: int, _: str) -> dict[str, float]:
    """The review page of the second run against the first, with pictures."""
    first, second = _runs(folder)
    written = segqa.write_report(
        second, folder / "page", directory=folder / "whole", baselines=[first], dataset=dataset(cases)
    )
    return {"MB of page": _megabytes(written)}


def suites(folder: Path, cases: int, _: str) -> dict[str, float]:
    """The suites over the second run, as `--segqa-run` has them: `pytest suites` in a repository of its own."""
    root = folder / "repository"
    root.mkdir(exist_ok=True)
    subprocess.run(
        [sys.executable, "-c", "from segqa.cli import app; app()", "init"], cwd=root, check=True, capture_output=True
    )
    (root / "fixtures" / "data.py").write_text(
        DATA.format(here=str(Path(__file__).parent), cases=cases), encoding="utf-8"
    )
    names = [f"suites/test_{name}.py" for name in ("quality", "slices", "picking", "regression")]
    run = folder / "whole" / "runs" / "second"
    command = [*names, "--segqa-run", str(run), "--segqa-cache-dir", str(folder / "whole"), "--dataset=drawn", "-q"]
    os.chdir(root)
    assert pytest.main([*command, "-p", "no:cacheprovider"]) in {0, 1}
    return {}


DATA = """
import sys
sys.path.insert(0, {here!r})
import scale, segqa

@segqa.dataset
def drawn():
    return scale.dataset({cases})
"""


STEPS: dict[str, Callable[[Path, int, str], dict[str, float]]] = {
    "evaluate": evaluate,
    "merge": merge,
    "pick again": pick_again,
    "verdict": verdict,
    "clusters": find_clusters,
    "page": page,
    "suites": suites,
}
AFTERWARDS = [name for name in STEPS if name not in {"evaluate", "pick again"}]


def step(name: str, folder: Path, cases: int, shard: str) -> dict[str, float]:
    """One step with what it took, in this process."""
    start = time.perf_counter()
    found = STEPS[name](folder, cases, shard)
    return found | {"s": time.perf_counter() - start, "peak MB": peak_memory()["ram"]}


def in_a_process(name: str, folder: Path, cases: int, shard: str = "") -> dict[str, float]:
    """The same, in a process of its own."""
    command = [sys.executable, __file__, "--step", name, "--folder", str(folder), "--cases", str(cases)]
    done = subprocess.run([*command, "--shard", shard], check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    print(f"{cases:,} {name} {shard}: {json.dumps(found)}", file=sys.stderr, flush=True)
    return found


def measured(folder: Path, cases: int) -> dict[str, dict[str, float]]:
    """All steps over so many cases."""
    folder.mkdir(parents=True, exist_ok=True)
    shards = max(AT_ONCE, -(-cases // MOST_IN_A_SHARD))
    names = [f"{number}/{shards}" for number in range(1, shards + 1)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        parts = list(pool.map(lambda shard: in_a_process("evaluate", folder, cases, shard), names))
    found = {"evaluate": {name: sum(part[name] for part in parts) for name in parts[0]}}
    found["evaluate"]["peak MB"] = max(part["peak MB"] for part in parts)
    return found | {name: in_a_process(name, folder, cases) for name in STEPS if name != "evaluate"}


def main(sizes: Sequence[int], folder: Path) -> None:
    """Measure and print."""
    print(f"{platform.machine()}, Python {platform.python_version()}, numpy {np.__version__}\n")
    all_found = {cases: measured(folder / str(cases), cases) for cases in sizes}
    for what, unit in (
        ("seconds (of both processes together where there are two)", "s"),
        ("peak memory, MB", "peak MB"),
    ):
        names = ["evaluate", *AFTERWARDS]
        print(f"{what}:\n\n| cases | {' | '.join(names)} |\n|{'---|' * (len(names) + 1)}")
        for cases, found in all_found.items():
            print(f"| {cases:,} | {' | '.join(f'{found[name][unit]:,.0f}' for name in names)} |")
        print()
    print("| cases | run, MB | proposals, MB | properties, MB | page, MB |\n|---|---|---|---|---|")
    for cases, found in all_found.items():
        kept = [found["merge"]["MB of run"], *(found["evaluate"][f"MB of {n}"] for n in ("proposals", "properties"))]
        print(f"| {cases:,} | {' | '.join(f'{size:,.1f}' for size in [*kept, found['page']['MB of page']])} |")


def _by_box_score(held: MemoryColumns) -> NDArray[np.int32]:
    """Which of the two proposals of each case has the higher box score."""
    return held.scores[:, 1].reshape(-1, 2).argmax(axis=1).astype(np.int32)


def _runs(folder: Path) -> tuple[segqa.Run, segqa.Run]:
    """The merged run, and the second one."""
    store = segqa.Store(folder / "whole")
    first = next(run_id for run_id in store.run_ids() if run_id != "second")
    return store.load(first), store.load("second")


def _megabytes(path: Path) -> float:
    """Of a file, or of all in a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file()) / 1e6


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, nargs="+", default=[100_000, 1_000_000, 10_000_000])
    parser.add_argument("--folder", type=Path, help="to be kept; a temporary one by default")
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)
    parser.add_argument("--shard", default="", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.step:
        print("\n" + json.dumps(step(given.step, given.folder, given.cases[0], given.shard)))
    else:
        with tempfile.TemporaryDirectory(prefix="segqa-scale-") as nowhere:
            main(given.cases, given.folder or Path(nowhere))
