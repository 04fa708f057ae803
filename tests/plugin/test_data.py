"""The data suite: what it says of sound and unsound data sets, without a model."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image as Pillow

from tests.analysis.data_audit.sound import SHAPE, make_disc, make_image, write_sound
from tests.conftest import write_case
from tests.plugin.workers import MOSTLY_ONE

Repository = pytest.Pytester

DATA = ("suites/test_data.py", "-rs")


@pytest.fixture
def photos(repository: Repository) -> Path:
    """Twelve sound cases, and the suite beside the others."""
    suite = Path(__file__).parents[2] / "suites" / "test_data.py"
    shutil.copy(suite, repository.path / "suites" / "test_data.py")
    settings(repository, "dataset = 'photos'")
    return write_sound(repository.path / "photos")


def settings(repository: Repository, text: str) -> None:
    (repository.path / "pyproject.toml").write_text(f"[tool.segqa]\n{text}\n", encoding="utf-8")


def copy_image(folder: Path, first: str, second: str) -> None:
    shutil.copy(folder / "images" / f"{first}.png", folder / "images" / f"{second}.png")


@pytest.mark.parametrize("workers", MOSTLY_ONE)
def test_a_sound_data_set_passes_without_a_model(
    repository: Repository, photos: Path, workers: tuple[str, ...]
) -> None:
    result = repository.runpytest_subprocess(*DATA, *workers)
    result.assert_outcomes(passed=9, skipped=1)
    result.stdout.fnmatch_lines(["*no training data is named: --segqa-train-dataset, or train_dataset in*"])
    assert not (repository.path / "reports").exists()


@pytest.mark.parametrize("workers", MOSTLY_ONE)
def test_defects_fail_with_their_cases(repository: Repository, photos: Path, workers: tuple[str, ...]) -> None:
    (photos / "masks" / "c00.png").unlink()
    copy_image(photos, "c01", "c02")
    write_case(photos, "c03", make_image(3), np.zeros(SHAPE, np.bool_))
    write_case(photos, "c04", make_image(4), ~make_disc(4))
    result = repository.runpytest_subprocess(*DATA, *workers)
    result.assert_outcomes(passed=5, failed=4, skipped=1)
    # with workers the order of the failures is another one
    for line in (
        "E*1 of 12 cases cannot be read",
        "E*c00  image c00.png has no mask: expected a file of the same stem in masks/",
        "E*1 of 12 cases repeats the image of another case",
        "E*just these: pytest *suites/test_data.py -rs*--segqa-where 'id=c02 or id=c01'",
        "E*1 of 12 cases has an empty target",
        "E*assert 0.08* <= 0.05",
        "E*c04  object is 8?% of the image, all corners, 100% of the border",
    ):
        result.stdout.fnmatch_lines([line])


def test_the_command_of_a_finding_audits_just_these(repository: Repository, photos: Path) -> None:
    copy_image(photos, "c01", "c02")
    result = repository.runpytest("suites/test_data.py", "--segqa-where", "id=c02 or id=c01")
    result.assert_outcomes(passed=8, failed=1, skipped=1)
    result.stdout.fnmatch_lines(["E*1 of 2 cases repeats the image of another case"])


def test_many_images_that_look_alike_are_a_warning_without_groups(repository: Repository, photos: Path) -> None:
    copy_image(photos, "c01", "c02")
    told = "*2 of 12 images look like that of another case, and group_by is not set*"
    result = repository.runpytest("suites/test_data.py")
    result.stdout.no_fnmatch_line(told)
    copy_image(photos, "c01", "c03")
    result = repository.runpytest("suites/test_data.py")
    result.stdout.fnmatch_lines([f"warning: segqa: {told.strip('*')}: p-values and intervals count *"])
    result = repository.runpytest("suites/test_data.py", "--segqa-group-by=video")
    result.stdout.no_fnmatch_line(told)


def test_what_is_allowed_passes(repository: Repository, photos: Path) -> None:
    write_case(photos, "c03", make_image(3), np.zeros(SHAPE, np.bool_))
    write_case(photos, "c04", make_image(4), np.ones(SHAPE, np.bool_))
    (photos / "images" / "c06.png").unlink()
    Pillow.fromarray(make_image(5)).save(photos / "images" / "c06.jpg", quality=60)
    settings(repository, "dataset = 'photos'")
    repository.runpytest(*DATA).assert_outcomes(passed=6, failed=3, skipped=1)
    bounds = "[tool.segqa.thresholds]\nempty_targets = 0.1\nfull_targets = 0.1\nnear_duplicates = 0.1"
    settings(repository, f"dataset = 'photos'\n{bounds}")
    repository.runpytest(*DATA).assert_outcomes(passed=9, skipped=1)


@pytest.mark.parametrize("by", ["option", "table"])
def test_leaks_fail_unless_they_are_allowed(repository: Repository, photos: Path, by: str) -> None:
    train = write_sound(repository.path / "train", 3, first=20)
    shutil.copy(photos / "images" / "c07.png", train / "images" / "c21.png")
    table = "dataset = 'photos'" + "\ntrain_dataset = 'train'" * (by == "table")
    options = ("--segqa-train-dataset=train",) if by == "option" else ()
    settings(repository, table)
    result = repository.runpytest(*DATA, *options)
    result.assert_outcomes(passed=9, failed=1)
    result.stdout.fnmatch_lines(
        ["E*1 of 12 cases has an image that is in the training data", "E*c07  the same image as c21 of the training*"]
    )
    settings(repository, f"{table}\n[tool.segqa.thresholds]\nleaked = 0.1")
    repository.runpytest(*DATA, *options).assert_outcomes(passed=10)


def test_of_one_data_set_the_part_that_is_held_out_is_compared_with_the_other(
    repository: Repository, photos: Path
) -> None:
    option = "--segqa-train-dataset=photos"
    repository.runpytest(*DATA, option).assert_outcomes(passed=9, failed=1)
    repository.runpytest(*DATA, option, "--segqa-held-out").assert_outcomes(passed=10)


def test_training_data_may_be_declared(repository: Repository, photos: Path) -> None:
    # a folder of squares that differ from the photos
    repository.runpytest(*DATA, "--segqa-train-dataset=declared").assert_outcomes(passed=10)


def test_training_data_that_cannot_be_read_fails(repository: Repository, photos: Path) -> None:
    train = write_sound(repository.path / "train", 3, first=20)
    (train / "images" / "c21.png").write_bytes(b"")
    result = repository.runpytest(*DATA, "--segqa-train-dataset=train")
    result.assert_outcomes(passed=9, failed=1)
    result.stdout.fnmatch_lines(["E*1 of 3 cases of the training data cannot be read", "E*c21  c21.png is empty*"])


@pytest.mark.parametrize("workers", MOSTLY_ONE)
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere", "no training data 'nowhere': expected a folder with images/ and masks/*"),
        ("declraed", "no training data 'declraed'*did you mean 'declared'*"),
        ("suites", "no folder images/ in *suites; expected images/ and masks/ in it"),
        ("", "--segqa-train-dataset must be a text, got ''"),
    ],
)
def test_training_data_that_is_not_there_ends_with_4(
    repository: Repository, photos: Path, name: str, message: str, workers: tuple[str, ...]
) -> None:
    result = repository.runpytest_subprocess(*DATA, f"--segqa-train-dataset={name}", *workers)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: segqa: {message}"])


@pytest.mark.parametrize("workers", MOSTLY_ONE)
def test_training_data_missing_by_the_table_ends_with_4(
    repository: Repository, photos: Path, workers: tuple[str, ...]
) -> None:
    settings(repository, "dataset = 'photos'\ntrain_dataset = 'nowhere'")
    result = repository.runpytest_subprocess(*DATA, *workers)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "no training data 'nowhere'" in result.stdout.str() + result.stderr.str()


def test_a_damaged_file_of_looks_ends_with_4(repository: Repository, photos: Path) -> None:
    (repository.path / ".segqa").mkdir()
    (repository.path / ".segqa" / "glances.sqlite").write_bytes(b"no database" * 100)
    result = repository.runpytest(*DATA)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stdout.fnmatch_lines(["*cannot use the glances in *; remove the file to start anew*"])


def test_a_model_has_no_bounds_of_its_own_for_the_data(repository: Repository, photos: Path) -> None:
    settings(repository, "dataset = 'photos'\n[tool.segqa.thresholds.bright]\nnear_duplicates = 0.1")
    result = repository.runpytest_subprocess(*DATA)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: segqa: *thresholds.bright] has near_duplicates, which no model changes; put it into *thresholds]"]
    )


@pytest.mark.parametrize("name", ["audit", "data_thresholds"])
def test_a_model_cannot_take_the_name_of_one_of_the_fixtures(repository: Repository, photos: Path, name: str) -> None:
    conftest = repository.path / "conftest.py"
    text = conftest.read_text(encoding="utf-8") + f"\n\n@segqa.model\ndef {name}():\n    return Bright()\n"
    conftest.write_text(text, encoding="utf-8")
    result = repository.runpytest_subprocess(*DATA)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: segqa: '{name}' cannot be declared: it is a fixture of segqa's; *"])


def test_a_data_set_whose_masks_are_all_inverted_fails(repository: Repository, photos: Path) -> None:
    for index in range(12):
        write_case(photos, f"c{index:02}", make_image(index), ~make_disc(index))
    result = repository.runpytest_inprocess(*DATA, "-k", "inverted")
    result.assert_outcomes(failed=1, deselected=9)
    result.stdout.fnmatch_lines(
        ["E*12 of 12 cases have a mask that looks inverted", "E*set thresholds.inverted = 1.0*"]
    )
    settings(repository, "dataset = 'photos'\n[tool.segqa.thresholds]\ninverted = 1.0")
    repository.runpytest_inprocess(*DATA, "-k", "inverted").assert_outcomes(passed=1, deselected=9)


def test_a_label_map_is_told_by_suites_and_data_suite_with_its_values(repository: Repository, photos: Path) -> None:
    for index in range(12):
        values = make_disc(index).astype(np.uint8)
        values[:2] = 255
        Pillow.fromarray(values).save(photos / "masks" / f"c{index:02}.png")
    result = repository.runpytest_inprocess("suites", "--segqa-model=bright", "--segqa-dataset=photos")
    assert result.ret == 1
    told = "*the masks of this data set are a label map with 0 (*), 1 (*), 255 (*; set mask_values to those that mean*"
    result.stdout.fnmatch_lines(["E*12 of 12 cases cannot be read", f"E*c00{told}", f"warning: segqa: photos: {told}"])
    (page,) = repository.path.glob("reports/*/index.html")
    assert "set mask_values to those that mean the object" in page.read_text(encoding="utf-8")


def test_what_the_reader_noted_is_a_warning_of_the_session(repository: Repository, photos: Path) -> None:
    soft = cv2.GaussianBlur(make_disc(3).astype(np.uint8) * 255, (7, 7), 0)
    Pillow.fromarray(soft.astype(np.uint8)).save(photos / "masks" / "c03.png")
    result = repository.runpytest_inprocess("suites/test_quality.py", "--segqa-model=bright", "--segqa-dataset=photos")
    result.stdout.fnmatch_lines(
        [
            "warning: segqa: photos: masks are read as 0 and 255, other values only along the contour*1 of 12 masks*",
            "warning: segqa: photos: 1 of 12 cases has a note, such as c03: mask c03.png is not binary: *",
        ]
    )
