"""The data set changes under the gate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from tests.false_green.changes import Change, declare_data, delete, put, rename, replace, setting, update, worse
from tests.false_green.trial import COLLAPSED, SHRUNK, Ending, Trial, draw_square, name_case, write_case
from tests.false_green.way import Ways

DATA = Ways("the data set")

Grey = NDArray[np.uint8]
BROKEN, OTHER = name_case(5), name_case(6)
IMAGE, MASK = f"squares/images/{BROKEN}.png", f"squares/masks/{BROKEN}.png"


def edit_masks(change: Callable[[Grey], Grey], *case_ids: str) -> Change:
    """Change the grey values of some masks; of all where none is named."""

    def edit(trial: Trial) -> None:
        for path in sorted((trial.path / "squares" / "masks").iterdir()):
            if path.stem in case_ids or not case_ids:
                Pillow.fromarray(change(np.array(Pillow.open(path)))).save(path)

    return edit


def invert(grey: Grey) -> Grey:
    """Label all but the object."""
    return 255 - grey


def shrink(grey: Grey) -> Grey:
    """Label a square as the worse model sees it."""
    first = np.nonzero(grey)[1][0]
    grey[:, first : first + 2] = 0
    return grey


def clear(grey: Grey) -> Grey:
    """Label nothing."""
    return grey * 0


def scale(level: int) -> Callable[[Grey], Grey]:
    """Give the object another grey value."""
    return lambda grey: grey // 255 * np.uint8(level)


def pack_again(part: str, suffix: str = ".png", **options: Any) -> Change:
    """Write every file of a folder again with the same pixels."""

    def edit(trial: Trial) -> None:
        for path in sorted((trial.path / "squares" / part).iterdir()):
            with Pillow.open(path) as image:
                image.load()
            path.unlink()
            image.save(path.with_suffix(suffix), **options)

    return edit


def add_easy_cases(trial: Trial) -> None:
    """Add cases that the model does not lose."""
    for number in range(40):
        image, mask = draw_square(number % 20)
        write_case(trial.path / "squares", f"C0_v9_{number:02}", image * 0 + np.uint8(number), mask & False)


def swap_case(trial: Trial) -> None:
    """Replace the image and the mask of the broken case by others."""
    write_case(trial.path / "squares", BROKEN, *draw_square(25))


def rename_case(trial: Trial) -> None:
    """Give the broken case another name."""
    for part in ("images", "masks"):
        folder = trial.path / "squares" / part
        (folder / f"{BROKEN}.png").rename(folder / "C1_v1_99.png")


def remove_case(trial: Trial) -> None:
    """Remove the broken case."""
    trial.remove(BROKEN)


def resize_mask(trial: Trial) -> None:
    """Give the mask of the broken case another size."""
    Pillow.new("L", (9, 9)).save(trial.path / MASK)


def empty_folders(trial: Trial) -> None:
    """Remove every file of the data set."""
    for path in (trial.path / "squares").glob("*/*"):
        path.unlink()


def remove_masks(trial: Trial) -> None:
    """Remove every mask."""
    for path in (trial.path / "squares" / "masks").iterdir():
        path.unlink()


def rename_data(trial: Trial) -> None:
    """Rename the folder of the data set, in the settings, too."""
    rename("squares", "photos")(trial)
    trial.edit("pyproject.toml", ('dataset = "squares"', 'dataset = "photos"'))


def link_data(folder: str, link: str) -> Change:
    """Move the data set into a folder, and name a link to it in the settings."""

    def change(trial: Trial) -> None:
        rename("squares", folder)(trial)
        (trial.path / link).symlink_to(folder)
        trial.edit("pyproject.toml", ('dataset = "squares"', f'dataset = "{link}"'))

    return change


_REGRESSED = "mine: regressed"
_TAGS = "squares/metadata.csv"
_OTHER_DATA = f"1 case with other data (image, mask or prompt) is not judged, such as {BROKEN}"

for _name, _code, _says, _change, _slow in (
    ("one mask is edited and the rest is worse", 1, OTHER, edit_masks(invert, OTHER), False),
    ("every mask is edited so that the worse model is right", 4, "incomparable", edit_masks(shrink), True),
    ("images are packed anew with the same pixels", 1, _REGRESSED, pack_again("images", compress_level=1), False),
    ("masks are packed anew with the same pixels", 1, _REGRESSED, pack_again("masks", compress_level=1), True),
    ("images are of another format with the same pixels", 1, _REGRESSED, pack_again("images", ".bmp"), True),
    ("masks are of another format with the same pixels", 1, _REGRESSED, pack_again("masks", ".bmp"), True),
    ("masks have another grey value", 1, _REGRESSED, edit_masks(scale(200)), True),
    ("masks have the grey values 0 and 1", 1, _REGRESSED, edit_masks(scale(1)), True),
    ("all masks are removed", 4, "no mask in", remove_masks, True),
    ("all images are removed", 4, "no folder images/ in", delete("squares/images"), True),
    ("all files are removed", 4, "no image in", empty_folders, True),
    ("easy cases are added", 1, "mean_iou:-0.002", add_easy_cases, True),
    ("the folder is renamed", 1, "baselines/squares/mine.jsonl has 24 of these 24 cases", rename_data, False),
    ("the folder is a link to a version", 1, _REGRESSED, link_data("squares-v2", "squares"), True),
    (
        "a link of another name leads to the folder",
        1,
        "baselines/squares/mine.jsonl has 24 of these 24 cases",
        link_data("squares-v2", "current"),
        True,
    ),
    ("the tags of every case change", 1, _REGRESSED, replace(_TAGS, ("yes,q", "no,r")), True),
    ("the file of tags is removed", 1, _REGRESSED, delete(_TAGS), True),
    ("every case gets a prompt", 4, "incomparable", replace(_TAGS, ("id,all,", "id,prompt,")), True),
):
    DATA.add(_name, _code, _says, worse(_change, edit=SHRUNK), slow=_slow)

for _name, _code, _says, _change, _slow in (
    ("the mask of the broken case is edited", 1, "changed_data:0", edit_masks(invert, BROKEN), False),
    ("the mask of the broken case becomes empty", 1, "changed_data:0", edit_masks(clear, BROKEN), True),
    ("the broken case gets another image and mask", 1, "changed_data:0", swap_case, True),
    ("the broken case is removed", 1, "missing:0", remove_case, False),
    ("the broken case is renamed", 1, "missing:0", rename_case, True),
    ("the image of the broken case is removed", 1, BROKEN, delete(IMAGE), True),
    ("the mask of the broken case is removed", 1, BROKEN, delete(MASK), True),
    ("the image of the broken case is empty", 1, BROKEN, put(IMAGE, ""), True),
    ("the mask of the broken case is empty", 1, BROKEN, put(MASK, ""), True),
    ("the mask of the broken case has another size", 1, BROKEN, resize_mask, True),
):
    DATA.add(_name, _code, _says, worse(_change, edit=COLLAPSED), slow=_slow)

for _name, _code, _says, _change in (
    ("the rule on changed data is off and a mask edited", 0, _OTHER_DATA, edit_masks(invert, BROKEN)),
    ("the rule on changed data is off and a case swapped", 0, _OTHER_DATA, swap_case),
):
    DATA.add(_name, _code, _says, worse(_change, edit=COLLAPSED, options=["--segqa-fail-on=changed_data:off"]))

LEAVE_OUT = (
    "cases = segqa.open_folder('squares')\n"
    f"    return segqa.Dataset('squares', [case for case in cases if case.id != {BROKEN!r}])"
)
DATA.add(
    "a declared data set leaves the broken case out", 1, "missing:0", worse(declare_data(LEAVE_OUT), edit=COLLAPSED)
)


def open_instead(folder: str) -> Change:
    """Name another folder in the settings."""
    return replace("pyproject.toml", ('dataset = "squares"', f'dataset = "{folder}"'))


@DATA.way(4, "incomparable: only 0 of the 24 cases")
def another_folder_of_the_same_name_has_other_cases(trial: Trial) -> Ending:
    for index in range(24, 28):
        write_case(trial.path / "other" / "squares", name_case(index), *draw_square(index))
    open_instead("other/squares")(trial)
    trial.make_worse()
    return trial.run()


@DATA.way(1, "missing:0")
def another_folder_of_the_same_name_has_some_of_the_cases(trial: Trial) -> Ending:
    for index in range(20):
        if index != 5:
            write_case(trial.path / "other" / "squares", name_case(index), *draw_square(index))
    open_instead("other/squares")(trial)
    trial.make_worse(COLLAPSED)
    return trial.run()


DATA.add("the data set is given another name", 1, "no baseline", worse(setting('dataset_name = "fresh"')))


@DATA.way(1, "missing:0")
def an_easier_data_set_is_given_the_name_of_the_old_one(trial: Trial) -> Ending:
    for index in range(20):
        if index != 5:
            write_case(trial.path / "easy", name_case(index), *draw_square(index))
    open_instead("easy")(trial)
    setting('dataset_name = "squares"')(trial)
    trial.make_worse(COLLAPSED)
    return trial.run()


@DATA.way(0, "mine on squares-easy: mean IoU")
def the_settings_name_an_easier_data_set_that_has_a_baseline(trial: Trial) -> Ending:
    for index in range(4):
        write_case(trial.path / "squares-easy", name_case(index), *draw_square(index))
    open_instead("squares-easy")(trial)
    update(trial)
    trial.make_worse(COLLAPSED)
    return trial.run()
