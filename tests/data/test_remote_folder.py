"""A folder elsewhere is read as one here: in the memory of fsspec, and in a storage that is slow on purpose."""

from __future__ import annotations

import asyncio
import pickle
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from segqa import Case, Outcome, Proposals, audit_dataset, evaluate, open_folder
from segqa.data import reading_rules, storage
from segqa.data.mask import Image
from segqa.data.remote_folder import RemoteFile, prefetch
from segqa.errors import CaseError, DatasetError
from tests.conftest import bright_square, write_case

fsspec = pytest.importorskip("fsspec", reason="folders elsewhere need segqa[remote]")
AsyncFileSystem: Any = pytest.importorskip("fsspec.asyn").AsyncFileSystem

Squares = Callable[[int], Path]


class Slow(AsyncFileSystem):  # type: ignore[misc] # fsspec has no types
    """The files of this machine, each a while after it has been asked for; it says how it was asked."""

    protocol = "slow"
    wait = 0.05
    asked: ClassVar[Counter[str]] = Counter()
    open_now = most_at_once = 0

    async def _cat_file(self, path: str, **_: object) -> bytes:
        kind = type(self)
        kind.asked[Path(path).name] += 1
        kind.open_now += 1
        kind.most_at_once = max(kind.most_at_once, kind.open_now)
        await asyncio.sleep(self.wait)
        kind.open_now -= 1
        return read(path)

    async def _ls(self, path: str, **_: object) -> list[dict[str, Any]]:
        type(self).asked["listing"] += 1
        return entries(path)


def read(path: str) -> bytes:
    return Path(path).read_bytes()


def entries(path: str) -> list[dict[str, Any]]:
    return [
        {"name": str(entry), "size": entry.stat().st_size, "type": "directory" if entry.is_dir() else "file"}
        for entry in Path(path).iterdir()
    ]


class Bright:
    """Segments what is bright."""

    fingerprint = "bright"

    def predict(self, images: Sequence[Image], prompts: Sequence[str]) -> list[Proposals]:
        return [Proposals.single(image[:, :, 0] > 100) for image in images]


@pytest.fixture(autouse=True)
def _as_if_new() -> Iterator[None]:
    fsspec.register_implementation("slow", Slow, clobber=True)
    Slow.asked.clear()
    Slow.most_at_once = 0
    yield
    fsspec.filesystem("memory").store.clear()
    fsspec.filesystem("memory").pseudo_dirs[:] = [""]
    storage.get_storage.cache_clear()


@pytest.fixture
def _without_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    """No file is looked at to find the rules of a data set, so that all that is fetched is fetched for its cases."""
    monkeypatch.setattr(reading_rules, "SAMPLE", 0)
    monkeypatch.setattr(reading_rules, "_SEARCHED", 0)


def upload(folder: Path) -> str:
    """The same files in the memory of fsspec; their address."""
    for path in folder.rglob("*"):
        if path.is_file():
            put(path.relative_to(folder.parent).as_posix(), path.read_bytes())
    return f"memory://{folder.name}"


def put(path: str, content: bytes) -> None:
    fsspec.filesystem("memory").pipe_file(f"/{path}", content)


def outcomes(where: str | Path) -> list[Outcome]:
    """All but what differs from run to run."""
    return [replace(one, error=one.reason, seconds=0.0) for one in evaluate(Bright(), where).outcomes]


def read_all(cases: Sequence[Case]) -> None:
    """As an evaluation does."""
    for case in cases:
        case.source.digest()
        case.source.target_digest()
        case.target()
        case.image()


def test_a_folder_elsewhere_is_the_same_data_set(squares: Squares) -> None:
    folder = squares(5)
    (folder / "metadata.csv").write_text("\ufeffid,light,prompt\nA_000,day,it\nZ,night,\n", encoding="utf-8")
    (folder / "images" / "notes.txt").write_text("no picture", encoding="utf-8")
    (folder / "images" / ".hidden").touch()
    (folder / "masks" / "more").mkdir()
    (folder / "masks" / "more" / "x.png").touch()
    how: dict[str, Any] = {"name_pattern": "(?P<row>A)", "mask_cutoff": 100, "prompt": "square."}
    here, there = open_folder(folder, **how), open_folder(upload(folder), **how)
    assert (there.name, there.notes, there.listing()) == (here.name, here.notes, here.listing())
    assert [(case, case.tags) for case in there] == [(case, case.tags) for case in here]
    for one, other in zip(there, here, strict=True):
        assert one.source.digest() + one.source.target_digest() == other.source.digest() + other.source.target_digest()
        assert np.array_equal(one.image(), other.image())
        assert np.array_equal(one.target(), other.target())


