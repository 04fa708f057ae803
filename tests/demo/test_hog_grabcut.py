"""hog_grabcut: what it answers, that it always answers the same, and how good it is on real photos."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from segqa.demo._grabcut import compute_separation, cut_person
from segqa.demo.hog_grabcut import HogGrabCut
from segqa.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from segqa.data.mask import Image, Mask
    from segqa.models.protocol import Proposals

CCP = Path(__file__).parents[2].parent / "shared" / "data" / "ccp"
"""804 street photos with masks; their licence does not let them travel with the project."""

CCP_IDS = ("0004", "0081", "0161", "0248", "0333", "0421", "0512", "0596", "0689", "0770", "0847", "0928")


def draw_person(height: int = 240, width: int = 160, at: int = 80) -> tuple[Image, Mask]:
    """A figure in three colours before an even wall and floor, and its mask."""
    picture = np.full((height, width, 3), (196, 200, 190), np.uint8)
    picture[height * 3 // 4 :] = (150, 140, 128)
    mask = np.zeros((height, width), np.uint8)
    parts: list[tuple[tuple[int, int, int], list[tuple[int, int]]]] = [
        ((30, 40, 90), [(-17, 110), (17, 110), (13, 208), (4, 208), (0, 130), (-4, 208), (-13, 208)]),
        ((170, 30, 40), [(-20, 54), (20, 54), (26, 118), (-26, 118)]),
    ]
    for colour, points in parts:
        outline = np.array([(at + x, y) for x, y in points], np.int32)
        cv2.fillPoly(picture, [outline], colour)
        cv2.fillPoly(mask, [outline], 1)
    cv2.ellipse(picture, (at, 40), (10, 15), 0, 0, 360, (120, 80, 60), cv2.FILLED)
    cv2.ellipse(mask, (at, 40), (10, 15), 0, 0, 360, 1, cv2.FILLED)
    return picture, mask > 0


def iou(one: Mask, other: Mask) -> float:
    return float(np.count_nonzero(one & other) / np.count_nonzero(one | other))


def answers_are_equal(one: Proposals, other: Proposals) -> bool:
    names = ("masks", "mask_scores", "box_scores", "boxes")
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in names)


def read_ccp(case: str) -> tuple[Image, Mask]:
    photo = cv2.imread(str(CCP / "images" / f"{case}.jpg"))
    mask = cv2.imread(str(CCP / "masks" / f"{case}.png"), cv2.IMREAD_GRAYSCALE)
    assert photo is not None
    assert mask is not None
    return cv2.cvtColor(photo, cv2.COLOR_BGR2RGB).astype(np.uint8), np.asarray(mask > 127)


ODD_IMAGES: dict[str, Image] = {
    "one pixel": np.full((1, 1, 3), 90, np.uint8),
    "3 x 2000": np.random.default_rng(0).integers(0, 256, (3, 2000, 3), np.uint8),
    "2000 x 3": np.random.default_rng(1).integers(0, 256, (2000, 3, 3), np.uint8),
    "grey person": np.repeat(draw_person()[0].mean(axis=2, keepdims=True), 3, axis=2).astype(np.uint8),
    "black": np.zeros((128, 64, 3), np.uint8),
    "white": np.full((50, 300, 3), 255, np.uint8),
    "noise": np.random.default_rng(2).integers(0, 256, (200, 120, 3), np.uint8),
    "two colours": np.repeat(np.repeat(np.array([[[0], [255]]], np.uint8), 40, axis=1), 3, axis=2).repeat(90, axis=0),
    "a person cut off at the hip": draw_person()[0][:120],
    "a view that is not contiguous": draw_person()[0][:, ::-1],
}


@pytest.fixture(scope="module")
def model() -> HogGrabCut:
    return HogGrabCut()


@pytest.fixture
def threads() -> Iterator[None]:
    """OpenCV's number of threads, put back at the end."""
    before = cv2.getNumThreads()
    yield
    cv2.setNumThreads(before)


def test_a_drawn_person_is_found_and_cut_out(model: HogGrabCut) -> None:
    picture, target = draw_person()
    answer = model.predict([picture], ["person."])[0]
    assert len(answer) >= 1
    assert iou(answer.masks[0], target) > 0.8


def test_two_people_far_apart_get_a_proposal_each(model: HogGrabCut) -> None:
    left, right = draw_person(width=320, at=80), draw_person(width=320, at=240)
    both = np.where(right[1][..., None], right[0], left[0])
    masks = model.predict([both], ["person."])[0].masks
    assert all(max(iou(mask, target) for mask in masks) > 0.8 for _, target in (left, right))


def test_an_empty_wall_has_no_proposal(model: HogGrabCut) -> None:
    wall = np.full((240, 160, 3), 200, np.uint8)
    assert model.predict([wall], ["person."])[0].masks.shape == (0, 240, 160)


