"""Find the one rule that says which mask values mean the object, from a seeded sample of the data set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import cv2
import numpy as np

from segqa.data.case import Target
from segqa.data.mask import Mask
from segqa.data.mask_io import (
    MANY,
    NOISE,
    Colour,
    MaskValues,
    Raster,
    Values,
    add_up,
    compute_share_between,
    count_values,
    is_along_contour,
    list_shares,
    scale_to_8_bits,
)
from segqa.errors import CaseError
from segqa.settings import ReadingSettings
from segqa.support.plurals import format_count, select_form

Kind: TypeAlias = Literal["binary", "soft", "probabilities", "cutoff", "values", "none"]

MIDDLE = 127
"""Above it, on the scale of 8 bits, is object, where values lie between object and background."""

_NOTED = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskRule:
    """The rule that says which values of a data set's mask files mean the object.

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
        """The rule in words; equal where masks are read in the same way."""
        more = ", 16 bits" * (self.white == 65535) + ", palette indices" * self.by_index
        return self._form + more + ", floats from 0 to 1" * (self.of_fractions and self.kind == "cutoff")

    @property
    def allowed(self) -> str:
        """The values that a mask may hold, for error messages."""
        is_scaled = self.white == 65535 and self.kind in {"binary", "soft"} and self.top == 255
        return self._form + " (65535 for 255 in files of 16 bits)" * is_scaled

    @property
    def _form(self) -> str:
        return {
            "binary": f"0 and {self.top}",
            "soft": "0 and 255, other values only along the contour (cut at 127)",
            "probabilities": "probabilities, object above 0.5",
            "cutoff": f"object above mask_cutoff = {self.cutoff}",
            "values": f"object where mask_values = {list(self.values)}",
            "none": "none",
        }[self.kind]

    @property
    def note(self) -> str:
        """The note in a run; empty for binary masks."""
        if self.kind == "none":
            return self.reason
        is_plain = self.kind == "binary" or (self.kind == "cutoff" and not self.about)
        return "" if is_plain else f"masks are read as {self.text}{self.about}"


def apply_mask_rule(name: str, raster: Raster, rule: MaskRule) -> Target:
    """Apply the rule of a data set to the values of a mask file.

    Args:
        name: of the file, for errors.
        raster: what it stores.
        rule: of its data set.

    Raises:
        CaseError: the file breaks the rule, or there is none; it names values and rule.
    """
    if rule.kind == "none":
        raise CaseError(f"mask {name} holds {list_shares(count_values(raster.values))}: {rule.reason}")
    levels = _get_levels(name, raster, rule)
    if rule.kind == "binary":
        return Target(_binarise(name, levels, raster, rule))
    if rule.kind == "values":
        return Target(np.isin(levels, rule.values))
    cutoff = 0.5 if rule.kind == "probabilities" else rule.cutoff
    if _is_all_white(levels):
        return Target(levels > cutoff)
    counts = count_values(levels)
    _require_fit(name, levels, counts, raster, rule)
    is_share = rule.kind == "probabilities" or (rule.of_fractions and raster.values.dtype.kind == "f")
    between = 0.0 if is_share else compute_share_between(counts)
    note = f"mask {name} is not binary: {between:.0%} of its values lie between 5 and 250" if between > _NOTED else ""
    return Target(levels > cutoff, note)


def _get_levels(name: str, raster: Raster, rule: MaskRule) -> Values:
    """Return the values of a mask file on the scale of the rule."""
    if raster.is_coloured and rule.kind != "cutoff":
        raise CaseError(
            f"mask {name} has colours; the masks of this data set hold {rule.allowed}; store it with one channel"
        )
    if raster.palette is not None:
        return _get_palette_levels(name, raster, rule)
    if rule.kind == "values" or (rule.kind == "binary" and rule.top == 1) or rule.kind == "probabilities":
        return raster.values
    if raster.values.dtype.kind == "f":
        return raster.values * 255 if rule.of_fractions else raster.values
    if raster.white != 65535:
        return scale_to_8_bits(raster.values, raster.white)
    if rule.white == 255 and raster.values.max(initial=0) > 255:
        raise _build_error(name, raster, rule)
    return scale_to_8_bits(raster.values, rule.white)


def _get_palette_levels(name: str, raster: Raster, rule: MaskRule) -> Values:
    """Return the indices of a palette file, or the grey values they stand for."""
    if rule.by_index:
        _require_colours(name, raster, rule)
        return raster.values
    if not raster.palette:
        raise CaseError(
            f"mask {name} is a palette file with colours; the masks of this data set hold {rule.allowed}; "
            "write it with the same values"
        )
    return np.array(raster.palette, np.uint8)[raster.values]


