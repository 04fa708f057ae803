"""Property-based test tools for your own metric, picker or model: hypothesis strategies and laws (`segqa[testing]`).

>>> from segqa import iou
>>> check_iou(iou)
"""

from segqa.testing.contract import BrokenLawError, broken
from segqa.testing.metric_laws import (
    binarise_laws,
    boundary_laws,
    check_binarise,
    check_boundary,
    check_dice,
    check_iou,
    check_mean_iou,
    dice_laws,
    iou_laws,
    mean_laws,
)
from segqa.testing.model_laws import check_model, model_laws
from segqa.testing.picker_laws import check_picker, picker_laws
from segqa.testing.strategies import cases, images, mask_pairs, masks, proposals

__all__ = [
    "BrokenLawError",
    "binarise_laws",
    "boundary_laws",
    "broken",
    "cases",
    "check_binarise",
    "check_boundary",
    "check_dice",
    "check_iou",
    "check_mean_iou",
    "check_model",
    "check_picker",
    "dice_laws",
    "images",
    "iou_laws",
    "mask_pairs",
    "masks",
    "mean_laws",
    "model_laws",
    "picker_laws",
    "proposals",
]
