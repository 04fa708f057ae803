from __future__ import annotations

import shutil
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image as Pillow

from segqa import Audit, Dataset, Store, audit_dataset, open_folder, open_studio
from segqa.data.case import Case, Target
from segqa.data.mask import Image
from segqa.errors import StoreError
from tests.analysis.data_audit.sound import SHAPE, make_disc, make_image, write_sound
from tests.conftest import write_case


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    return write_sound(tmp_path / "photos")


def collect_flaws(audit: Audit) -> dict[str, tuple[str, ...]]:
    """The case ids of all sorts of flaws that there are."""
    sorts = [name for name in Audit.__dataclass_fields__ if name != "dataset"]
    return {name: flaws.case_ids for name in sorts if (flaws := getattr(audit, name))}


def save_mask(path: Path, values: Image) -> None:
    Pillow.fromarray(values).save(path)


def test_a_sound_data_set_has_no_flaw(sound: Path) -> None:
    assert collect_flaws(audit_dataset(open_folder(sound))) == {}


def lose_a_mask(folder: Path) -> None:
    (folder / "masks" / "c03.png").unlink()


def lose_an_image(folder: Path) -> None:
    (folder / "images" / "c03.png").unlink()


def cut_an_image_off(folder: Path) -> None:
    path = folder / "images" / "c03.png"
    path.write_bytes(path.read_bytes()[:60])


def cut_a_mask_off(folder: Path) -> None:
    path = folder / "masks" / "c03.png"
    path.write_bytes(path.read_bytes()[:60])


def scale_a_mask(folder: Path) -> None:
    save_mask(folder / "masks" / "c03.png", make_disc(3)[::2].astype(np.uint8) * 255)


def halve_a_mask(folder: Path) -> None:
    save_mask(folder / "masks" / "c03.png", make_disc(3)[::2, ::2].astype(np.uint8) * 255)


def blur_a_mask(folder: Path) -> None:
    save_mask(
        folder / "masks" / "c03.png", cv2.GaussianBlur(make_disc(3).astype(np.uint8) * 255, (7, 7), 0).astype(np.uint8)
    )


def mark_a_third_value(folder: Path) -> None:
    values = make_disc(3).astype(np.uint8) * 255
    values[:20] = 100
    save_mask(folder / "masks" / "c03.png", values)


def empty_a_mask(folder: Path) -> None:
    save_mask(folder / "masks" / "c03.png", np.zeros(SHAPE, np.uint8))


def fill_a_mask(folder: Path) -> None:
    save_mask(folder / "masks" / "c03.png", np.full(SHAPE, 255, np.uint8))


def invert_a_mask(folder: Path) -> None:
    save_mask(folder / "masks" / "c03.png", (~make_disc(3)).astype(np.uint8) * 255)


def copy_an_image(folder: Path) -> None:
    shutil.copy(folder / "images" / "c01.png", folder / "images" / "c03.png")


def copy_an_image_as_a_jpeg(folder: Path) -> None:
    (folder / "images" / "c03.png").unlink()
    Pillow.fromarray(make_image(1)).save(folder / "images" / "c03.jpg", quality=60)


def tag_the_others(folder: Path) -> None:
    rows = [f"c{index:02},{'' if index == 3 else 'night'}" for index in range(12)]
    (folder / "metadata.csv").write_text("\n".join(["id,light", *rows]), encoding="utf-8")


DEFECTS = [
    pytest.param(lose_a_mask, "unreadable", "image c03.png has no mask: expected*", id="no mask"),
    pytest.param(lose_an_image, "unreadable", "mask c03.png has no image: expected*", id="no image"),
    pytest.param(cut_an_image_off, "unreadable", "cannot read c03.png*", id="image cut off"),
    pytest.param(cut_a_mask_off, "unreadable", "cannot read c03.png*", id="mask cut off"),
    pytest.param(scale_a_mask, "unequal", "image 90 × 80 pixels, mask 90 × 40", id="sizes"),
    pytest.param(halve_a_mask, "unequal", "image 90 × 80 pixels, mask 45 × 40: *mask_resize = true*", id="half size"),
    pytest.param(blur_a_mask, "not_binary", "mask c03.png is not binary: ?% of its values*", id="soft"),
    pytest.param(
        mark_a_third_value,
        "unreadable",
        "mask c03.png holds 0 (*), 100 (25 %), 255 (*); the masks of this data set hold 0 and 255;*",
        id="grey",
    ),
    pytest.param(empty_a_mask, "empty", "", id="empty"),
    pytest.param(fill_a_mask, "full", "", id="full"),
    pytest.param(invert_a_mask, "inverted", "object is 90% of the image, all corners, 100% of*", id="inverted"),
    pytest.param(copy_an_image, "repeated", "the same image as c01", id="copy"),
    pytest.param(copy_an_image_as_a_jpeg, "near_duplicates", "like c01: ? of 64 bits differ", id="another file"),
    pytest.param(tag_the_others, "untagged", "no light", id="tag"),
]


@pytest.mark.parametrize("kept", [False, True], ids=["not kept", "kept"])
@pytest.mark.parametrize(("spoil", "sort", "what"), DEFECTS)
def test_a_planted_defect_is_found_and_nothing_else(
    sound: Path, tmp_path: Path, spoil: Callable[[Path], None], sort: str, what: str, kept: bool
) -> None:
    store = Store(tmp_path / "kept") if kept else None
    audit_dataset(open_folder(sound), None, store)
    spoil(sound)
    for _ in range(2):
        audit = audit_dataset(open_folder(sound), None, store)
        assert collect_flaws(audit) == {sort: ("c03",)}
        (flaw,) = getattr(audit, sort).found
        assert fnmatch(flaw.what, what)


