from xml.etree import ElementTree as ET

import pytest

from segqa.training.history import Epoch, best, to_csv, to_svg

HISTORY = [Epoch(1, 0.7, 0.6, 0.5), Epoch(2, 0.5, 0.4, 0.8), Epoch(3, 0.4, 0.5, 0.8)]


def test_the_best_epoch_is_the_first_with_the_highest_iou() -> None:
    assert best(HISTORY) is HISTORY[1]
    assert best([]) is None


def test_the_table_has_a_row_an_epoch() -> None:
    lines = to_csv(HISTORY).splitlines()
    assert lines[0] == "epoch,train_loss,validation_loss,validation_iou"
    assert lines[2] == "2,0.500000,0.400000,0.800000"
    assert len(lines) == 4


@pytest.mark.parametrize("epochs", [0, 1, 3])
def test_the_picture_says_every_value(epochs: int) -> None:
    drawn = ET.fromstring(to_svg(HISTORY[:epochs], "training of <unet>"))  # noqa: S314 - our own
    texts = [element.text for element in drawn.iter() if element.text]
    assert texts[0] == "training of <unet>"
    for epoch in HISTORY[:epochs]:
        assert f"epoch {epoch.epoch} training: {epoch.train_loss:.4f}" in texts
        assert f"epoch {epoch.epoch}: {epoch.validation_iou:.4f}" in texts


def test_curves_stay_inside_the_picture() -> None:
    drawn = ET.fromstring(to_svg([*HISTORY, Epoch(4, 9.0, 0.0, 1.0)], "x"))  # noqa: S314 - our own
    width, height = float(drawn.attrib["width"]), float(drawn.attrib["height"])
    dots = [(float(e.attrib["cx"]), float(e.attrib["cy"])) for e in drawn.iter() if e.tag.endswith("circle")]
    assert len(dots) == 12
    assert all(0 < x < width and 0 < y < height for x, y in dots)