def test_a_mask_in_stronger_contrast_scores_higher(model: HogGrabCut) -> None:
    picture, target = draw_person()
    faint = np.where(target[..., None], picture // 3 + np.uint8(110), picture)
    strong_score, faint_score = (model.predict([image], [""])[0].mask_scores[0] for image in (picture, faint))
    assert strong_score > faint_score


@pytest.mark.parametrize("name", ODD_IMAGES)
def test_any_image_gets_valid_proposals(model: HogGrabCut, name: str) -> None:
    image = ODD_IMAGES[name]
    answer = model.predict([image], ["person."])[0]
    height, width = image.shape[:2]
    assert answer.masks.shape == (len(answer), height, width)
    assert answer.masks.any(axis=(1, 2)).all()
    assert ((answer.mask_scores >= 0) & (answer.mask_scores <= 1)).all()
    assert ((answer.box_scores > 0) & (answer.box_scores < 1)).all()
    assert (answer.boxes[:, :2] <= answer.boxes[:, 2:]).all()
    assert ((answer.boxes >= 0) & (answer.boxes <= [width, height, width, height])).all()


def test_proposals_come_by_falling_box_score_and_no_more_than_asked_for() -> None:
    left, right = draw_person(width=320, at=80), draw_person(width=320, at=240)
    both = np.where(right[1][..., None], right[0], left[0])
    scores = HogGrabCut().predict([both], [""])[0].box_scores
    assert list(scores) == sorted(scores, reverse=True)
    assert len(HogGrabCut(max_proposals=1).predict([both], [""])[0]) == 1


def test_the_input_is_not_changed_and_need_not_be_writeable(model: HogGrabCut) -> None:
    picture, _ = draw_person()
    before = picture.copy()
    picture.setflags(write=False)
    model.predict([picture], ["person."])
    assert np.array_equal(picture, before)


def test_a_box_anywhere_gives_a_mask_or_nothing() -> None:
    rng = np.random.default_rng(0)
    for _ in range(60):
        image = rng.integers(0, 256, (*rng.integers(1, 100, 2), 3), np.uint8)
        (x, y), height = rng.uniform(-60, 140, 2), rng.uniform(1, 200)
        cut = cut_person(image, np.array([x, y, x + height / 3, y + height]), iterations=1)
        assert cut is None or (cut.mask.shape == image.shape[:2] and cut.mask.any() and 0 <= cut.separation <= 1)


def test_a_mask_without_an_outline_does_not_separate() -> None:
    picture = draw_person()[0]
    assert compute_separation(picture, np.zeros(picture.shape[:2], np.bool_)) == 0
    assert compute_separation(picture, np.ones(picture.shape[:2], np.bool_)) == 0


def test_a_mask_across_one_colour_separates_less_than_one_along_an_edge() -> None:
    picture, target = draw_person()
    assert compute_separation(picture, target) > 2 * compute_separation(picture, np.roll(target, 40, axis=1))


def test_a_batch_equals_one_by_one_in_any_order(model: HogGrabCut) -> None:
    images = [draw_person()[0], ODD_IMAGES["noise"], draw_person(width=200, at=120)[0]]
    alone = [HogGrabCut().predict([image], [""])[0] for image in images]
    backwards = model.predict(images[::-1], ["a", "b", "c"])[::-1]
    assert all(answers_are_equal(*pair) for pair in zip(alone, backwards, strict=True))


def test_neither_earlier_random_draws_nor_threads_change_an_answer(model: HogGrabCut, threads: None) -> None:
    picture, _ = draw_person()
    answers = []
    for count in (1, 2, 4):
        cv2.setNumThreads(count)
        cv2.setRNGSeed(count)
        answers.append(model.predict([picture], [""])[0])
    assert answers_are_equal(answers[0], answers[1])
    assert answers_are_equal(answers[0], answers[2])


def test_a_prompt_too_few_is_an_error(model: HogGrabCut) -> None:
    with pytest.raises(ValueError, match="zip"):
        model.predict([draw_person()[0]], [])


@pytest.mark.parametrize(
    "arguments",
    [{"smallest_person": 0.0}, {"smallest_person": 1.5}, {"max_proposals": 0}, {"iterations": 0}],
    ids=str,
)
def test_an_argument_out_of_range_is_refused(arguments: dict[str, int]) -> None:
    with pytest.raises(ModelError, match=next(iter(arguments))):
        HogGrabCut(**arguments)


def test_the_fingerprint_tells_arguments_apart() -> None:
    assert HogGrabCut().fingerprint == HogGrabCut().fingerprint
    assert HogGrabCut().fingerprint != HogGrabCut(iterations=7).fingerprint


@pytest.mark.skipif(not CCP.is_dir(), reason="needs the CCP photos beside the repository, in ../shared/data/ccp")
def test_real_people_are_cut_out_well(model: HogGrabCut) -> None:
    scores = []
    for case in CCP_IDS:
        photo, target = read_ccp(case)
        answer = model.predict([photo], ["person."])[0]
        scores.append(iou(answer.masks[answer.box_scores.argmax()], target))
    assert np.mean(scores) > 0.78
