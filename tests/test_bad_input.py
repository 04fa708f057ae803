"""Sixteen kinds of bad input, each through a whole evaluation: a recorded error or a right answer, never less."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

import segqa
from segqa.data.mask import Image
from segqa.models.protocol import Proposals
from segqa.runs.outcome import Outcome
from tests.conftest import bright_square, write_case

Spoil = Callable[[Path, Path], object]
IMAGE, MASK = bright_square(5)


class Bright:
    """Segments what is bright."""

    def predict(self, images: Sequence[Image], prompts: Sequence[str]) -> list[Proposals]:
        return [Proposals.single(image[:, :, 0] > 100) for image in images]


def evaluated(folder: Path) -> dict[str, Outcome]:
    run = segqa.evaluate(Bright(), folder)
    assert not run.missing
    return {outcome.case_id: outcome for outcome in run.outcomes}


def spoilt(tmp_path: Path, spoil: Spoil) -> Outcome:
    """The outcome of a case whose files were spoilt, among ten that were not."""
    others = [*"abxyz", *"ABXYZ"]
    for name in (*others, "case"):
        write_case(tmp_path, name, IMAGE, MASK)
    spoil(tmp_path / "images" / "case.png", tmp_path / "masks" / "case.png")
    outcomes = evaluated(tmp_path)
    assert set(outcomes) == {*others, "case"}
    for name in others:
        counts = outcomes[name].counts
        assert counts is not None
        assert counts.iou == 1
    return outcomes["case"]


def save(picture: Pillow.Image, path: Path, **options: object) -> None:
    picture.save(path, **options)  # type: ignore[arg-type]


def truncated_jpeg(image: Path, mask: Path) -> None:
    save(Pillow.fromarray(IMAGE), image.with_suffix(".jpg"))
    image.unlink()
    whole = image.with_suffix(".jpg").read_bytes()
    image.with_suffix(".jpg").write_bytes(whole[:-20])


def bomb(image: Path, mask: Path) -> None:
    """A small PNG whose header claims 30,000 × 40,000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 30_000, 40_000, 8, 2, 0, 0, 0)
    body = zlib.compress(b"\0" * 75_000_000, 9)
    assert len(body) > 70_000
    image.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b""))


def unreadable(image: Path, mask: Path) -> None:
    """Not even root can read a link that leads to itself."""
    image.unlink()
    image.symlink_to(image)


def pipe(image: Path, mask: Path) -> None:
    """Opening it would wait for ever."""
    image.unlink()
    os.mkfifo(image)


def shape_in_alpha(image: Path, mask: Path) -> None:
    """Black all over, opaque where the object is."""
    layers = [np.zeros_like(MASK)] * 3 + [MASK]
    save(Pillow.fromarray(np.stack(layers, axis=2).astype(np.uint8) * 255), mask)


def folder_in_place(image: Path, mask: Path) -> None:
    mask.unlink()
    mask.mkdir()


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        pytest.param(truncated_jpeg, "cannot read case.jpg: ", id="truncated JPEG"),
        pytest.param(lambda image, mask: image.write_bytes(b""), "case.png is empty (0 bytes)", id="0-byte image"),
        pytest.param(lambda image, mask: mask.write_bytes(b""), "case.png is empty (0 bytes)", id="0-byte mask"),
        pytest.param(
            lambda image, mask: image.write_bytes(b"GIF?"), "not a PNG, JPEG, BMP, TIFF or WebP", id="no picture"
        ),
        pytest.param(
            lambda image, mask: save(Pillow.new("L", (30, 20)), mask),
            "image is 60 × 40 pixels and its mask 30 × 20; they must have one size",
            id="mask of another size",
        ),
        pytest.param(lambda image, mask: mask.unlink(), "image case.png has no mask", id="mask missing"),
        pytest.param(lambda image, mask: image.unlink(), "mask case.png has no image", id="image missing"),
        pytest.param(bomb, "case.png claims ", id="76 kB that claim 30,000 × 40,000 pixels"),
        pytest.param(unreadable, "cannot read case.png: ", id="unreadable file"),
        pytest.param(pipe, "case.png is not a file; expected a picture", id="pipe"),
        pytest.param(folder_in_place, "case.png is a folder; expected a picture", id="folder in place of a file"),
        pytest.param(
            lambda image, mask: mask.with_suffix(".bmp").write_bytes(b""), "2 masks for one image", id="two masks"
        ),
        pytest.param(shape_in_alpha, "has its shape in the alpha channel", id="shape in alpha"),
        pytest.param(
            lambda image, mask: save(Pillow.fromarray(MASK.astype(np.uint8) * 7), mask),
            "mask case.png holds 0 (94 %), 7 (6 %); the masks of this data set hold 0 and 255",
            id="class numbers",
        ),
        pytest.param(
            lambda image, mask: save(Pillow.fromarray(MASK.astype(np.uint8)), mask),
            "mask case.png holds 0 (94 %), 1 (6 %); the masks of this data set hold 0 and 255",
            id="0 and 1 among 0 and 255",
        ),
    ],
)
def test_what_cannot_be_evaluated_is_a_recorded_error(tmp_path: Path, spoil: Spoil, reason: str) -> None:
    outcome = spoilt(tmp_path, spoil)
    assert outcome.status == "error"
    assert outcome.counts is None
    assert reason in outcome.reason
    assert "Traceback" in outcome.error


