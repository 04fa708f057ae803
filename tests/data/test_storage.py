"""The name of a data set is that of its folder as it is typed."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from segqa.data.folder import open_folder
from segqa.data.storage import get_location_name, resolve_location

Squares = Callable[[int], Path]


@pytest.fixture
def data(squares: Squares, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with `data`, a link to `versions/data-v3`; Python runs in the folder."""
    (tmp_path / "versions").mkdir()
    squares(1).rename(tmp_path / "versions" / "data-v3")
    (tmp_path / "data").symlink_to("versions/data-v3")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "data"


@pytest.mark.parametrize(
    "typed", ["data", "data/", "./data", "data/.", "data//", "versions/../data", "../{}/data", "{}/data"]
)
def test_a_link_has_its_own_name_however_it_is_typed(data: Path, typed: str) -> None:
    parent = data.parent if typed.startswith("{") else data.parent.name
    assert open_folder(typed.format(parent)).name == "data"


@pytest.mark.parametrize("typed", ["versions/data-v3", "versions/data-v3/images/.."])
def test_a_folder_has_its_name(data: Path, typed: str) -> None:
    assert data.is_symlink()
    assert open_folder(typed).name == "data-v3"


def test_a_folder_without_a_name_has_that_of_the_folder_it_means(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # where the system is, not where the link is
    assert open_folder("data/images/..").name == "data-v3"
    monkeypatch.chdir(data)
    assert open_folder(".").name == "data-v3"
    assert open_folder(os.curdir + "/").name == "data-v3"


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("s3://bucket/photos", "photos"),
        ("s3://bucket/photos/", "photos"),
        ("s3://bucket/photos//", "photos"),
        ("s3://bucket", "bucket"),
        ("zip://val::s3://bucket/all.zip", "val"),
        ("memory://", "memory"),
    ],
)
def test_an_address_has_the_name_of_its_last_part(address: str, name: str) -> None:
    assert get_location_name(resolve_location(address)) == name
