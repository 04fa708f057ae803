"""Is the data set sound? Before a model is blamed: pairs, sizes, masks, repeated images and tags. No model is asked."""

import pytest

from segqa import Audit, Thresholds


def test_every_case_can_be_read(audit: Audit) -> None:
    """Every image has its mask, and both can be read."""
    assert not audit.unreadable, audit.unreadable.story


def test_image_and_mask_have_one_size(audit: Audit) -> None:
    """A mask of another size belongs to another image."""
    assert not audit.unequal, audit.unequal.story


def test_masks_are_binary(audit: Audit) -> None:
    """A mask with grey values has been scaled or saved as a JPEG: its contour is not what was drawn."""
    assert not audit.not_binary, audit.not_binary.story


def test_few_empty_targets(audit: Audit, data_thresholds: Thresholds) -> None:
    """Hardly any target is empty: most that are have not been labelled."""
    assert audit.empty.share <= data_thresholds.empty_targets, audit.empty.story


def test_few_full_targets(audit: Audit, data_thresholds: Thresholds) -> None:
    """No target is the whole image."""
    assert audit.full.share <= data_thresholds.full_targets, audit.full.story


def test_no_mask_looks_inverted(audit: Audit, data_thresholds: Thresholds) -> None:
    """No mask covers the frame: object and background are the right way round."""
    assert audit.inverted.share <= data_thresholds.inverted, audit.inverted.story


def test_no_image_twice(audit: Audit) -> None:
    """A case that is there twice counts twice."""
    assert not audit.repeated, audit.repeated.story


def test_few_near_duplicates(audit: Audit, data_thresholds: Thresholds) -> None:
    """No two images are nearly the same, unless that is allowed, as for the frames of a video."""
    assert audit.near_duplicates.share <= data_thresholds.near_duplicates, audit.near_duplicates.story


def test_nothing_was_learnt_from(audit: Audit, data_thresholds: Thresholds) -> None:
    """No image is in the training data, or nearly: a model would be asked what it has been told."""
    if audit.leaked is None or audit.unread_train is None:
        pytest.skip("no training data is named: --segqa-train-dataset, or train_dataset in [tool.segqa]")
    assert audit.leaked.share <= data_thresholds.leaked, audit.leaked.story
    assert not audit.unread_train, audit.unread_train.story


def test_tags_are_complete(audit: Audit) -> None:
    """A tag that some cases have, all have: the others would be in no slice by it."""
    assert not audit.untagged, audit.untagged.story
