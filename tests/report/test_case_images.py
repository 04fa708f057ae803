import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from segqa.data.folder import open_folder
from segqa.data.mask import resize_nearest
from segqa.data.rle import decode_mask
from segqa.gate.baseline import read_baseline, write_baseline
from segqa.inference.evaluator import Evaluation
from segqa.report.case_images import CaseImage, CaseImages, draw_case_images, earlier_outcomes
from segqa.report.drawing import decode_image
from tests.reviewed import NAMES, Reviewed, Two, reviewed


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Reviewed:
    return reviewed(tmp_path_factory.mktemp("exhibits"), 6)


def exhibit(small: Reviewed, case_id: str, **how: object) -> CaseImage:
    outcomes = [outcome for outcome in small.run.outcomes if outcome.case_id == case_id]
    draw_case_images(small.run, outcomes, small.dataset, small.store, **how)  # type: ignore[arg-type]
    with CaseImages(small.store, small.run.id) as exhibits:
        found = exhibits.get(case_id)
    assert found is not None
    return found


def test_masks_are_the_evaluated_ones(small: Reviewed) -> None:
    found = exhibit(small, "B_000")
    case = next(case for case in small.dataset if case.id == "B_000")
    assert found.shape == found.whole == (60, 80)
    assert np.array_equal(decode_mask(found.target, found.shape), case.target())
    (proposals,) = Two().predict([case.image()], ["x"])
    for mask, text in zip(proposals.masks, found.masks, strict=True):
        assert np.array_equal(decode_mask(text, found.shape), mask)
    assert found.boxes == ((1, 2, 30, 40), (40, 10, 60, 30))


def test_pictures_are_small_and_masks_resized_nearest(small: Reviewed) -> None:
    found = exhibit(small, "B_000", size=40)
    case = next(case for case in small.dataset if case.id == "B_000")
    assert found.shape == (30, 40)
    assert found.whole == (60, 80)
    assert decode_image(found.photo).shape == (30, 40, 3)
    assert np.array_equal(decode_mask(found.target, (30, 40)), resize_nearest(case.target(), (30, 40)))
    assert found.boxes[0] == (0.5, 1, 15, 20)


def test_photos_can_be_left_out(small: Reviewed) -> None:
    found = exhibit(small, "B_000", photos=False)
    assert found.photo == b""
    assert (decode_image(found.thumbnail)[:2, :2].astype(int) - 128 < 4).all()
    assert (found.strip(1)[:, :80] == 128).all()


def test_what_needs_pixels_is_measured_at_full_size(small: Reviewed) -> None:
    wrong, right = (exhibit(small, name, size=40).measured for name in ("B_000", "A_001"))
    assert (wrong["boundary_f"], wrong["pieces"], wrong["target_pieces"]) == (0, 1, 1)
    assert right["hd95"] == 2
    assert 0 < right["boundary_iou"] < 1


def test_a_case_whose_file_has_changed_has_no_exhibit(tmp_path: Path) -> None:
    small = reviewed(tmp_path, 6)
    path = tmp_path / "photos" / "images" / "B_000.png"
    Pillow.fromarray(np.zeros((60, 80, 3), np.uint8)).save(path)
    (tmp_path / "photos" / "masks" / "A_001.png").unlink()
    fresh = open_folder(tmp_path / "photos", name_pattern=NAMES)
    draw_case_images(small.run, small.run.outcomes, fresh, small.store)
    with CaseImages(small.store, small.run.id) as exhibits:
        assert exhibits.case_ids() == {"A_002", "B_003", "A_004", "A_005"}


def test_the_baselines_prediction_is_found_by_its_counts(small: Reviewed, tmp_path: Path) -> None:
    path = tmp_path / "two.jsonl"
    write_baseline(path, small.before)
    before = earlier_outcomes(read_baseline(path), small.store, {"B_000"})
    found = exhibit(small, "B_000", before=before)
    assert found.before == found.masks[0]


def test_a_baseline_of_another_model_has_no_masks(small: Reviewed, tmp_path: Path) -> None:
    path = tmp_path / "two.jsonl"
    write_baseline(path, replace(small.before, provenance={**small.before.provenance, "fingerprint": "other"}))
    assert earlier_outcomes(read_baseline(path), small.store, {"B_000"}) == {}
    assert exhibit(small, "B_000", before={}).before is None


def test_an_error_has_no_exhibit(tmp_path: Path) -> None:
    small = reviewed(tmp_path, 6)
    (tmp_path / "photos" / "masks" / "A_001.png").write_bytes(b"no picture")
    dataset = open_folder(tmp_path / "photos", name_pattern=NAMES)
    run = Evaluation().run(Two(), "two", dataset, small.store)
    draw_case_images(run, run.outcomes, dataset, small.store)
    with CaseImages(small.store, run.id) as exhibits:
        assert len(exhibits.case_ids()) == 5
        assert [each.case_id for each in exhibits.get_all(["A_001", "B_003", "A_002"], 1)] == ["B_003"]


def test_what_has_been_drawn_is_not_drawn_again(tmp_path: Path) -> None:
    small = reviewed(tmp_path, 6)
    draw_case_images(small.run, small.run.outcomes, small.dataset, small.store)
    again = Evaluation(pick="mask_score").run(Two(), "two", small.dataset, small.store)
    otherwise = Evaluation(pick="box_score").run(Two(), "two", small.dataset, small.store)
    shutil.rmtree(tmp_path / "photos")
    for run in (again, otherwise):
        draw_case_images(run, run.outcomes, small.dataset, small.store)
    draw_case_images(again, again.outcomes, small.dataset, small.store, size=32)
    with (
        CaseImages(small.store, small.run.id) as first,
        CaseImages(small.store, again.id) as second,
        CaseImages(small.store, otherwise.id) as third,
    ):
        assert second.case_ids() == first.case_ids()
        for case_id in first.case_ids():
            one, other = first.get(case_id), second.get(case_id)
            assert one is not None
            assert other is not None
            assert (one.layers, one.photo, one.thumbnail) == (other.layers, other.photo, other.thumbnail)
        # with another proposal picked the error map is another one; where there is one proposal it is the same
        assert third.case_ids() == {name for name in first.case_ids() if name[0] == "A"}


def test_without_a_baseline_what_was_drawn_beside_one_is_not_drawn_again(tmp_path: Path) -> None:
    small = reviewed(tmp_path, 6)
    before = {outcome.case_id: outcome for outcome in small.before.outcomes}
    first, second = (Evaluation(pick="mask_score").run(Two(), "two", small.dataset, small.store) for _ in range(2))
    draw_case_images(first, first.outcomes, small.dataset, small.store, before=before)
    shutil.rmtree(tmp_path / "photos")
    draw_case_images(second, second.outcomes, small.dataset, small.store)
    with CaseImages(small.store, first.id) as beside, CaseImages(small.store, second.id) as alone:
        one, other = beside.get("B_000"), alone.get("B_000")
        assert one is not None
        assert other is not None
        assert one.before is not None
        assert other.layers == {**one.layers, "before": None}
        assert alone.case_ids() == beside.case_ids()
        assert not alone.has("B_000", one.key)
