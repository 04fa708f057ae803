import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from segqa.data.dataset import Dataset
from segqa.data.folder import open_folder
from segqa.errors import DatasetError, SettingsError, StoreError
from segqa.inference.property_cache import PropertyCache, narrow, open_properties
from segqa.runs.query import parse_condition
from segqa.runs.store import Store
from segqa.scoring.properties import CaseProperties
from tests.conftest import bright_square, write_case

Maker = Callable[[int], Path]


def squares_of_two_cameras(folder: Path) -> Dataset:
    return open_folder(folder, name_pattern="(?P<camera>[AB])_")


def test_tags_choose_without_reading_a_pixel(squares: Maker, tmp_path: Path) -> None:
    folder = squares(6)
    for path in (folder / "images").iterdir():
        path.write_bytes(b"no picture")
    kept, edges = narrow(squares_of_two_cameras(folder), parse_condition("camera=A"), Store(tmp_path / "store"))
    assert [case.id for case in kept] == ["A_000", "A_002", "A_004"]
    assert edges == {}
    assert "only the 3 of 6 cases that camera=A means" in kept.notes
    assert not (tmp_path / "store").exists()


def test_properties_choose_by_the_edges_of_all(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    for index in range(9):
        image, mask = bright_square(3)
        write_case(folder, f"{index}", image + index, mask)
    kept, edges = narrow(open_folder(folder), parse_condition("brightness=dark"), Store(tmp_path / "store"))
    assert [case.id for case in kept] == ["0", "1", "2"]
    assert len(edges["brightness"]) == 2


def test_what_was_measured_is_kept(squares: Maker, tmp_path: Path) -> None:
    dataset, store = squares_of_two_cameras(squares(6)), Store(tmp_path / "store")
    condition = parse_condition("target_area>0")
    first = narrow(dataset, condition, store)
    with open_properties(store) as cache:
        source = next(iter(dataset)).source
        assert cache.get(source.digest() + source.target_digest())
    assert narrow(dataset, condition, store) == first


def test_another_cutoff_is_another_target(squares: Maker) -> None:
    folder = squares(1)
    (one,), (other,) = open_folder(folder), open_folder(folder, mask_cutoff=30)
    assert one.source.target_digest() != other.source.target_digest()


def test_a_case_that_cannot_be_read_is_not_meant(squares: Maker, tmp_path: Path) -> None:
    folder = squares(6)
    (folder / "images" / "A_000.png").write_bytes(b"no picture")
    kept, _ = narrow(squares_of_two_cameras(folder), parse_condition("target_area>0"), Store(tmp_path / "store"))
    assert [case.id for case in kept] == ["A_002", "A_004", "B_001", "B_003", "B_005"]


def test_a_tag_hides_the_property_of_its_name(squares: Maker, tmp_path: Path) -> None:
    folder = squares(2)
    (folder / "metadata.csv").write_text("id,brightness\nA_000,dim\nB_001,dim\n", encoding="utf-8")
    kept, _ = narrow(open_folder(folder), parse_condition("brightness=dim"), Store(tmp_path / "store"))
    assert len(kept) == 2


@pytest.mark.parametrize(
    ("condition", "problem"),
    [
        ("camra=A", "no case has a tag or property 'camra'; did you mean 'camera'"),
        ("camera=C", "no case has camera=C; known: A, B"),
        ("proposals=2", "how many proposals there are only a run knows; `segqa show RUN --where`"),
    ],
)
def test_what_there_is_not_is_refused(squares: Maker, tmp_path: Path, condition: str, problem: str) -> None:
    with pytest.raises(SettingsError, match=problem):
        narrow(squares_of_two_cameras(squares(4)), parse_condition(condition), Store(tmp_path / "store"))


def test_no_case_at_all_is_refused(squares: Maker, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="none of the 4 cases of squares is meant by 'camera=A and camera=B'"):
        narrow(squares_of_two_cameras(squares(4)), parse_condition("camera=A and camera=B"), Store(tmp_path / "store"))


def test_a_damaged_file_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "properties.sqlite").write_bytes(b"no database" * 100)
    with pytest.raises(StoreError, match="remove the file to start anew"):
        PropertyCache(tmp_path / "properties.sqlite")


def test_a_file_of_before_pixels_had_digests_is_measured_again(tmp_path: Path) -> None:
    path = tmp_path / "properties.sqlite"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE properties (key BLOB PRIMARY KEY, numbers TEXT) WITHOUT ROWID")
    measurement = CaseProperties({"brightness": 0.5}, "ab" * 16)
    with PropertyCache(path) as cache:
        cache.put([(b"digests", measurement)])
        assert cache.get(b"digests") == measurement
        cache._database.execute("UPDATE properties SET pixels = NULL")
        assert cache.get(b"digests") is None