def sixteen_bits(image: Path, mask: Path) -> None:
    save(Pillow.fromarray(IMAGE[:, :, 0].astype(np.uint16) * 257), image)


def turned(image: Path, mask: Path) -> None:
    """Both lie on their side, and say so in their EXIF data."""
    exif = Pillow.Exif()
    exif[0x0112] = 6
    for path in (image, mask):
        save(Pillow.open(path).transpose(Pillow.Transpose.ROTATE_90), path, exif=exif)


def cmyk(image: Path, mask: Path) -> None:
    image.unlink()
    save(Pillow.fromarray(IMAGE).convert("CMYK"), image.with_suffix(".jpg"), quality=100)


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(sixteen_bits, id="16 bits"),
        pytest.param(lambda image, mask: save(Pillow.fromarray(IMAGE).convert("RGBA"), image), id="RGBA"),
        pytest.param(cmyk, id="CMYK"),
        pytest.param(lambda image, mask: save(Pillow.fromarray(IMAGE[:, :, 0]), image), id="grey"),
        pytest.param(lambda image, mask: save(Pillow.fromarray(MASK), mask), id="mask of one bit"),
        pytest.param(turned, id="turned by EXIF"),
    ],
)
def test_what_is_merely_unusual_is_evaluated_right(tmp_path: Path, spoil: Spoil) -> None:
    outcome = spoilt(tmp_path, spoil)
    assert outcome.counts is not None, outcome.error
    assert outcome.counts.iou == 1


def test_an_anti_aliased_mask_is_evaluated_and_noted(tmp_path: Path) -> None:
    soft = Pillow.fromarray(MASK.astype(np.uint8) * 255).resize((20, 14)).resize((60, 40), Pillow.Resampling.BICUBIC)
    outcome = spoilt(tmp_path, lambda image, mask: save(soft, mask))
    assert outcome.counts is not None
    assert 0.5 < outcome.counts.iou < 1
    assert "is not binary" in outcome.note


def test_an_all_zero_mask_makes_any_prediction_a_hallucination(tmp_path: Path) -> None:
    write_case(tmp_path, "empty", IMAGE, np.zeros_like(MASK))
    run = segqa.evaluate(Bright(), tmp_path)
    assert run.mean_iou == 0.0
    assert run.kinds() == {"hallucinated": 1}


@pytest.mark.parametrize("on", [True, False])
def test_an_image_of_one_pixel_is_evaluated(tmp_path: Path, on: bool) -> None:
    mask = np.array([[on]])
    write_case(tmp_path, "dot", np.full((1, 1, 3), 200 if on else 20, np.uint8), mask)
    assert segqa.evaluate(Bright(), tmp_path).mean_iou == 1.0


@pytest.mark.parametrize(
    "name", ["Zoë 日本", "a'b\"c", "[x] & <y>", "100%", "a;b|c", ".dots.in.it"[1:], "-dash", "sp ace "]
)
def test_names_of_any_kind_are_cases(tmp_path: Path, name: str) -> None:
    write_case(tmp_path, name, IMAGE, MASK)
    outcomes = evaluated(tmp_path)
    counts = outcomes[name].counts
    assert counts is not None
    assert counts.iou == 1
