"""How masks and images of odd forms are read: rightly, or refused with values and the way out."""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from segqa import Run, audit_dataset, evaluate, open_folder
from segqa.data.dataset import Dataset
from segqa.data.reading_rules import ReadingRules, Rules
from segqa.errors import SettingsError
from segqa.runs.run import describe
from tests.data.odd_files import (
    GOOD,
    PHOTO,
    SHAPE,
    Bright,
    Write,
    blob,
    exif,
    grey,
    levels,
    low_depth,
    palette,
    photo,
    ring,
    write_set,
)

BLACK, WHITE, RED = (0, 0, 0), (255, 255, 255), (128, 0, 0)


def run_of(folder: Path, **settings: Any) -> Run:
    return evaluate(Bright(), open_folder(folder, **settings))


def rules_of(folder: Path, **settings: Any) -> Rules:
    reading = open_folder(folder, **settings).reading
    assert reading is not None
    return reading.rules


def with_ignore(index: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    mask = blob(index)
    return np.where(ring(mask), 255, mask).astype(np.uint8)


def soft(index: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    large = cv2.resize(levels(index), (SHAPE[1] * 4, SHAPE[0] * 4), interpolation=cv2.INTER_NEAREST)
    return cv2.resize(cv2.GaussianBlur(large, (5, 5), 0), SHAPE[::-1], interpolation=cv2.INTER_AREA).astype(np.uint8)


def probability(index: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.where(blob(index), np.float32(0.98), np.float32(0.02))


READ_RIGHTLY: Mapping[str, Write] = {
    "0 and 255": GOOD,
    "0 and 1": grey(lambda index: blob(index).astype(np.uint8)),
    "one bit": grey(blob),
    "one bit as TIFF": grey(blob, ".tif"),
    "one bit, white is 0": grey(blob, ".tif", tiffinfo={262: 0}),
    "8 bits, white is 0": grey(levels, ".tif", tiffinfo={262: 0}),
    "16 bits": grey(lambda index: blob(index).astype(np.uint16) * 65535),
    "16 bits, white is 0": grey(lambda index: (~blob(index)).astype(np.uint16) * 65535, ".tif", tiffinfo={262: 0}),
    "16 bits, 0 and 255": grey(lambda index: blob(index).astype(np.uint16) * 255),
    "16 bits, 0 and 1": grey(lambda index: blob(index).astype(np.uint16)),
    "4 bits, black and white": low_depth(4, lambda index: blob(index) * 15),
    "4 bits, 0 and 1": low_depth(4, blob),
    "2 bits, 0 and 1": low_depth(2, blob),
    "colour channels that are equal": grey(lambda index: levels(index)[:, :, None].repeat(3, axis=2)),
    "palette, class 1": palette(blob, [BLACK, RED]),
    "palette, class 1 stored first": palette(lambda index: ~blob(index), [RED, BLACK]),
    "palette, black and white": palette(blob, [BLACK, WHITE]),
    "palette, white and black": palette(lambda index: ~blob(index), [WHITE, BLACK]),
    "palette, greys 1 and 0": palette(lambda index: ~blob(index), [(1, 1, 1), BLACK]),
    "floats 0 and 1": grey(lambda index: blob(index).astype(np.float32), ".tif"),
    "floats 0 and 255": grey(lambda index: levels(index).astype(np.float32), ".tif"),
    "probabilities": grey(probability, ".tif"),
    "lossless WebP": grey(levels, ".webp", lossless=True),
}


@pytest.mark.parametrize("mask", READ_RIGHTLY.values(), ids=READ_RIGHTLY)
def test_a_binary_mask_of_any_form_is_read_rightly(tmp_path: Path, mask: Write) -> None:
    folder = write_set(tmp_path, (8, PHOTO, mask))
    run = run_of(folder)
    assert (run.tally, run.mean_iou) == ("8 scored, 0 missing, 0 errors", 1.0)
    audit = audit_dataset(open_folder(folder))
    assert [len(flaws) for flaws in (audit.unreadable, audit.not_binary, audit.inverted, audit.empty)] == [0] * 4


def test_an_anti_aliased_mask_is_cut_in_the_middle_and_said(tmp_path: Path) -> None:
    folder = write_set(tmp_path, (4, PHOTO, grey(soft)), (8, PHOTO, GOOD))
    run = run_of(folder)
    assert run.mean_iou > 0.97
    assert not run.errors
    said = "masks are read as 0 and 255, other values only along the contour (cut at 127); 4 of 12 masks looked at have"
    assert run.provenance["notes"][-1].startswith(said)
    assert len(audit_dataset(open_folder(folder)).not_binary) == 4


def test_a_mask_saved_as_a_jpeg_is_cut_in_the_middle(tmp_path: Path) -> None:
    folder = write_set(tmp_path, (8, PHOTO, grey(levels, ".jpg", quality=60)))
    assert rules_of(folder).mask.kind == "soft"
    assert run_of(folder).mean_iou > 0.99


def line(index: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A large disc and a thin line, black and white."""
    canvas = np.zeros((SHAPE[0] * 8, SHAPE[1] * 8), np.uint8)
    cv2.circle(canvas, (300 + 9 * index, 250), 120, 255, -1)
    cv2.line(canvas, (10, 10), (600, 40 + index), 255, 3)
    return canvas


@pytest.mark.parametrize("sigma", [1, 2, 4])
@pytest.mark.parametrize("reduce", [1, 4])
def test_blurred_and_reduced_masks_of_thin_objects_are_soft(tmp_path: Path, sigma: int, reduce: int) -> None:
    def make(index: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
        blurred = cv2.GaussianBlur(line(index), (0, 0), sigma)
        return cv2.resize(blurred, None, fx=1 / reduce, fy=1 / reduce, interpolation=cv2.INTER_AREA).astype(np.uint8)

    assert rules_of(write_set(tmp_path, (4, PHOTO, grey(make)))).mask.kind == "soft"


@pytest.mark.parametrize("classes", [1, 5, 29, 249])
@pytest.mark.parametrize("size", [3, 8, 40])
def test_label_maps_of_any_number_of_classes_with_a_border_are_not_soft(
    tmp_path: Path, classes: int, size: int
) -> None:
    def make(index: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
        draw = np.random.default_rng(index)
        canvas = np.zeros((256, 320), np.uint8)
        for _ in range(30):
            x, y, label = (int(value) for value in draw.integers((0, 0, 1), (270, 200, classes + 1)))
            cv2.rectangle(canvas, (x - 1, y - 1), (x + size, y + size), 255, 1)
            cv2.rectangle(canvas, (x, y), (x + size - 1, y + size - 1), label, -1)
        return canvas

    assert rules_of(write_set(tmp_path, (4, PHOTO, grey(make)))).mask.kind == "none"


REFUSED: Mapping[str, tuple[Write, str]] = {
    "ignore": (grey(with_ignore), r"a label map with 0 \(.*\), 1 \(.*\), 255 \(.*\) \(255 often means ignore\)"),
    "two classes": (grey(lambda index: blob(index) * np.uint8(7)), r"a label map with 0 \(.*\), 7 \(.*\)"),
    "ids of 16 bits": (
        grey(lambda index: np.where(np.arange(80) < 32, 100, 300).astype(np.uint16) * blob(index)),
        r"a label map with 0 \(.*\), 100 \(.*\), 300",
    ),
    "palette of classes": (
        palette(lambda index: np.where(ring(blob(index)), 3, blob(index) * 2), [BLACK, RED, (0, 128, 0), WHITE]),
        r"a label map with palette indices 0 \(.*\), 2 \(.*\), 3 ",
    ),
    "two bits of classes": (low_depth(2, lambda index: blob(index) * 2 + ring(blob(index))), r"1 \(.*\), 2 "),
    "four bits of classes": (low_depth(4, lambda index: blob(index) * 5 + ring(blob(index))), r"1 \(.*\), 5 "),
    "colours": (
        grey(lambda index: np.where(blob(index)[:, :, None], (0, 255, 0), 0).astype(np.uint8)),
        "have colours; expected one channel",
    ),
    "a ramp": (
        grey(lambda index: np.tile(np.linspace(0, 255, 80).astype(np.uint8), (64, 1))),
        "80 different values from 0 to 255, not only along contours; set mask_cutoff",
    ),
    "floats of no unit": (
        grey(lambda index: np.where(blob(index), np.float32(3.5), np.float32(-2)), ".tif"),
        "a label map with -2",
    ),
    "three values along the contour": (
        grey(lambda index: np.where(ring(ring(blob(index)) | blob(index)), 128, levels(index)).astype(np.uint8)),
        "a label map with 0 .*, 128 .*, 255",
    ),
}


@pytest.mark.parametrize(("mask", "message"), REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("good", [0, 4, 12])
def test_what_is_no_binary_mask_is_an_error_that_names_values_and_the_way_out(
    tmp_path: Path, mask: Write, message: str, good: int
) -> None:
    folder = write_set(tmp_path, (12, PHOTO, mask), (good, PHOTO, GOOD))
    run = run_of(folder)
    assert not run.scored
    assert re.search(message, run.errors[0].reason)
    assert "set mask_" in run.errors[0].reason or "mask_cutoff = 127" in run.errors[0].reason
    assert run.provenance["notes"] == [rules_of(folder).mask.reason]
    assert len(audit_dataset(open_folder(folder)).unreadable) == 12 + good


@pytest.mark.parametrize("mask", [pair[0] for pair in REFUSED.values()], ids=REFUSED)
def test_one_odd_mask_among_many_good_ones_is_an_error_of_its_case_alone(tmp_path: Path, mask: Write) -> None:
    folder = write_set(tmp_path, (15, PHOTO, GOOD), (1, PHOTO, mask))
    run = run_of(folder)
    assert (run.tally, run.mean_iou) == ("15 scored, 0 missing, 1 error", 1.0)
    assert "the masks of this data set hold 0 and 255" in run.errors[0].reason
    assert audit_dataset(open_folder(folder)).unreadable.case_ids == ("c15",)


@pytest.mark.parametrize(
    ("name", "held", "allowed"),
    [
        ("palette of classes", r"is a palette file with the indices 0 \(.*\), 2 \(.*\), 3 \(.*\)", "0 and 255"),
        ("two classes", r"holds 0 \(.*\), 7 \(.*\)", "0 and 255"),
        ("ids of 16 bits", r"holds 0 .*, 100 .*, 300 .*", r"0 and 255 \(65535 for 255 in files of 16 bits\)"),
    ],
)
def test_the_error_of_an_odd_mask_says_what_it_is_and_calls_the_others_what_they_are(
    tmp_path: Path, name: str, held: str, allowed: str
) -> None:
    reason = run_of(write_set(tmp_path, (15, PHOTO, GOOD), (1, PHOTO, REFUSED[name][0]))).errors[0].reason
    ways = "write it with the same values, or set mask_cutoff or mask_values, which count for every mask"
    assert re.fullmatch(rf"CaseError: mask .* {held}; the masks of this data set hold {allowed}; {ways}", reason)


def test_a_mask_of_probabilities_among_masks_of_255_is_an_error_of_its_scale(
    tmp_path: Path,
) -> None:
    folder = write_set(tmp_path, (15, PHOTO, GOOD), (1, PHOTO, grey(probability, ".tif")))
    run = run_of(folder, mask_cutoff=127)
    assert run.tally == "15 scored, 0 missing, 1 error"
    assert re.search(
        r"mask c15.tif holds 0.02 .*, 0.98 .*, none above mask_cutoff = 127 on the scale of 8 bits; write it on the "
        "scale of the other masks, or set a lower mask_cutoff",
        run.errors[0].reason,
    )


def test_an_odd_mask_among_good_ones_is_described_with_the_way_out(tmp_path: Path) -> None:
    run = run_of(write_set(tmp_path, (15, PHOTO, GOOD), (1, PHOTO, grey(with_ignore))))
    assert describe(run, run.errors[0]).endswith("or set mask_cutoff or mask_values, which count for every mask")


@pytest.mark.parametrize("swap", [False, True])
def test_masks_of_0_and_1_and_of_0_and_255_are_not_mixed_in_silence(tmp_path: Path, swap: bool) -> None:
    units = READ_RIGHTLY["0 and 1"]
    mixed = run_of(write_set(tmp_path / "mixed", (8, PHOTO, GOOD), (8, PHOTO, units)))
    assert "some hold 0 and 1 and others 0 and 255: write all alike" in mixed.errors[0].reason
    most, few = (units, GOOD) if swap else (GOOD, units)
    run = run_of(write_set(tmp_path / "few", (19, PHOTO, most), (1, PHOTO, few)))
    assert (run.tally, run.mean_iou) == ("19 scored, 0 missing, 1 error", 1.0)


def test_chosen_values_are_the_object_and_the_others_are_told(tmp_path: Path) -> None:
    folder = write_set(tmp_path, (8, PHOTO, grey(with_ignore)))
    run = run_of(folder, mask_values=[1])
    assert run.mean_iou == 1.0
    assert re.fullmatch(
        r"masks are read as object where mask_values = \[1\]; background: 0 \(\d+ %\), 255 \(\d+ %\)"
        r" \(255 often means ignore, but counts as background\)",
        run.provenance["notes"][0],
    )
    assert "none of mask_values = [2]" in run_of(folder, mask_values=[2]).errors[0].reason
    with pytest.raises(SettingsError, match="exclude each other"):
        open_folder(folder, mask_values=[1], mask_cutoff=0)


@pytest.mark.parametrize("name", ["ids of 16 bits", "two classes", "four bits of classes"])
def test_a_cutoff_of_0_makes_any_value_the_object(tmp_path: Path, name: str) -> None:
    run = run_of(write_set(tmp_path, (8, PHOTO, REFUSED[name][0])), mask_cutoff=0)
    assert run.mean_iou > (0.8 if name == "four bits of classes" else 0.999)


def test_probabilities_are_no_grey_masks_whether_a_cutoff_is_set_or_not(tmp_path: Path) -> None:
    folder = write_set(tmp_path, (8, PHOTO, grey(probability, ".tif")))
    for cutoff in (None, 127):
        run = run_of(folder, mask_cutoff=cutoff)
        assert (run.mean_iou, list(run.columns.notes)) == (1.0, [])
        assert not audit_dataset(open_folder(folder, mask_cutoff=cutoff)).not_binary


def test_a_cutoff_leaves_the_note_of_grey_masks(tmp_path: Path) -> None:
    run = run_of(write_set(tmp_path, (8, PHOTO, grey(soft))), mask_cutoff=127)
    assert len(list(run.columns.notes)) == 8


def test_a_cutoff_counts_on_the_scale_of_8_bits_at_any_depth(tmp_path: Path) -> None:
    ramp = np.tile(np.arange(80), (64, 1)) * 3 / 255
    forms: Mapping[str, Write] = {
        "8": grey(lambda _: np.rint(ramp * 255).astype(np.uint8)),
        "16": grey(lambda _: np.rint(ramp * 65535).astype(np.uint16)),
        "float": grey(lambda _: ramp.astype(np.float32), ".tif"),
    }
    shares = set()
    for name, mask in forms.items():
        data = open_folder(write_set(tmp_path / name, (2, PHOTO, mask)), mask_cutoff=100)
        shares.add(data.cases[0].target().mean())
    assert len(shares) == 1


def test_a_palette_that_an_optimiser_numbered_anew_is_an_error(tmp_path: Path) -> None:
    classes = palette(lambda index: blob(index) * 2 + ring(blob(index)), [BLACK, RED, (0, 128, 0)])
    anew = palette(lambda index: blob(index) + ring(blob(index)) * 2, [BLACK, (0, 128, 0), RED])
    run = run_of(write_set(tmp_path, (7, PHOTO, classes), (1, PHOTO, anew)), mask_values=[2])
    assert run.tally == "7 scored, 0 missing, 1 error"
    assert "an optimiser may have numbered its palette anew" in run.errors[0].reason


def test_masks_that_are_blank_in_the_sample_do_not_hide_the_others(tmp_path: Path) -> None:
    empty = grey(lambda _: np.zeros(SHAPE, np.uint8))
    folder = write_set(tmp_path, (90, PHOTO, empty), (3, PHOTO, READ_RIGHTLY["0 and 1"]))
    assert rules_of(folder).mask.text == "0 and 1"
    assert not run_of(folder).errors


def deep(bits: int, channels: int = 1) -> Write:
    """Images of so many bits in a 16-bit PNG; some are darker, so that their greatest values differ."""

    def write(path: Path, index: int) -> None:
        scaled = photo(index).astype(np.float64) * (2**bits - 1) / (255 + 60 * (index % 3))
        values = scaled.astype(np.uint16)
        cv2.imwrite(str(path.with_suffix(".png")), values if channels == 3 else values[:, :, 1])

    return write


@pytest.mark.parametrize("channels", [1, 3], ids=["grey", "colour"])
@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_images_keep_their_grey_levels_by_one_rule(tmp_path: Path, bits: int, channels: int) -> None:
    data = open_folder(write_set(tmp_path, (6, deep(bits, channels), GOOD)))
    images = [case.image() for case in data]
    assert len(np.unique(images[0])) > 50
    assert np.abs(images[0][:, :, 1].astype(int) - photo(0)[:, :, 1]).max() <= 1
    assert np.abs(images[1][:, :, 1] - photo(1)[:, :, 1] * (255 / 315)).max() <= 2
    assert data.reading is not None
    assert data.reading.rules.image.bits == bits


def test_an_image_of_a_greatest_value_of_256_is_not_black(tmp_path: Path) -> None:
    folder = write_set(tmp_path, (3, grey(lambda index: np.where(blob(index), 256, 9).astype(np.uint16)), GOOD))
    assert open_folder(folder).cases[0].image().max() == 63
    assert open_folder(folder, image_bits=9).cases[0].image().max() == 127


def test_an_image_that_breaks_the_depth_of_the_others_is_an_error_of_its_case(tmp_path: Path) -> None:
    late = grey(lambda index: photo(index)[:, :, 0].astype(np.uint16) * 16)
    folder = write_set(tmp_path, (70, PHOTO, GOOD))
    sampled = {file.name for file, _ in pairs_of(open_folder(folder))}
    odd = next(path for path in sorted((folder / "images").iterdir()) if path.name not in sampled)
    late(odd.with_suffix(""), 3)
    run = run_of(folder)
    assert run.tally == "69 scored, 0 missing, 1 error"
    assert "none of the images looked at has more than 8 bits; set image_bits = 12" in run.errors[0].reason


def pairs_of(data: Dataset) -> list[Any]:
    """The files that the rules are found from."""
    assert data.reading is not None
    return list(data.reading._pairs())[:64]


def test_images_of_floats_are_not_black(tmp_path: Path) -> None:
    units = grey(lambda index: photo(index)[:, :, 0].astype(np.float32) / 255, ".tif")
    run = run_of(write_set(tmp_path / "units", (3, units, GOOD)))
    assert run.mean_iou == 1.0
    assert run.provenance["notes"] == ["images of floats hold 0…1, which becomes 0…255"]
    bytes_ = grey(lambda index: photo(index)[:, :, 0].astype(np.float32), ".tif")
    assert run_of(write_set(tmp_path / "bytes", (3, bytes_, GOOD))).mean_iou == 1.0
    nan = grey(lambda index: np.full(SHAPE, np.nan, np.float32), ".tif")
    assert "not finite" in run_of(write_set(tmp_path / "nan", (2, nan, GOOD))).errors[0].reason


def turned(index: int, orientation: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """The object as a camera stored it whose orientation says how to turn it upright."""
    mask = blob(index)
    if orientation in (2, 3, 6, 7):
        mask = mask[:, ::-1]
    if orientation in (3, 4, 7, 8):
        mask = mask[::-1]
    return mask.T if orientation >= 5 else mask


def stored(orientation: int) -> Write:
    """An image that EXIF turns upright."""

    def make(index: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
        return (turned(index, orientation)[:, :, None].repeat(3, axis=2) * 200).astype(np.uint8)

    return exif(make, orientation)


def on_stored(orientation: int) -> Write:
    """A mask drawn on the stored pixels."""
    return grey(lambda index: turned(index, orientation).astype(np.uint8) * 255)


@pytest.mark.parametrize("orientation", range(2, 9))
def test_a_mask_drawn_on_stored_pixels_is_refused_and_can_be_turned(tmp_path: Path, orientation: int) -> None:
    folder = write_set(tmp_path, (8, stored(orientation), on_stored(orientation)))
    run = run_of(folder)
    assert not run.scored
    assert f"EXIF orientation {orientation} and mask c00.png has none" in run.errors[0].reason
    assert len(audit_dataset(open_folder(folder)).unreadable) == 8
    assert run_of(folder, mask_orientation="raw").mean_iou > 0.99


@pytest.mark.parametrize("orientation", [2, 3, 4])
def test_a_mask_drawn_on_the_upright_image_is_read_where_sizes_or_a_setting_tell(
    tmp_path: Path, orientation: int
) -> None:
    folder = write_set(tmp_path / "set", (4, stored(orientation), GOOD))
    assert run_of(folder, mask_orientation="upright").mean_iou > 0.99
    told = write_set(tmp_path / "told", (4, stored(orientation), GOOD), (1, stored(6), GOOD))
    assert run_of(told).mean_iou > 0.99


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp"])
def test_a_mask_with_the_orientation_of_its_image_is_turned_with_it(tmp_path: Path, suffix: str) -> None:
    mask = exif(lambda index: turned(index, 6).astype(np.uint8) * 255, 6, suffix)
    assert run_of(write_set(tmp_path, (3, stored(6), mask))).mean_iou > 0.99


def test_a_mask_of_half_the_size_says_so_and_can_be_scaled(tmp_path: Path) -> None:
    folder = write_set(tmp_path, (8, PHOTO, grey(lambda index: levels(index)[::2, ::2])))
    assert "the mask has the proportions of the image; mask_resize = true scales it" in run_of(folder).errors[0].reason
    assert run_of(folder, mask_resize=True).mean_iou > 0.85


def test_a_mask_turned_by_90_degrees_is_called_that(tmp_path: Path) -> None:
    run = run_of(write_set(tmp_path, (2, PHOTO, grey(lambda index: levels(index).T))), mask_resize=True)
    assert "width and height are exchanged" in run.errors[0].reason


def test_the_rules_are_those_of_the_whole_data_set_in_every_part_and_process(tmp_path: Path) -> None:
    data = open_folder(write_set(tmp_path, (3, PHOTO, grey(soft)), (30, deep(12), GOOD)))
    assert data.reading is not None
    rules = data.reading.rules
    for part in (data.limit(2), open_folder(tmp_path).limit(5)):
        assert part.reading is not None
        assert part.reading.rules == rules
    (case,) = data.limit(1)
    sent = pickle.loads(pickle.dumps(case.source))  # noqa: S301 - our own
    assert isinstance(sent.reading, ReadingRules)
    assert sent.reading.rules == rules
    assert sent.target_digest() == case.source.target_digest()


def test_another_rule_makes_another_digest(tmp_path: Path) -> None:
    folder = write_set(tmp_path, (2, deep(10), grey(with_ignore)))
    seen = set()
    for settings in ({"mask_values": [1]}, {"mask_values": [255]}, {"mask_cutoff": 0}, {"mask_resize": True}):
        source = open_folder(folder, **settings).cases[0].source
        seen.add(source.target_digest())
    assert len(seen) == 4
    digests = {open_folder(folder, image_bits=bits).cases[0].source.digest() for bits in (10, 12)}
    assert len(digests) == 2


def test_hidden_pictures_are_passed_over_with_a_note(tmp_path: Path) -> None:
    folder = write_set(tmp_path, (2, PHOTO, GOOD))
    for name in ("images/._c00.png", "masks/.c01.png", "images/.DS_Store"):
        (folder / name).write_bytes(b"\0\5\x16\7")
    data = open_folder(folder)
    assert len(data) == 2
    assert data.notes == ("2 hidden (the name begins with a dot), left out: images/._c00.png, masks/.c01.png",)
