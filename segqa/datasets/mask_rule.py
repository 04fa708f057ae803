"""The mask rule: which values of its mask files mean the object. One for a whole data set, never one a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import cv2
import numpy as np

from segqa.case import Target
from segqa.datasets.mask_values import (
    NOISE,
    count_values,
    is_along_contour,
    list_shares,
    scale,
    share_between,
)
from segqa.datasets.raster import Colour, Raster, Values
from segqa.errors import CaseError
from segqa.mask import Mask

Kind: TypeAlias = Literal["binary", "soft", "probabilities", "cutoff", "values", "none"]

MIDDLE = 127
"""Above it, on the scale of 8 bits, is object, where values lie between object and background."""

_NOTED = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskRule:
    """Which values of the mask files of a data set mean the object.

    Attributes:
        kind: `binary` (0 and `top`), `soft` (0 and 255, other values only beside the contour), `probabilities` (floats
            from 0 to 1, cut at a half), `cutoff` and `values` (as set), or `none` (no mask can be read).
        top: the value of the object in binary masks, 1 or 255.
        cutoff: object is above it, on the scale of 8 bits.
        values: that mean the object.
        white: the value of white in 16-bit files: 255 or 65535.
        by_index: whether the indices of palette files count, not their colours.
        colours: of the palette indices, where they count and masks agree in them.
        of_fractions: whether floats are probabilities.
        reason: why no mask can be read, and what to do.
        about: what was seen, for the notes of a run.
    """

    kind: Kind
    top: int = 255
    cutoff: int = MIDDLE
    values: tuple[int, ...] = ()
    white: int = 255
    by_index: bool = False
    colours: tuple[tuple[int, Colour], ...] = ()
    of_fractions: bool = False
    reason: str = ""
    about: str = ""

    @property
    def text(self) -> str:
        """The rule in words, the same wherever masks are read in the same way."""
        said = {
            "binary": f"0 and {self.top}",
            "soft": "0 and 255, other values only along the contour (cut at 127)",
            "probabilities": "probabilities, object above 0.5",
            "cutoff": f"object above mask_cutoff = {self.cutoff}",
            "values": f"object where mask_values = {list(self.values)}",
            "none": "none",
        }[self.kind]
        more = ", 16 bits" * (self.white == 65535) + ", palette indices" * self.by_index
        return said + more + ", floats from 0 to 1" * (self.of_fractions and self.kind == "cutoff")

    @property
    def note(self) -> str:
        """What a run says of it; empty for binary masks."""
        if self.kind == "none":
            return self.reason
        is_plain = self.kind == "binary" or (self.kind == "cutoff" and not self.about)
        return "" if is_plain else f"masks are read as {self.text}{self.about}"


def apply_mask_rule(name: str, raster: Raster, rule: MaskRule) -> Target:
    """Return the mask that a file means by the rule of its data set.

    Args:
        name: of the file, for errors.
        raster: what it stores.
        rule: of its data set.

    Raises:
        CaseError: the file breaks the rule, or there is none; it names values and rule.
    """
    if rule.kind == "none":
        raise CaseError(f"mask {name} holds {list_shares(count_values(raster.values))}: {rule.reason}")
    levels = _levels(name, raster, rule)
    if rule.kind == "binary":
        return Target(_binary(name, levels, raster, rule))
    if rule.kind == "values":
        return Target(np.isin(levels, rule.values))
    cutoff = 0.5 if rule.kind == "probabilities" else rule.cutoff
    if _is_all_white(levels):
        return Target(levels > cutoff)
    counts = count_values(levels)
    _require_fit(name, levels, counts, raster, rule)
    between = share_between(counts) if rule.kind != "probabilities" else 0.0
    note = f"mask {name} is not binary: {between:.0%} of its values lie between 5 and 250" if between > _NOTED else ""
    return Target(levels > cutoff, note)


def _levels(name: str, raster: Raster, rule: MaskRule) -> Values:
    """The values of a mask file on the scale of the rule."""
    if raster.is_coloured and rule.kind != "cutoff":
        raise CaseError(
            f"mask {name} has colours; the masks of this data set hold {rule.text}; store it with one channel"
        )
    if raster.palette is not None:
        return _palette_levels(name, raster, rule)
    if rule.kind == "values" or (rule.kind == "binary" and rule.top == 1) or rule.kind == "probabilities":
        return raster.values
    if raster.values.dtype.kind == "f":
        return raster.values * 255 if rule.of_fractions else raster.values
    if raster.white != 65535:
        return scale(raster.values, raster.white)
    if rule.white == 255 and raster.values.max(initial=0) > 255:
        raise _broken(name, raster, rule)
    return scale(raster.values, rule.white)


def _palette_levels(name: str, raster: Raster, rule: MaskRule) -> Values:
    """The indices of a palette file, or the grey values that they stand for."""
    if rule.by_index:
        _require_colours(name, raster, rule)
        return raster.values
    if not raster.palette:
        raise CaseError(
            f"mask {name} is a palette file with colours; the masks of this data set hold {rule.text}; "
            "write it with the same values"
        )
    return np.array(raster.palette, np.uint8)[raster.values]


def _require_colours(name: str, raster: Raster, rule: MaskRule) -> None:
    """Refuse a palette in which an index has another colour than in the other masks: its indices are not theirs."""
    for index, colour in rule.colours:
        if raster.colours.get(index, colour) != colour:
            raise CaseError(
                f"mask {name} has the colour {raster.colours[index]} at palette index {index}, the other masks have "
                f"{colour}: an optimiser may have numbered its palette anew; write it with the palette of the others"
            )


def _binary(name: str, levels: Values, raster: Raster, rule: MaskRule) -> Mask:
    """The object of a binary mask; nothing but 0 and the top value is taken."""
    on: Mask = levels != 0
    if levels.dtype == np.uint8:
        # one pass less than comparing: all that is not 0 has to be the top value
        fits = bool(cv2.sumElems(levels)[0] == rule.top * cv2.countNonZero(levels))
    else:
        fits = bool((levels[on] == rule.top).all())
    if not fits:
        raise _broken(name, raster, rule)
    return on


def _broken(name: str, raster: Raster, rule: MaskRule) -> CaseError:
    """The error of a mask that breaks the rule."""
    held = list_shares(count_values(raster.values))
    ways = "write it with the same values, or set mask_cutoff or mask_values"
    return CaseError(f"mask {name} holds {held}; the masks of this data set hold {rule.text}; {ways}")


def _is_all_white(levels: Values) -> bool:
    """Whether a mask of 8 bits holds nothing but 0 and 255."""
    return levels.dtype == np.uint8 and bool(cv2.sumElems(levels)[0] == 255 * cv2.countNonZero(levels))


def _require_fit(name: str, levels: Values, counts: Mapping[float, int], raster: Raster, rule: MaskRule) -> None:
    """Refuse a mask of other values than the rule allows."""
    if not np.isfinite(levels).all():
        raise CaseError(f"mask {name} holds values that are not finite")
    if rule.kind == "soft":
        has_object = max(counts) > rule.cutoff or max(counts) <= NOISE * raster.is_lossy
        fits = has_object and is_along_contour(levels, raster.is_lossy, is_expected=True)
    elif rule.kind == "probabilities":
        fits = min(counts) >= 0 and max(counts) <= 1
    else:
        fits = max(counts) > rule.cutoff or max(counts) <= 0
    if not fits and rule.kind == "cutoff":
        raise CaseError(
            f"mask {name} has values {list_shares(count_values(raster.values))}, none above mask_cutoff = {rule.cutoff}"
        )
    if not fits:
        raise _broken(name, raster, rule)
