"""A real Ray: what it brings is what this process alone would have found out, whoever is killed meanwhile."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import segqa
from segqa.data.case import Case, Target
from segqa.data.dataset import Dataset
from segqa.data.folder import open_folder
from segqa.data.mask import Image
from segqa.errors import DatasetError, EngineError, ModelError
from segqa.inference.engine import Pickled, RayEngine
from segqa.inference.evaluator import Evaluation
from segqa.inference.ray_cluster import connect
from segqa.models.protocol import Model
from segqa.runs.outcome import Outcome
from segqa.runs.run import Run
from segqa.runs.store import Store
from segqa.settings import RaySettings
from tests.conftest import bright_square, write_case

ray = pytest.importorskip("ray", reason="Ray is not installed")
pytest.importorskip("pyarrow", reason="Ray Data is not installed")
pytestmark = pytest.mark.ray

TALL = (56, 60)
Build = Callable[[], Model]


@pytest.fixture(scope="module")
def started() -> Iterator[None]:
    """Ray, as a user may have started it before: the evaluations use it, and leave it."""
    with connect(RaySettings(actors=2)):
        yield


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """48 cases, of which one is tall and one cannot be read."""
    for index in range(48):
        write_case(tmp_path / "photos", f"{index:02}", *bright_square(index, TALL if index == 20 else (40, 60)))
    (tmp_path / "photos" / "images" / "07.png").write_bytes(b"")
    return tmp_path / "photos"


def bright(on_tall: Callable[[], None] = lambda: None, seconds: float = 0.0, pids: str = "") -> Build:
    """Builds a model that does something for a tall image, and says where it is asked."""

    def build() -> Model:
        import numpy as np

        from segqa.models.protocol import Proposals

        class Bright:
            fingerprint = "bright"

            def predict(self, images: Any, prompts: Any) -> list[Proposals]:
                time.sleep(seconds)
                if pids:
                    Path(pids, str(os.getpid())).touch()
                return [self.answer(image) for image in images]

            def answer(self, image: Any) -> Proposals:
                if image.shape[0] > 50:
                    on_tall()
                found = image[:, :, 0] > 100
                scores = np.array([0.5, 0.4])
                return Proposals(np.stack([found, ~found]), scores, scores, np.zeros((2, 4)))

        return Bright()

    return build


def refuse() -> None:
    raise RuntimeError("too tall for me")


def end() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def by_ray(build: Build, data: Path, store: Store, **how: Any) -> Run:
    engine = RayEngine(how.pop("settings", RaySettings()), Pickled.from_model(build))
    return Evaluation(batch_size=2, engine=engine, **how).run(build(), "bright", open_folder(data), store)


def here(build: Build, data: Path, folder: Path) -> list[Outcome]:
    return told(Evaluation().run(build(), "bright", open_folder(data), Store(folder)))


def told(run: Run) -> list[Outcome]:
    """The outcomes, but for seconds and for the frames and processes that a traceback names."""
    return [replace(each, seconds=0.0, cached=False, error=each.reason) for each in run.outcomes]


def pids_of(name: str) -> set[int]:
    """The processes whose command begins so."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found.update([int(path.parent.name)] if path.read_bytes().startswith(name.encode()) else [])
    return found


def stored(folder: Path) -> list[tuple[Any, ...]]:
    rows = sqlite3.connect(folder / "proposals.sqlite").execute(
        "SELECT key, count, height, width, numbers, masks, model FROM proposals"
    )
    return sorted(rows)


def test_outcomes_and_proposals_are_those_of_this_process(started: None, photos: Path, tmp_path: Path) -> None:
    run = by_ray(bright(refuse), photos, Store(tmp_path / "ray"))
    assert told(run) == here(bright(refuse), photos, tmp_path / "local")
    assert [(each.case_id, each.reason) for each in run.errors][1:] == [("20", "RuntimeError: too tall for me")]
    assert stored(tmp_path / "ray") == stored(tmp_path / "local")
    assert len(stored(tmp_path / "ray")) == 46
    assert run.provenance["engine"] == {"name": "ray", "actors": 2}
    assert run.provenance["stages"]["infer"]["cases"] == 46
    assert ray.is_initialized()


