"""`[tool.segqa.thresholds]`: the bounds that the suites assert."""

from __future__ import annotations

from dataclasses import dataclass

from segqa.settings import checks
from segqa.settings.declaration import read_declarations, setting

DATA = "data"
"""The group of the thresholds on the data set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """The bounds that the suites assert; `docs/settings.md` lists them."""

    iou: float = setting(
        0.7, checks.threshold, "Minimum IoU of a case: a case below it has failed", details="No test asserts it"
    )
    mean_iou: float = setting(0.5, checks.share, "Minimum mean IoU")
    p05: float = setting(0.0, checks.share, "Minimum 5th percentile of the IoU: 95 % of the cases reach it")
    wrong_object: float = setting(0.05, checks.share, "Maximum share of zero-IoU false positives (IoU below 0.05)")
    missed: float = setting(
        0.05, checks.share, "Maximum share of cases in which nothing is predicted although the target is not empty"
    )
    hallucinated: float = setting(
        0.05, checks.share, "Maximum share of cases in which something is predicted although the target is empty"
    )
    errors: float = setting(0.0, checks.share, "Maximum share of cases that could not be evaluated")
    slice_drop: float = setting(
        0.15,
        checks.share,
        "Maximum difference between the mean IoU of all cases and that of a slice",
        details="Slices of fewer than 8 cases are ignored",
    )
    regret: float = setting(
        0.05, checks.share, "Maximum mean IoU lost by picking, against the best proposal of each case"
    )
    seconds_p95: float | None = setting(
        None, checks.seconds, "Maximum 95th percentile of the seconds that the model takes for a case"
    )
    slowdown: float = setting(
        1.5,
        checks.factor,
        "Maximum time of the median case, as a multiple of the time in the baseline on the same machine",
        details="0.5 ms more is always allowed",
    )
    invariance: float = setting(
        0.9,
        checks.share,
        "Minimum mean agreement of the predictions under the mildest severity of a perturbation",
        details="See [robustness.md](robustness.md)",
    )
    robustness_drop: float = setting(
        0.05, checks.share, "Maximum drop of the mean IoU under the mildest severity of a perturbation"
    )
    occlusion_rises: float = setting(
        0.05, checks.share, "Maximum share of cases in which a longer occlusion raises the IoU"
    )
    channel_gain: float = setting(
        0.0, checks.share, "Maximum significant gain in mean IoU by swapping the red and blue channels"
    )
    blank: float = setting(0.0, checks.share, "Maximum share of blank images in which something is predicted")
    empty_targets: float = setting(0.05, checks.share, "Maximum share of cases with an empty target", group=DATA)
    full_targets: float = setting(
        0.0, checks.share, "Maximum share of cases whose target is the whole image", group=DATA
    )
    inverted: float = setting(
        0.0, checks.share, "Maximum share of cases whose target covers the frame, as an inverted mask does", group=DATA
    )
    near_duplicates: float = setting(
        0.0, checks.share, "Maximum share of cases whose image is nearly the same as that of another case", group=DATA
    )
    leaked: float = setting(
        0.0, checks.share, "Maximum share of cases whose image, or nearly the same, is in the training data", group=DATA
    )


DATA_THRESHOLDS = frozenset(key for key, each in read_declarations(Thresholds).items() if each.group == DATA)
"""The thresholds on the data set, which are the same for every model."""
