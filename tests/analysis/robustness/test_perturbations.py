import numpy as np
import pytest

from segqa.analysis.robustness.perturbations import BEHAVIOURS, PERTURBATIONS, Perturbation, find_perturbation
from segqa.data.mask import Image, Mask
from segqa.errors import SettingsError
from tests.conftest import bright_square

pytest.importorskip("albumentations")

EACH = [
    pytest.param(change, severity, id=f"{change.name}-{severity}")
    for change in PERTURBATIONS
    for severity in change.severities
]
MOVING = [param for param in EACH if param.values[0].is_geometric]  # type: ignore[union-attr]


def coloured() -> tuple[Image, Mask]:
    """A picture with structure in every channel, and a mask in it that touches no border."""
    image, mask = bright_square(5, (240, 360))
    draw = np.random.default_rng(1)
    ramp = np.linspace(0, 120, 360)[None, :, None] * np.array([1.0, 0.5, 0.2]) + draw.integers(0, 20, (240, 360, 3))
    return np.where(mask[:, :, None], image, ramp.astype(np.uint8)).astype(np.uint8), mask


@pytest.mark.parametrize(("change", "severity"), EACH)
def test_a_change_does_something_and_the_same_each_time(change: Perturbation, severity: int) -> None:
    image, target = coloured()
    kept = image.copy(), target.copy()
    changed = change.image(severity, image, target, seed=3)
    assert changed.dtype == np.uint8
    assert changed.shape != image.shape or (changed != image).any()
    assert np.array_equal(changed, change.image(severity, image, target, seed=3))
    assert np.array_equal(image, kept[0])
    assert np.array_equal(target, kept[1])
    assert changed.shape[:2] == change.mask(severity, target)[0].shape


@pytest.mark.parametrize(
    "change",
    [change for change in PERTURBATIONS if len(change.amounts) > 1 and not change.is_geometric],
    ids=lambda c: c.name,
)
def test_more_severe_is_further_from_the_image(change: Perturbation) -> None:
    image, target = coloured()
    if change.empties:
        assert [int(change.image(s, image, target).mean()) for s in change.severities] == [0, 128, 255]
        return
    far = [np.abs(change.image(s, image, target).astype(int) - image).mean() for s in change.severities]
    assert far == sorted(far)
    assert far[0] < far[-1]


@pytest.mark.parametrize(("change", "severity"), MOVING)
def test_what_lies_under_the_mask_moves_with_it(change: Perturbation, severity: int) -> None:
    grey = np.full((120, 160), 20, np.uint8)
    target = np.zeros((120, 160), np.bool_)
    target[40:80, 30:100] = True
    grey[target] = 200
    changed = change.image(severity, grey[:, :, None].repeat(3, axis=2), target)
    moved, common = change.mask(severity, target)
    found = changed[:, :, 0] > 150
    # linear for pixels, nearest for the mask: an edge may lie half a pixel apart
    assert (found ^ moved).sum() <= 0.02 * target.sum()
    assert not (moved & ~common).any()


def test_a_shift_moves_by_whole_pixels_and_its_new_pixels_are_not_common() -> None:
    image, target = coloured()
    shift = find_perturbation("shift")
    changed = shift.image(3, image, target)
    moved, common = shift.mask(3, target)
    assert np.array_equal(changed[24:, 36:], image[:-24, :-36])
    assert np.array_equal(moved[24:, 36:], target[:-24, :-36])
    assert (changed[:24] == 0).all()
    assert common.sum() == 216 * 324


def test_padding_keeps_every_pixel() -> None:
    image, target = coloured()
    moved, common = find_perturbation("padding").mask(3, target)
    assert np.array_equal(find_perturbation("padding").image(3, image, target)[common].reshape(image.shape), image)
    assert np.array_equal(moved[common].reshape(target.shape), target)


def test_a_longer_bar_covers_the_shorter_ones_and_nothing_beside_the_box() -> None:
    image, target = coloured()
    rows, columns = np.flatnonzero(target.any(axis=1)), np.flatnonzero(target.any(axis=0))
    covered = [(find_perturbation("occlusion").image(s, image, target) != image).any(axis=2) for s in (1, 2, 3)]
    assert not (covered[0] & ~covered[1]).any()
    assert not (covered[1] & ~covered[2]).any()
    box = np.zeros_like(target)
    box[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = True
    assert not (covered[2] & ~box).any()
    assert np.flatnonzero(covered[2].any(axis=1)).tolist() == list(range(rows[-1] - 4, rows[-1] + 1))


def test_where_there_is_no_object_nothing_is_covered() -> None:
    image, target = coloured()
    assert np.array_equal(find_perturbation("occlusion").image(3, image, np.zeros_like(target)), image)


def test_red_and_blue_change_places() -> None:
    image, target = coloured()
    assert np.array_equal(find_perturbation("channel_swap").image(1, image, target)[:, :, 2], image[:, :, 0])


def test_without_colour_the_channels_are_one() -> None:
    image, target = coloured()
    grey = find_perturbation("grayscale").image(3, image, target).astype(int)
    assert np.ptp(grey, axis=2).max() <= 1


def test_an_unknown_change_names_the_nearest() -> None:
    with pytest.raises(SettingsError, match="unknown change 'paddign'; did you mean 'padding'"):
        find_perturbation("paddign")
    with pytest.raises(SettingsError, match="severity of flip must be from 1 to 1, got 2"):
        find_perturbation("flip").amount(2)


def test_every_change_has_a_name_of_its_own_and_says_what_is_expected() -> None:
    assert len({change.name for change in PERTURBATIONS}) == len(PERTURBATIONS)
    assert {change.behaviour for change in PERTURBATIONS} == set(BEHAVIOURS)
    assert all(change.describe(1) for change in PERTURBATIONS)
