"""The mask sample: the masks of a data set that its rule is found from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from segqa.datasets.mask_rule import MaskRule
from segqa.datasets.mask_values import MANY, MaskValues, add_up, list_shares
from segqa.datasets.raster import Colour
from segqa.settings import ReadingSettings

_AGREE = 0.9


def find_mask_rule(seen: Sequence[MaskValues], settings: ReadingSettings) -> MaskRule:
    """Find the rule for the masks that were looked at; settings decide first.

    Where nine of ten masks or more are of one form it is the rule, and the others are errors of their cases.
    """
    sample = _Sample.of(seen)
    rule = MaskRule(kind="binary", white=sample.white, by_index=sample.by_index, colours=sample.colours())
    if settings.mask_values:
        return sample.rule_of_values(rule, settings.mask_values)
    if sample.is_of_units:
        return replace(rule, top=1)
    if settings.mask_cutoff is not None:
        return replace(rule, kind="cutoff", cutoff=settings.mask_cutoff, of_fractions=sample.has_fractions)
    return _rule_of_sample(sample, rule)


def _rule_of_sample(sample: _Sample, rule: MaskRule) -> MaskRule:
    """The rule where nothing is set and the object is not 1."""
    others = [each for each in sample.masks if not sample.is_full(each)]
    if sample.most(sample.is_full) and not (others and all(map(sample.is_soft, others))):
        return rule
    if sample.has_fractions:
        about = "; mask_cutoff, from 0 to 254, sets another"
        return replace(rule, kind="probabilities", of_fractions=True, about=about)
    if sample.most(lambda each: sample.is_full(each) or sample.is_soft(each)):
        about = f"; {sum(map(sample.is_soft, others))} of {len(sample.masks)} masks looked at have such values"
        return replace(rule, kind="soft", about=about)
    return replace(rule, kind="none", reason=sample.refusal())


@dataclass(frozen=True, slots=True)
class _Sample:
    """The masks that tell something.

    Attributes:
        masks: those that hold another value than 0.
        white: of 16-bit files, 255 where none of them holds more.
        by_index: whether the indices of palette files count: some have other colours than black and white.
    """

    masks: Sequence[MaskValues]
    white: int
    by_index: bool

    @classmethod
    def of(cls, seen: Sequence[MaskValues]) -> _Sample:
        """Of all masks that were looked at."""
        is_wide = any(each.white == 65535 and max(each.raw, default=0) > 255 for each in seen)
        told = [each for each in seen if not each.is_blank]
        palettes = [each.palette for each in told if each.palette]
        by_index = palettes.count("grey") < _AGREE * len(palettes)
        return cls(told, 65535 if is_wide else 255, by_index)

    @property
    def is_of_units(self) -> bool:
        """Whether the object is 1: files of one bit alone do not say so."""
        return bool(self.masks) and self.most(self.is_unit) and not all(map(self.is_full, self.masks))

    @property
    def has_fractions(self) -> bool:
        """Whether masks are probabilities."""
        return any(each.is_fraction for each in self.masks) and self.most(self.is_share)

    def most(self, fits: Callable[[MaskValues], bool]) -> bool:
        """Whether nine of ten masks or more fit."""
        return sum(map(fits, self.masks)) >= _AGREE * len(self.masks)

    def is_unit(self, mask: MaskValues) -> bool:
        """Whether a mask holds 0 and 1 only, as its file stores them."""
        return not mask.is_coloured and set(self._counts(mask)) <= {0, 1}

    def is_full(self, mask: MaskValues) -> bool:
        """Whether a mask holds 0 and 255 only, on the scale of 8 bits."""
        return not mask.is_coloured and {self._scaled(value, mask) for value in self._counts(mask)} <= {0, 255}

    def is_soft(self, mask: MaskValues) -> bool:
        """Whether it holds other values, but only along the contour."""
        return mask.is_soft and not mask.is_coloured and not self.is_full(mask)

    def is_share(self, mask: MaskValues) -> bool:
        """Whether all values lie between 0 and 1."""
        return not mask.is_coloured and all(0 <= value <= 1 for value in self._counts(mask))

    def rule_of_values(self, rule: MaskRule, values: tuple[int, ...]) -> MaskRule:
        """The rule where the user has chosen values: some must be there, and what becomes background is said."""
        total = add_up(map(self._counts, self.masks))
        if total and not set(values) & set(total):
            reason = f"the masks of this data set hold {list_shares(total)}, none of mask_values = {list(values)}"
            return replace(rule, kind="none", reason=reason)
        others = {value: count for value, count in total.items() if value not in values}
        about = f"; background: {list_shares(others, sum(total.values()))}" if others else ""
        return replace(rule, kind="values", values=values, about=about)

    def colours(self) -> tuple[tuple[int, Colour], ...]:
        """The colour that each palette index has in most masks, where indices count."""
        votes: dict[int, Counter[Colour]] = {}
        for mask in self.masks if self.by_index else ():
            for index, colour in mask.colours.items():
                votes.setdefault(index, Counter())[colour] += 1
        return tuple((index, votes[index].most_common(1)[0][0]) for index in sorted(votes))

    def refusal(self) -> str:
        """Why no mask can be read, and what to do."""
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

    def _scaled(self, value: float, mask: MaskValues) -> float:
        """A value on the scale of 8 bits."""
        if mask.palette:
            return value
        if mask.white == 65535:
            return value / 257 if self.white == 65535 else value
        return value * (255 // mask.white)