def test_a_log_that_ray_data_leaves_open_is_no_warning_of_the_users(started: None) -> None:
    with connect(RaySettings()):
        warnings.warn("unclosed file <_io.FileIO name='logs/ray-data/1.log'>", ResourceWarning, stacklevel=1)
    with pytest.raises(ResourceWarning):
        warnings.warn("unclosed file <_io.FileIO name='mine.txt'>", ResourceWarning, stacklevel=1)


def test_what_is_stored_is_not_asked_for_again(started: None, photos: Path, tmp_path: Path) -> None:
    store, pids = Store(tmp_path / "ray"), tmp_path / "pids"
    pids.mkdir()
    by_ray(bright(refuse), photos, store)
    # the two errors are tried again, and nothing else is
    seen: list[int] = []
    again = by_ray(bright(), photos, store, pick="first", progress=lambda done, _: seen.append(done))
    assert [each.cached for each in again.outcomes].count(True) == 46
    assert [each.case_id for each in again.errors] == ["07"]
    assert seen[-1] == 48


def test_a_killed_actor_costs_no_case(started: None, photos: Path, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    pids.mkdir()
    killed: list[int] = []

    def kill(done: int, total: int) -> None:
        if done and not killed:
            killed.append(int(next(iter(pids.iterdir())).name))
            os.kill(killed[0], signal.SIGKILL)

    run = by_ray(bright(seconds=0.1, pids=str(pids)), photos, Store(tmp_path / "ray"), progress=kill)
    assert told(run) == here(bright(), photos, tmp_path / "local")
    # it was really one of those that are asked, and another one came for it
    assert killed
    assert len(list(pids.iterdir())) == 3


def test_a_killed_ledger_costs_no_case(started: None, photos: Path, tmp_path: Path) -> None:
    others, killed = pids_of("ray::Ledger"), set[int]()

    def kill(done: int, total: int) -> None:
        if done and not killed:
            killed.update(pids_of("ray::Ledger") - others)
            os.kill(min(killed), signal.SIGKILL)

    run = by_ray(bright(seconds=0.1), photos, Store(tmp_path / "ray"), progress=kill)
    assert killed
    assert told(run) == here(bright(), photos, tmp_path / "local")


def test_a_case_that_ends_the_process_is_an_error_of_that_case_alone(
    started: None, photos: Path, tmp_path: Path
) -> None:
    run = by_ray(bright(end), photos, Store(tmp_path / "ray"))
    assert [each.case_id for each in run.errors] == ["07", "20"]
    assert "the process that evaluated it ended" in run.errors[1].reason
    assert told(run)[:20] == here(bright(), photos, tmp_path / "local")[:20]


@pytest.mark.slow
def test_a_model_that_always_ends_its_process_is_given_up(started: None, photos: Path, tmp_path: Path) -> None:
    def build() -> Model:
        class Ends:
            fingerprint = "ends"

            def predict(self, images: Any, prompts: Any) -> Any:
                os.kill(os.getpid(), signal.SIGKILL)

        return Ends()

    with pytest.raises(EngineError, match="each process has ended at its first cases"):
        by_ray(build, photos, Store(tmp_path), settings=RaySettings(actors=1))


def test_another_model_in_the_actors_is_refused(started: None, photos: Path, tmp_path: Path) -> None:
    driver = os.getpid()

    def build() -> Model:
        model: Any = bright()()
        model.fingerprint = "here" if os.getpid() == driver else "there"
        return model  # type: ignore[no-any-return]

    with pytest.raises(EngineError, match="the model must be the same everywhere"):
        by_ray(build, photos, Store(tmp_path))


@dataclass(frozen=True)
class Moody:
    """A source that is not the same everywhere."""

    driver: int

    def digest(self) -> bytes:
        return b"here" * 4 if os.getpid() == self.driver else b"away" * 4

    def image(self) -> Image:
        return np.zeros((8, 8, 3), np.uint8)

    def target(self) -> Target:
        return Target(np.zeros((8, 8), np.bool_))

    def target_digest(self) -> bytes:
        return b"mask" * 4

    def stamp(self) -> str:
        return "moody"


def test_other_data_on_another_machine_is_refused(started: None, tmp_path: Path) -> None:
    data = Dataset.from_cases("moody", [Case("a", "", Moody(os.getpid()))])
    with pytest.raises(EngineError, match="the image of 'a' is another one"):
        segqa.evaluate(bright(), data, engine="ray", directory=tmp_path)


def test_more_actors_than_there_is_room_for_are_refused(started: None, photos: Path, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"9 actors with 1 CPUs and 0 GPUs each need 10 CPUs .* and Ray has 3"):
        by_ray(bright(), photos, Store(tmp_path), settings=RaySettings(actors=9))
    with pytest.raises(EngineError, match="need 2 GPUs"):
        by_ray(bright(), photos, Store(tmp_path), settings=RaySettings(gpus_per_actor=1))


def test_a_model_without_a_fingerprint_is_refused(photos: Path, tmp_path: Path) -> None:
    def build() -> Model:
        model: Any = bright()()
        model.fingerprint = ""
        return model  # type: ignore[no-any-return]

    with pytest.raises(ModelError, match="without a fingerprint"):
        by_ray(build, photos, Store(tmp_path))
    assert Store(tmp_path).run_ids() == []


def test_what_cannot_be_sent_is_refused(tmp_path: Path) -> None:
    model: Any = bright()()
    model.lock = sqlite3.connect(":memory:")
    with pytest.raises(ModelError, match="give a function that builds it"):
        segqa.evaluate(model, segqa.open_studio(), engine="ray")
    source: Any = Moody(0)
    object.__setattr__(source, "file", sqlite3.connect(":memory:"))
    with pytest.raises(DatasetError, match="the source of 'a' cannot be"):
        segqa.evaluate(bright(), Dataset.from_cases("open", [Case("a", "", source)]), engine="ray")


DRIVER = """
import signal, sys
from pathlib import Path
from segqa.inference.engine import Pickled, RayEngine
from segqa.inference.evaluator import Evaluation
from segqa.data.folder import open_folder
from segqa.settings import RaySettings
from segqa.runs.store import Store
from tests.inference.test_ray import bright

data, folder, seconds = sys.argv[1:]
engine = RayEngine(RaySettings(), Pickled.of(bright(seconds=float(seconds))))
before = signal.getsignal(signal.SIGTERM)
how = Evaluation(batch_size=2, engine=engine, progress=lambda done, total: print(done, flush=True))
run = how.run(bright()(), "bright", open_folder(data), Store(Path(folder)))
import ray
print(run.provenance["resumed_at"], ray.is_initialized(), signal.getsignal(signal.SIGTERM) is before)
"""


def test_a_killed_driver_goes_on_where_it_stopped_and_leaves_nothing(photos: Path, tmp_path: Path) -> None:
    folder = tmp_path / "ray"

    def command(seconds: float) -> list[str]:
        return [sys.executable, "-W", "error", "-c", DRIVER, str(photos), str(folder), str(seconds)]

    root = Path(__file__).parents[2]
    with subprocess.Popen(command(0.2), stdout=subprocess.PIPE, text=True, cwd=root) as driver:
        assert driver.stdout is not None
        said = [int(next(driver.stdout)) for _ in range(3)]
        driver.send_signal(signal.SIGKILL)
    assert 0 < said[-1] < 48
    ended = subprocess.run(command(0), check=False, capture_output=True, text=True, cwd=root, timeout=60)
    assert ended.returncode == 0, ended.stderr
    *progress, last = ended.stdout.splitlines()
    resumed, *rest = last.split()
    assert int(progress[0]) == int(resumed) >= said[-1] - 1
    assert rest == ["False", "True"]
    store = Store(folder)
    assert len(store.run_ids()) == 1
    assert told(store.load(store.run_ids()[0])) == here(bright(), photos, tmp_path / "local")
