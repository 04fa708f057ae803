from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from segqa.data.case import Target
from segqa.data.case_files import CaseFiles, LocalFile
from segqa.data.image_io import count_claimed_pixels, decode_image, read_file
from segqa.data.mask import Image
from segqa.data.reading_rules import ReadingRules
from segqa.errors import CaseError, OversizeError
from segqa.settings import ReadingSettings

GREY = np.array([[0, 60], [190, 255]], np.uint8)


def files(path: Path, cutoff: int | None = None) -> CaseFiles:
    """A data set of one case, whose image is its mask."""
    file = LocalFile(path)
    return CaseFiles(file, file, ReadingRules(ReadingSettings(mask_cutoff=cutoff), lambda: iter([(file, file)])))


def read_image(path: Path) -> Image:
    return files(path).image()


def read_target(path: Path, cutoff: int | None = None) -> Target:
    return files(path, cutoff).target()


def save(path: Path, array: np.ndarray[tuple[int, ...], np.dtype[np.generic]], mode: str | None = None) -> Path:
    picture = Pillow.fromarray(array)
    (picture.convert(mode) if mode else picture).save(path)
    return path


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "webp", "jpg", "jpeg"])
def test_every_format_is_read_as_rgb(tmp_path: Path, suffix: str) -> None:
    colours = np.full((16, 24, 3), (200, 100, 50), np.uint8)
    image = read_image(save(tmp_path / f"x.{suffix}", colours))
    assert image.shape == (16, 24, 3)
    assert image.dtype == np.uint8
    assert np.abs(image.astype(int) - colours).max() <= 6


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P"])
def test_grey_alpha_and_palette_become_rgb(tmp_path: Path, mode: str) -> None:
    image = read_image(save(tmp_path / "x.png", GREY, mode))
    assert image.tolist() == GREY[:, :, None].repeat(3, axis=2).tolist()


def test_cmyk_becomes_rgb(tmp_path: Path) -> None:
    image = read_image(save(tmp_path / "x.tif", np.full((8, 8, 3), (255, 0, 0), np.uint8), "CMYK"))
    assert image[4, 4].tolist() == [255, 0, 0]


def test_16_bits_are_scaled_to_8(tmp_path: Path) -> None:
    image = read_image(save(tmp_path / "x.png", GREY.astype(np.uint16) * 257))
    assert image[:, :, 0].tolist() == GREY.tolist()


def test_the_exif_orientation_is_applied_to_images_and_masks(tmp_path: Path) -> None:
    exif = Pillow.Exif()
    exif[0x0112] = 6  # turned a quarter to the right
    Pillow.fromarray(np.zeros((4, 9, 3), np.uint8)).save(tmp_path / "x.jpg", exif=exif)
    Pillow.fromarray(np.zeros((4, 9), np.uint8)).save(tmp_path / "m.png", exif=exif)
    assert read_image(tmp_path / "x.jpg").shape == (9, 4, 3)
    assert read_target(tmp_path / "m.png").mask.shape == (9, 4)


@pytest.mark.parametrize(
    "values",
    [
        pytest.param(np.array([[0, 255]], np.uint8), id="0 and 255"),
        pytest.param(np.array([[0, 1]], np.uint8), id="0 and 1"),
        pytest.param(np.array([[False, True]]), id="one bit"),
        pytest.param(np.array([[0, 65535]], np.uint16), id="16 bits"),
        pytest.param(np.array([[0, 1]], np.uint16), id="16 bits, 0 and 1"),
    ],
)
def test_a_mask_file_is_cut_at_its_middle(
    tmp_path: Path, values: np.ndarray[tuple[int, ...], np.dtype[np.generic]]
) -> None:
    assert read_target(save(tmp_path / "m.png", values)).mask.tolist() == [[False, True]]


def test_the_cutoff_can_be_chosen(tmp_path: Path) -> None:
    path = save(tmp_path / "m.png", GREY)
    assert read_target(path, cutoff=50).mask.sum() == 3
    assert read_target(path, cutoff=200).mask.sum() == 1
    just = save(tmp_path / "just.png", np.array([[127, 128]], np.uint8))
    assert read_target(just, cutoff=127).mask.tolist() == [[False, True]]


