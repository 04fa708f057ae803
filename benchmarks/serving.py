"""What HTTP adds to a model: requests a second and their latency beside calling the model.

    python benchmarks/serving.py [--rounds 5] [--seconds 4] [--photo FILE]

`detect_segment` is asked about one photo: by a loop in this process, with and without reading the photo and writing the
answer; then by `segqa serve` in a process of its own, from 1, 4 and 16 clients, each with a connection that it keeps,
that ask again as soon as they are answered. In turns, since the machine may have more to do.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
from served import PHOTOS, ROOT, metric, served

from segqa.data.image_io import decode_image
from segqa.models.detect_segment import DetectSegment
from segqa.models.pickers import find_picker
from segqa.serving.responses import PredictResponse, make_predictions

CLIENTS = (1, 4, 16)
Seconds = list[float]


def looped(call: Callable[[], object], seconds: float) -> Seconds:
    """How long each call took, of so many as fit into the time; the first two warm up."""
    call(), call()
    taken: Seconds = []
    end = time.perf_counter() + seconds
    while (start := time.perf_counter()) < end:
        call()
        taken.append(time.perf_counter() - start)
    return taken


def timed(call: Callable[[], object], seconds: float) -> tuple[Seconds, float]:
    """The same, and what they took in all."""
    taken = looped(call, seconds)
    return taken, sum(taken)


def directly(model: DetectSegment, data: bytes, *, whole: bool) -> Callable[[], object]:
    """A call of the model, or all that a request is: read, call, pick, write."""
    image, pick = decode_image(data, "photo"), find_picker("agreement")

    def work() -> bytes:
        found = model.predict([decode_image(data, "photo")], ["person."])
        return PredictResponse(
            "detect_segment", model.fingerprint, make_predictions(found, pick, everything=False)
        ).to_json()

    return work if whole else lambda: model.predict([image], ["person."])


def ask(url: str, data: bytes, seconds: float) -> Seconds:
    """What one client sees."""
    with httpx.Client(timeout=120) as client:
        return looped(lambda: client.post(f"{url}/predict", content=data).raise_for_status(), seconds)


def load(url: str, data: bytes, clients: int, seconds: float) -> tuple[Seconds, float]:
    """What some clients see, and how long they asked."""
    start = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        taken = [each for part in pool.map(lambda _: ask(url, data, seconds), range(clients)) for each in part]
    # each client's two first requests are not among them, but took their time
    return taken, (time.perf_counter() - start) * len(taken) / (len(taken) + 2 * clients)


def row(name: str, taken: Seconds, wall: float, reference: float) -> str:
    """A line of the table."""
    p50, p95 = (1000 * float(np.percentile(taken, share)) for share in (50, 95))
    rate = len(taken) / wall
    return f"| {name} | {rate:.1f} | {rate / reference:.2f} | {p50:.0f} | {p95:.0f} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each way in a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--photo", type=Path, default=None)
    given = parser.parse_args()
    photo = given.photo or min(PHOTOS.iterdir())
    data, weights = photo.read_bytes(), ROOT.parent / "shared" / "weights"
    model = DetectSegment(detector=weights / "yolox_nano.onnx", segmenter=weights / "selfie_segmentation.tflite")
    ways: dict[str, Callable[[str], tuple[Seconds, float]]] = {
        "the model alone": lambda _: timed(directly(model, data, whole=False), given.seconds),
        "read, model, pick, write": lambda _: timed(directly(model, data, whole=True), given.seconds),
    }
    for count in CLIENTS:
        name = f"segqa serve, {count} client{'s' * (count > 1)}"
        ways[name] = lambda url, count=count: load(url, data, count, given.seconds)
    found: dict[str, tuple[Seconds, float]] = {name: ([], 0.0) for name in ways}
    with served("detect_segment", ["--queue=32"]) as url:
        for name, way in [*ways.items()] * given.rounds:
            (taken, wall), before = way(url), found[name]
            found[name] = before[0] + taken, before[1] + wall
        memory = metric(url, "process_resident_memory_bytes")
    reference = len(found["the model alone"][0]) / found["the model alone"][1]
    print("| way | photos/s | of the model alone | p50, ms | p95, ms |\n|---|---|---|---|---|")
    for name, (taken, wall) in found.items():
        print(row(name, taken, wall, reference))
    print(f"\n{photo.name}, {len(data) / 1e3:.0f} kB; the server took {memory / 1e6:.0f} MB in the end.")


if __name__ == "__main__":
    main()