def _require_colours(name: str, raster: Raster, rule: MaskRule) -> None:
    """Refuse a palette in which an index has another colour than in the other masks."""
    for index, colour in rule.colours:
        if raster.colours.get(index, colour) != colour:
            raise CaseError(
                f"mask {name} has the colour {raster.colours[index]} at palette index {index}, the other masks have "
                f"{colour}: an optimiser may have numbered its palette anew; write it with the palette of the others"
            )


def _binarise(name: str, levels: Values, raster: Raster, rule: MaskRule) -> Mask:
    """Return the object of a binary mask; only 0 and the top value are accepted."""
    on: Mask = levels != 0
    if levels.dtype == np.uint8:
        # one pass less than comparing: all that is not 0 has to be the top value
        fits = bool(cv2.sumElems(levels)[0] == rule.top * cv2.countNonZero(levels))
    else:
        fits = bool((levels[on] == rule.top).all())
    if not fits:
        raise _build_error(name, raster, rule)
    return on


def _build_error(name: str, raster: Raster, rule: MaskRule) -> CaseError:
    """Build the error for a mask that breaks the rule."""
    held = list_shares(count_values(raster.values))
    form = "is a palette file with the indices" if raster.palette is not None and rule.by_index else "holds"
    ways = "write it with the same values, or set mask_cutoff or mask_values, which count for every mask"
    return CaseError(f"mask {name} {form} {held}; the masks of this data set hold {rule.allowed}; {ways}")


def _is_all_white(levels: Values) -> bool:
    """Return whether a mask of 8 bits holds only 0 and 255."""
    return levels.dtype == np.uint8 and bool(cv2.sumElems(levels)[0] == 255 * cv2.countNonZero(levels))


def _require_fit(name: str, levels: Values, counts: Mapping[float, int], raster: Raster, rule: MaskRule) -> None:
    """Refuse a mask with values that the rule does not allow."""
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
            f"mask {name} holds {list_shares(count_values(raster.values))}, none above mask_cutoff = {rule.cutoff} "
            "on the scale of 8 bits; write it on the scale of the other masks, or set a lower mask_cutoff"
        )
    if not fits:
        raise _build_error(name, raster, rule)


_AGREE = 0.9


def find_mask_rule(seen: Sequence[MaskValues], settings: ReadingSettings) -> MaskRule:
    """Find the rule for the sampled masks; settings decide first.

    Where nine of ten masks or more are of one form it is the rule, and the others are errors of their cases.
    """
    sample = _Sample.from_masks(seen)
    rule = MaskRule(kind="binary", white=sample.white, by_index=sample.by_index, colours=sample.find_colours())
    if settings.mask_values:
        return sample.find_chosen_rule(rule, settings.mask_values)
    if sample.is_of_units:
        return replace(rule, top=1)
    if settings.mask_cutoff is not None:
        return replace(rule, kind="cutoff", cutoff=settings.mask_cutoff, of_fractions=sample.has_fractions)
    return _find_sample_rule(sample, rule)


def _find_sample_rule(sample: _Sample, rule: MaskRule) -> MaskRule:
    """Find the rule where nothing is set and the object is not 1."""
    others = [each for each in sample.masks if not sample.is_full(each)]
    if sample.fits_most(sample.is_full) and not (others and all(map(sample.is_soft, others))):
        return rule
    if sample.has_fractions:
        about = "; mask_cutoff, from 0 to 254, sets another"
        return replace(rule, kind="probabilities", of_fractions=True, about=about)
    if sample.fits_most(lambda each: sample.is_full(each) or sample.is_soft(each)):
        soft = sum(map(sample.is_soft, others))
        masks, verb = format_count(len(sample.masks), "mask"), select_form(soft, "has", "have")
        about = f"; {soft} of {masks} looked at {verb} such values"
        return replace(rule, kind="soft", about=about)
    return replace(rule, kind="none", reason=sample.explain_refusal())