def test_an_all_black_mask_is_empty(tmp_path: Path) -> None:
    target = read_target(save(tmp_path / "m.png", np.zeros((3, 4), np.uint8)))
    assert not target.mask.any()
    assert target.note == ""


def test_class_numbers_are_no_mask(tmp_path: Path) -> None:
    path = save(tmp_path / "m.png", np.array([[0, 15]], np.uint8))
    with pytest.raises(CaseError, match=r"a label map with 0 \(50 %\), 15 \(50 %\); set mask_values"):
        read_target(path)
    with pytest.raises(CaseError, match=r"holds 0 \(50 %\), 15 \(50 %\), none above mask_cutoff = 127"):
        read_target(path, 127)


@pytest.mark.parametrize("value", [256, 300, 513])
def test_class_numbers_of_16_bits_are_no_mask_either(tmp_path: Path, value: int) -> None:
    path = save(tmp_path / "m.png", np.array([[0, value]], np.uint16))
    with pytest.raises(CaseError, match=f"a label map with 0 .*, {value} "):
        read_target(path)


def test_a_ramp_is_refused_without_a_cutoff_and_noted_with_one(tmp_path: Path) -> None:
    path = save(tmp_path / "m.png", np.tile(np.linspace(0, 255, 50).astype(np.uint8), (10, 1)))
    with pytest.raises(CaseError, match="50 different values from 0 to 255, not only along contours; set mask_cutoff"):
        read_target(path)
    target = read_target(path, 127)
    assert target.mask.any()
    assert target.note == "mask m.png is not binary: 94% of its values lie between 5 and 250"


def test_a_few_soft_pixels_are_not_worth_a_note(tmp_path: Path) -> None:
    mask = np.zeros((20, 20), np.uint8)
    mask[:, 10:] = 255
    mask[:3, 9] = 100
    assert read_target(save(tmp_path / "m.png", mask)).note == ""


def test_a_picture_of_too_many_pixels_is_refused_by_its_header(tmp_path: Path) -> None:
    # 84 MB decoded as grey, under Pillow's own limit for an error and above ours
    save(tmp_path / "x.png", np.zeros((9_000, 10_000), np.uint8))
    with pytest.raises(CaseError, match="claims more than 89478485 pixels"):
        read_image(tmp_path / "x.png")


def test_a_file_that_is_none_has_no_digest(tmp_path: Path) -> None:
    with pytest.raises(CaseError, match="is a folder"):
        read_file(tmp_path)
    with pytest.raises(CaseError, match="No such file"):
        files(tmp_path / "x.png").digest()


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp"])
def test_bytes_are_read_as_the_file_is(tmp_path: Path, suffix: str) -> None:
    exif = Pillow.Exif()
    exif[0x0112] = 6
    path = tmp_path / f"x.{suffix}"
    Pillow.fromarray(np.arange(8 * 5 * 3, dtype=np.uint8).reshape(8, 5, 3)).save(path, exif=exif)
    data = path.read_bytes()
    assert np.array_equal(decode_image(data, "image"), read_image(path))
    assert count_claimed_pixels(data, "image") == 40


def test_what_a_header_claims_is_refused_before_a_pixel_is_read() -> None:
    written = BytesIO()
    Pillow.new("1", (20_000, 20_000)).save(written, "PNG")
    with pytest.raises(OversizeError, match=r"^image 2 claims more than 89478485 pixels"):
        count_claimed_pixels(written.getvalue(), "image 2")


@pytest.mark.parametrize("read", [count_claimed_pixels, decode_image])
@pytest.mark.parametrize("data", [b"", b"GIF89a", b"\x89PNG\r\n\x1a\n" + bytes(40)])
def test_bytes_that_are_no_picture_are_refused_by_name(read: Callable[[bytes, str], object], data: bytes) -> None:
    with pytest.raises(CaseError, match="image 2"):
        read(data, "image 2")