@pytest.mark.parametrize("count", [5, 6, 12])
def test_inverted_masks_are_found_though_all_are(sound: Path, count: int) -> None:
    for index in range(count):
        write_case(sound, f"c{index:02}", make_image(index), ~make_disc(index))
    inverted = audit_dataset(open_folder(sound)).inverted
    assert len(inverted) == count
    assert ("set thresholds.inverted = 1.0" in inverted.story) == (count >= 6)


def test_a_target_that_covers_two_corners_does_not_look_inverted(sound: Path) -> None:
    mask = np.ones(SHAPE, np.bool_)
    mask[:10] = False
    write_case(sound, "c03", make_image(3), mask)
    assert collect_flaws(audit_dataset(open_folder(sound))) == {}


def test_images_of_the_training_data_are_found_as_they_are_and_changed(sound: Path, tmp_path: Path) -> None:
    train = write_sound(tmp_path / "train", 12, first=20)
    shutil.copy(sound / "images" / "c01.png", train / "images" / "c25.png")
    Pillow.fromarray(make_image(5)).save(train / "images" / "c26.png", optimize=True, compress_level=1)
    audit = audit_dataset(open_folder(sound), open_folder(train))
    assert collect_flaws(audit) == {"leaked": ("c01", "c05")}
    assert audit.leaked is not None
    assert [flaw.what for flaw in audit.leaked.found] == [
        "the same image as c25 of the training data",
        "like c26 of the training data: 0 of 64 bits differ",
    ]


def test_training_images_that_cannot_be_read_are_told(sound: Path, tmp_path: Path) -> None:
    train = write_sound(tmp_path / "train", 4, first=20)
    (train / "images" / "c21.png").write_bytes(b"")
    audit = audit_dataset(open_folder(sound), open_folder(train))
    assert collect_flaws(audit) == {"unread_train": ("c21",)}
    assert audit.unread_train is not None
    assert audit.unread_train.story == (
        "1 of 4 cases of the training data cannot be read\n  c21  c21.png is empty (0 bytes)"
    )


def test_without_training_data_nothing_is_said_of_it(sound: Path) -> None:
    assert audit_dataset(open_folder(sound)).leaked is None


class Blind:
    """A source whose pixels nobody may ask for."""

    def __init__(self, name: str) -> None:
        self.name = name

    def digest(self) -> bytes:
        return self.name.encode()

    target_digest = digest

    def stamp(self) -> str:
        return self.name

    def image(self) -> Image:
        raise AssertionError(f"the image of {self.name} is read")

    def target(self) -> Target:
        raise AssertionError(f"the target of {self.name} is read")


class Seeing(Blind):
    def image(self) -> Image:
        return make_image(int(self.name))

    def target(self) -> Target:
        return Target(make_disc(int(self.name)), "odd" * (self.name == "2"))


def make_dataset(source: type[Blind], count: int = 300) -> Dataset:
    return Dataset.from_cases("made", (Case(f"{index:03}", "", source(str(index))) for index in range(count)))


def test_the_second_time_no_pixel_is_read(tmp_path: Path) -> None:
    store = Store(tmp_path)
    first = audit_dataset(make_dataset(Seeing), make_dataset(Seeing, 310), store)
    assert audit_dataset(make_dataset(Blind), make_dataset(Blind, 310), store) == first
    assert first.not_binary.case_ids == ("002",)
    assert first.leaked is not None
    assert len(first.leaked) == 300


def test_a_case_that_could_not_be_read_is_tried_again(sound: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "kept")
    whole = (sound / "images" / "c03.png").read_bytes()
    cut_an_image_off(sound)
    assert audit_dataset(open_folder(sound), None, store).unreadable
    (sound / "images" / "c03.png").write_bytes(whole)
    assert collect_flaws(audit_dataset(open_folder(sound), None, store)) == {}


def test_a_damaged_file_of_looks_says_what_to_do(sound: Path, tmp_path: Path) -> None:
    (tmp_path / "glances.sqlite").write_bytes(b"no database" * 100)
    with pytest.raises(StoreError, match=r"cannot use the glances in .*remove the file"):
        audit_dataset(open_folder(sound), None, Store(tmp_path))


def test_progress_counts_the_training_data_too(sound: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    train = open_folder(write_sound(tmp_path / "train", 3, first=20))
    audit_dataset(open_folder(sound), train, progress=lambda done, total: told.append((done, total)))
    assert told[0] == (0, 15)
    assert told[-1] == (15, 15)
    assert told == sorted(told)


def test_the_studio_is_sound_but_for_frames_that_look_alike() -> None:
    audit = audit_dataset(open_studio())
    assert set(collect_flaws(audit)) == {"near_duplicates"}
    # the allowance in this project's pyproject.toml, and in the one that `segqa init` writes
    assert audit.near_duplicates.share < 0.6


@pytest.mark.slow
def test_the_flaws_of_ccp_are_those_that_somebody_has_looked_at(ccp: Path) -> None:
    audit = audit_dataset(open_folder(ccp))
    assert collect_flaws(audit) == {"empty": ("0536",), "near_duplicates": ("0671", "0732", "0984")}
    assert [flaw.other for flaw in audit.near_duplicates.found] == ["0197", "0692", "0078"]