@dataclass(frozen=True, slots=True)
class _Sample:
    """The sampled masks that hold anything but 0.

    Attributes:
        masks: those that hold another value than 0.
        white: of 16-bit files, 255 where none of them holds more.
        by_index: whether the indices of palette files count: some have other colours than black and white.
    """

    masks: Sequence[MaskValues]
    white: int
    by_index: bool

    @classmethod
    def from_masks(cls, seen: Sequence[MaskValues]) -> _Sample:
        """Select them from all sampled masks."""
        is_wide = any(each.white == 65535 and max(each.raw, default=0) > 255 for each in seen)
        told = [each for each in seen if not each.is_blank]
        palettes = [each.palette for each in told if each.palette]
        by_index = palettes.count("grey") < _AGREE * len(palettes)
        return cls(told, 65535 if is_wide else 255, by_index)

    @property
    def is_of_units(self) -> bool:
        """Return whether the object is 1; files of one bit alone do not show it."""
        return bool(self.masks) and self.fits_most(self.is_unit) and not all(map(self.is_full, self.masks))

    @property
    def has_fractions(self) -> bool:
        """Return whether the masks are probabilities."""
        return any(each.is_fraction for each in self.masks) and self.fits_most(self.is_share)

    def fits_most(self, fits: Callable[[MaskValues], bool]) -> bool:
        """Return whether at least nine of ten masks satisfy a test."""
        return sum(map(fits, self.masks)) >= _AGREE * len(self.masks)

    def is_unit(self, mask: MaskValues) -> bool:
        """Return whether a mask stores only 0 and 1."""
        return not mask.is_coloured and set(self._counts(mask)) <= {0, 1}

    def is_full(self, mask: MaskValues) -> bool:
        """Return whether a mask holds only 0 and 255, on the scale of 8 bits."""
        return not mask.is_coloured and {self._scale(value, mask) for value in self._counts(mask)} <= {0, 255}

    def is_soft(self, mask: MaskValues) -> bool:
        """Return whether other values are only along the contour."""
        return mask.is_soft and not mask.is_coloured and not self.is_full(mask)

    def is_share(self, mask: MaskValues) -> bool:
        """Return whether all values are between 0 and 1."""
        return not mask.is_coloured and all(0 <= value <= 1 for value in self._counts(mask))

    def find_chosen_rule(self, rule: MaskRule, values: tuple[int, ...]) -> MaskRule:
        """Build the rule for chosen values; some must occur, and a note names what becomes background."""
        total = add_up(map(self._counts, self.masks))
        if total and not set(values) & set(total):
            reason = f"the masks of this data set hold {list_shares(total)}, none of mask_values = {list(values)}"
            return replace(rule, kind="none", reason=reason)
        others = {value: count for value, count in total.items() if value not in values}
        about = f"; background: {list_shares(others, sum(total.values()))}" if others else ""
        about += " (255 often means ignore, but counts as background)" * (255 in others)
        return replace(rule, kind="values", values=values, about=about)

    def find_colours(self) -> tuple[tuple[int, Colour], ...]:
        """Return the colour of each palette index in most masks, where indices are used."""
        votes: dict[int, Counter[Colour]] = {}
        for mask in self.masks if self.by_index else ():
            for index, colour in mask.colours.items():
                votes.setdefault(index, Counter())[colour] += 1
        return tuple((index, votes[index].most_common(1)[0][0]) for index in sorted(votes))

    def explain_refusal(self) -> str:
        """Explain why no mask can be read, and what to do."""
        if any(each.is_coloured for each in self.masks):
            return (
                "the masks of this data set have colours; expected one channel with two values "
                "(mask_cutoff = 127 cuts their brightness)"
            )
        total = add_up(map(self._counts, self.masks))
        what = "palette indices " * self.by_index
        if len(total) >= MANY:
            return (
                f"the masks of this data set hold {len(total)} different {what or 'values '}from {min(total):.4g} to "
                f"{max(total):.4g}, not only along contours; set mask_cutoff: object is above it (0 for any value)"
            )
        is_mixed = all(self.is_unit(each) or self.is_full(each) for each in self.masks)
        hint = "; some hold 0 and 1 and others 0 and 255: write all alike" * is_mixed
        ignored = " (255 often means ignore)" * (255 in total)
        return (
            f"the masks of this data set are a label map with {what}{list_shares(total)}{ignored}{hint}; set "
            "mask_values to those that mean the object, or mask_cutoff = 0 if all but 0 do"
        )

    def _counts(self, mask: MaskValues) -> Mapping[float, int]:
        return mask.raw if self.by_index else mask.greys

    def _scale(self, value: float, mask: MaskValues) -> float:
        """Scale a value to 8 bits."""
        if mask.palette:
            return value
        if mask.white == 65535:
            return value / 257 if self.white == 65535 else value
        return value * (255 // mask.white)
