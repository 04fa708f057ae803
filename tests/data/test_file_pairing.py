"""Images and masks whose names do not match: the file that was meant, and the way out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from segqa.data.folder import open_folder
from segqa.errors import CaseError, DatasetError

Squares = Callable[[int], Path]


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        pytest.param(
            "A_000_mask.png", "the nearest is masks/A_000_mask.png: rename masks/A_000_mask.png to A_000.png", id="word"
        ),
        pytest.param("A_000_gt.png", "rename masks/A_000_gt.png to A_000.png", id="another word"),
        pytest.param("mask-A_000.tif", "rename masks/mask-A_000.tif to A_000.tif", id="word before"),
        pytest.param("A_000.png.png", "rename masks/A_000.png.png to A_000.png", id="two suffixes"),
        pytest.param("a_000.png", "rename masks/a_000.png to A_000.png", id="other case"),
        pytest.param("A_000_person_1.png", "rename masks/A_000_person_1.png to A_000.png", id="more words"),
        pytest.param("A_000.gif", "masks/A_000.gif is none of the kinds that are read (.bmp, ", id="a kind not read"),
        pytest.param("A_009.png", "expected a file of the same stem in masks/", id="another number"),
    ],
)
def test_the_nearest_mask_is_named_with_the_way_out(squares: Squares, mask: str, message: str) -> None:
    folder = squares(3)
    (folder / "masks" / "A_000.png").rename(folder / "masks" / mask)
    case = next(case for case in open_folder(folder) if case.id == "A_000")
    with pytest.raises(CaseError) as raised:
        case.target()
    assert message in str(raised.value)
    assert "A_009" not in str(raised.value)


def test_the_nearest_image_of_a_mask_is_named(squares: Squares) -> None:
    folder = squares(3)
    (folder / "images" / "A_000.png").rename(folder / "images" / "IMG_A_000.jpg")
    case = next(case for case in open_folder(folder) if case.id == "A_000")
    with pytest.raises(CaseError, match=r"nearest is images/IMG_A_000\.jpg: rename masks/A_000\.png to IMG_A_000\.png"):
        case.target()


def test_a_folder_without_any_pair_is_refused_at_once(squares: Squares) -> None:
    folder = squares(3)
    for path in list(folder.glob("masks/*")):
        path.rename(path.with_stem(f"{path.stem}_mask"))
    with pytest.raises(
        DatasetError, match=r"no image in .* has a mask in .*rename masks/A_000_mask\.png to A_000\.png"
    ):
        open_folder(folder)