def test_each_outcome_is_that_of_the_folder_here(squares: Squares) -> None:
    folder = squares(9)
    whole = (folder / "images" / "A_004.png").read_bytes()
    (folder / "masks" / "A_002.png").unlink()
    (folder / "images" / "B_003.png").write_bytes(b"")
    (folder / "images" / "A_004.png").write_bytes(whole[: len(whole) // 2])
    (folder / "masks" / "B_005.png").write_bytes(b"no picture")
    (folder / "images" / "A_006.png").unlink()
    (folder / "images" / "A_006.png").mkdir()
    (folder / "images" / "A_006.png" / "x").touch()
    found = outcomes(upload(folder))
    assert found == outcomes(folder)
    assert [one.case_id for one in found if one.error] == ["A_002", "A_004", "A_006", "B_003", "B_005"]


def test_an_audit_of_it_finds_the_same(squares: Squares) -> None:
    folder = squares(4)
    write_case(folder, "copy", *bright_square(0))
    here, there = open_folder(folder), open_folder(upload(folder))
    assert audit_dataset(there, here) == audit_dataset(here, there)


def test_the_stamp_changes_with_any_file(squares: Squares) -> None:
    address = upload(squares(2))
    before = open_folder(address).stamp()
    assert open_folder(address).stamp() == before
    content = fsspec.filesystem("memory").cat_file("/squares/masks/A_000.png")
    put("squares/masks/A_000.png", content[:-1] + b"x")
    assert open_folder(address).stamp() != before


def test_what_has_no_folders_may_have_an_empty_file_in_their_place(squares: Squares) -> None:
    class WithMarkers(Slow):
        async def _ls(self, path: str, **_: object) -> list[dict[str, Any]]:
            return [{"name": f"{path}/", "size": 0, "type": "file"}, *await super()._ls(path)]

    fsspec.register_implementation("slow", WithMarkers, clobber=True)
    assert open_folder(f"slow://{squares(2)}").notes == ()


@pytest.mark.parametrize(
    ("address", "message"),
    [
        pytest.param("memory://nowhere", "data set not found: memory://nowhere; expected a folder", id="no folder"),
        pytest.param("memory://flat/", "no folder images/ in memory://flat; expected images/ and masks/", id="flat"),
        pytest.param("memory://single", "no folder masks/ in memory://single", id="a file in place of a folder"),
        pytest.param("memory://texts", "no image in memory://texts/images; expected .bmp", id="no picture"),
        pytest.param("memory://odd", "memory://odd/metadata.csv has no column 'id', got name", id="metadata"),
        pytest.param("memoryy://x", "no file system is called 'memoryy'; did you mean 'memory'", id="misspelt"),
    ],
)
def test_what_is_not_there_is_said_as_of_a_folder_here(address: str, message: str) -> None:
    for path in ("flat/a.png", "single/images/a.png", "single/masks", "texts/images/a.txt", "texts/masks/a.png"):
        put(path, b"x")
    for path in ("odd/images/a.png", "odd/masks/a.png", "odd/metadata.csv"):
        put(path, b"name\n")
    with pytest.raises(DatasetError, match=message):
        open_folder(address)


def test_a_package_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DatasetError, match="oci://x needs a package that is not installed: Install ocifs to access"):
        open_folder("oci://x")
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(DatasetError, match=r"memory://x needs fsspec: pip install 'segqa\[remote\]'"):
        open_folder("memory://x")


def test_a_network_that_fails_is_one_error_of_all_or_of_a_case(squares: Squares) -> None:
    class Failing(Slow):
        broken = "images"

        async def _cat_file(self, path: str, **_: object) -> bytes:
            raise ConnectionError("no answer\nfor 60 s")

        async def _ls(self, path: str, **_: object) -> list[dict[str, Any]]:
            if path.endswith(self.broken):
                raise PermissionError("Forbidden")
            return await super()._ls(path)

    folder = squares(1)
    fsspec.register_implementation("slow", Failing, clobber=True)
    with pytest.raises(DatasetError, match=r"cannot list slow://.*/squares: PermissionError: Forbidden"):
        open_folder(f"slow://{folder}")
    Failing.broken = "nothing"
    (case,) = open_folder(f"slow://{folder}")
    with pytest.raises(CaseError, match=r"cannot read A_000.png: ConnectionError: no answer for 60 s"):
        case.image()


def test_a_storage_without_sizes_is_refused(squares: Squares) -> None:
    class Sizeless(Slow):
        async def _ls(self, path: str, **_: object) -> list[dict[str, Any]]:
            return [{**entry, "size": None} for entry in await super()._ls(path)]

    fsspec.register_implementation("slow", Sizeless, clobber=True)
    with pytest.raises(DatasetError, match="is listed without sizes of files"):
        open_folder(f"slow://{squares(1)}")


def test_a_case_goes_to_another_process_as_it_is(squares: Squares) -> None:
    address = f"file://{squares(1)}"
    packed = pickle.dumps(replace(open_folder(address).cases[0], tags={}))
    code = "import pickle, sys; print(pickle.load(sys.stdin.buffer).source.digest().hex(), end='')"
    found = subprocess.run([sys.executable, "-c", code], input=packed, capture_output=True, check=True)
    assert found.stdout.decode() == open_folder(address).cases[0].source.digest().hex()


def test_a_file_is_fetched_once_and_a_folder_listed_once(squares: Squares) -> None:
    data = open_folder(f"slow://{squares(3)}")
    assert Slow.asked == {"listing": 3}
    read_all(data.cases)
    data.stamp()
    data.listing()
    assert Slow.asked == {"listing": 3, "A_000.png": 2, "B_001.png": 2, "A_002.png": 2}


@pytest.mark.usefixtures("_without_sample")
def test_what_comes_next_is_fetched_ahead(squares: Squares) -> None:
    data = open_folder(f"slow://{squares(30)}")
    with prefetch(data):
        read_all(data.cases)
    assert 4 < Slow.most_at_once <= 16
    assert max(count for name, count in Slow.asked.items() if name != "listing") == 2


def test_an_evaluation_fetches_ahead(squares: Squares) -> None:
    folder = squares(12)
    assert outcomes(f"slow://{folder}") == outcomes(folder)
    assert Slow.most_at_once > 4


def test_masks_that_are_not_needed_are_not_fetched(squares: Squares) -> None:
    data = open_folder(f"slow://{squares(4)}")
    with prefetch(data, targets=False):
        for case in data:
            case.image()
    assert Slow.asked.total() == 3 + 4


def test_what_was_looked_at_to_find_the_rules_is_not_fetched_again(squares: Squares) -> None:
    data = open_folder(f"slow://{squares(30)}")
    with prefetch(data):
        read_all(data.cases)
    assert Slow.asked.total() == 3 + 60


@pytest.mark.usefixtures("_without_sample")
def test_what_is_fetched_ahead_has_its_limits(squares: Squares, monkeypatch: pytest.MonkeyPatch) -> None:
    data = open_folder(f"slow://{squares(12)}")
    monkeypatch.setattr(storage, "_AHEAD_BYTES", 1)
    with prefetch(data):
        read_all(data.cases)
    assert Slow.most_at_once <= 2  # one is waited for, the next one comes
    assert max(count for name, count in Slow.asked.items() if name != "listing") == 2


@pytest.mark.usefixtures("_without_sample")
def test_what_is_skipped_makes_room(squares: Squares, monkeypatch: pytest.MonkeyPatch) -> None:
    data = open_folder(f"slow://{squares(40)}")
    monkeypatch.setattr(storage, "_AHEAD", 20)
    monkeypatch.setattr(Slow, "wait", 0.0)
    with prefetch(data):
        for case in data:
            case.image()
        ahead = storage.get_storage(f"slow://{squares(0)}")._ahead
        assert ahead is not None
        assert len(ahead._coming) <= 9
    assert Slow.asked.total() <= 3 + 80


def test_only_so_much_of_what_was_read_stays(squares: Squares, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Slow, "wait", 0.0)
    address = f"slow://{squares(30)}"
    data = open_folder(address)
    monkeypatch.setattr(storage, "_KEPT", 16)
    read_all(data.cases)
    assert len(storage.get_storage(address)._kept) == 16
    monkeypatch.setattr(storage, "_KEPT_BYTES", 1)
    read_all(data.cases)
    assert len(storage.get_storage(address)._kept) == 2


def test_a_file_is_known_by_the_last_part_of_its_path() -> None:
    assert RemoteFile("s3://b", "b/images/x.png", "file", 1, "").name == "x.png"
