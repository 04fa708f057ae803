"""A change is something that is done to an image, more of it with each severity, and what a model should make of it.

The words are CheckList's (Ribeiro et al., ACL 2020): under an invariance (INV) the answer stays, under a directional
expectation (DIR) the score moves one way at most, a minimum functionality (MFT) is a simple case that must be right.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, TypeAlias, get_args

import numpy as np

from segqa.analysis.robustness.geometric import GEOMETRIC_MAPS, warp_image, warp_mask
from segqa.data.mask import Image, Mask, bounding_box
from segqa.errors import SettingsError
from segqa.models.corruptions import distort, distortion
from segqa.settings.checks import nearest

PERTURBATIONS_VERSION = 1
"""Goes up whenever the same change of the same image would give other pixels."""

Behaviour: TypeAlias = Literal["MFT", "INV", "DIR"]
"""What is expected of a model: a minimum functionality, an invariance, a direction."""

BEHAVIOURS: tuple[Behaviour, ...] = get_args(Behaviour)


@dataclass(frozen=True, slots=True)
class Perturbation:
    """Something that is done to an image.

    Attributes:
        name: of the change.
        behaviour: what is expected of a model.
        capability: what a model has to cope with.
        amounts: how much of it, by severity from 1 on.
        told: what the amount is, with `{}` in its place.
        empties: whether nothing is left, so that the target is empty.
        needs_target: whether it depends on where the object is.
    """

    name: str
    behaviour: Behaviour
    capability: str
    amounts: tuple[float, ...]
    template: str
    empties: bool = False
    needs_target: bool = False

    @property
    def is_geometric(self) -> bool:
        """Whether pixels move, so that masks move along."""
        return self.name in GEOMETRIC_MAPS

    @property
    def severities(self) -> tuple[int, ...]:
        """From 1 to as many as there are."""
        return tuple(range(1, len(self.amounts) + 1))

    def amount(self, severity: int) -> float:
        """How much of it.

        Raises:
            SettingsError: there is no such severity.
        """
        if severity not in self.severities:
            raise SettingsError(f"severity of {self.name} must be from 1 to {len(self.amounts)}, got {severity}")
        return self.amounts[severity - 1]

    def describe(self, severity: int) -> str:
        """What is done at a severity, in words.

        >>> find_perturbation("jpeg").describe(3)
        'JPEG of quality 10'
        """
        return self.template.format(f"{self.amount(severity):g}")

    def image(self, severity: int, image: Image, target: Mask, seed: int = 0) -> Image:
        """The changed image, RGB uint8; of another size only where there is padding.

        Args:
            severity: from 1 on.
            image: RGB uint8 `[H, W, 3]`; is not changed.
            target: bool `[H, W]`.
            seed: of what is random.
        """
        amount = self.amount(severity)
        if self.name in _OWN:
            return _OWN[self.name](image, target, amount)
        if self.is_geometric:
            return warp_image(self.name, amount, image)
        return distort(distortion(self.name, amount, (image.shape[0], image.shape[1]), seed), image)

    def mask(self, severity: int, mask: Mask) -> tuple[Mask, Mask]:
        """A mask of the unchanged image as it lies in the changed one, and which pixels have been in both.

        Args:
            severity: from 1 on.
            mask: bool `[H, W]`.
        """
        if not self.is_geometric:
            return mask, np.ones_like(mask)
        return warp_mask(self.name, self.amount(severity), mask)


def find_perturbation(name: str) -> Perturbation:
    """The change of a name.

    Raises:
        SettingsError: there is none; says which is nearest.
    """
    found = {change.name: change for change in PERTURBATIONS}
    if name not in found:
        raise SettingsError(f"unknown change {name!r}; {nearest(name, found)}")
    return found[name]


def _swap(image: Image, _target: Mask, _amount: float) -> Image:
    """Red and blue exchanged."""
    return np.ascontiguousarray(image[:, :, ::-1])


def _occlude(image: Image, target: Mask, amount: float) -> Image:
    """A grey bar over the lower part of the target's box; where there is no object there is no bar."""
    rows, columns = bounding_box(target)
    covered = image.copy()
    covered[rows.stop - round(amount * (rows.stop - rows.start)) : rows.stop, columns] = 127
    return covered


def _blank(image: Image, _target: Mask, amount: float) -> Image:
    """One grey all over."""
    return np.full_like(image, round(255 * amount))


_OWN: Mapping[str, Callable[[Image, Mask, float], Image]] = MappingProxyType(
    {"channel_swap": _swap, "occlusion": _occlude, "blank": _blank}
)

PERTURBATIONS = (
    Perturbation("flip", "INV", "geometry", (1,), "mirrored"),
    Perturbation("shift", "INV", "geometry", (0.02, 0.05, 0.1), "shifted by {} of each side"),
    Perturbation("scale", "INV", "geometry", (1.05, 1.15, 1.3), "enlarged {} times"),
    Perturbation("padding", "INV", "geometry", (0.05, 0.1, 0.2), "black bars of {} of each side"),
    Perturbation("brightness", "INV", "lighting", (0.1, 0.2, 0.35), "brighter by {} of white"),
    Perturbation("contrast", "INV", "lighting", (0.75, 0.5, 0.3), "{} of the contrast"),
    Perturbation("gamma", "INV", "lighting", (1.3, 1.8, 2.5), "darker, gamma {}"),
    Perturbation("grayscale", "INV", "colour", (0.5, 0.25, 0.0), "{} of the saturation"),
    Perturbation("jpeg", "INV", "compression", (50, 25, 10), "JPEG of quality {}"),
    Perturbation("blur", "INV", "sharpness", (0.001, 0.002, 0.004), "blurred by {} of the diagonal"),
    Perturbation("noise", "INV", "noise", (0.03, 0.06, 0.12), "noise of {} of white"),
    Perturbation(
        "occlusion", "DIR", "occlusion", (0.15, 0.3, 0.45), "{} of the object's box covered", needs_target=True
    ),
    Perturbation("channel_swap", "DIR", "colour", (1,), "red and blue exchanged"),
    Perturbation("blank", "MFT", "emptiness", (0.0, 0.5, 1.0), "nothing but a grey of {}", empties=True),
)
"""All that is tried."""
