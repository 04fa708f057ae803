"""Define the perturbations of images, their severities and the behaviour expected of a model.

The terms are from CheckList (Ribeiro et al., ACL 2020): under an invariance (INV) the answer stays the same, under a
directional expectation (DIR) the score may move one way only, and a minimum functionality test (MFT) is a simple case
that must be right.
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
from segqa.models.image_corruptions import apply_corruption, build_corruption
from segqa.settings.checks import nearest

PERTURBATIONS_VERSION = 1
"""Increase this number whenever a perturbation of the same image would give other pixels."""

Behaviour: TypeAlias = Literal["MFT", "INV", "DIR"]
"""Expected behaviour: minimum functionality, invariance or directional expectation."""

BEHAVIOURS: tuple[Behaviour, ...] = get_args(Behaviour)


@dataclass(frozen=True, slots=True)
class Perturbation:
    """A perturbation of an image at one or more severities.

    Attributes:
        name: name of the perturbation.
        behaviour: the behaviour expected of a model.
        capability: the capability that it tests.
        amounts: strength by severity, from 1.
        template: description with `{}` in place of the amount.
        empties: whether it removes the object, so that the target is empty.
        needs_target: whether it depends on the position of the object.
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
        """Whether it moves pixels, so that masks have to be warped."""
        return self.name in GEOMETRIC_MAPS

    @property
    def severities(self) -> tuple[int, ...]:
        """The severities, from 1."""
        return tuple(range(1, len(self.amounts) + 1))

    def amount(self, severity: int) -> float:
        """Return the strength at a severity.

        Raises:
            SettingsError: there is no such severity.
        """
        if severity not in self.severities:
            raise SettingsError(f"severity of {self.name} must be from 1 to {len(self.amounts)}, got {severity}")
        return self.amounts[severity - 1]

    def describe(self, severity: int) -> str:
        """Describe the perturbation at a severity.

        >>> find_perturbation("jpeg").describe(3)
        'JPEG of quality 10'
        """
        return self.template.format(f"{self.amount(severity):g}")

    def image(self, severity: int, image: Image, target: Mask, seed: int = 0) -> Image:
        """Return the perturbed image, RGB uint8; only padding changes its size.

        Args:
            severity: from 1.
            image: RGB uint8 `[H, W, 3]`; not modified.
            target: bool `[H, W]`.
            seed: seed of random perturbations.
        """
        amount = self.amount(severity)
        if self.name in _OWN:
            return _OWN[self.name](image, target, amount)
        if self.is_geometric:
            return warp_image(self.name, amount, image)
        return apply_corruption(build_corruption(self.name, amount, (image.shape[0], image.shape[1]), seed), image)

    def mask(self, severity: int, mask: Mask) -> tuple[Mask, Mask]:
        """Return a mask warped into the perturbed image, and the mask of the pixels that both images share.

        Args:
            severity: from 1.
            mask: bool `[H, W]`.
        """
        if not self.is_geometric:
            return mask, np.ones_like(mask)
        return warp_mask(self.name, self.amount(severity), mask)


def find_perturbation(name: str) -> Perturbation:
    """Return the perturbation with a name.

    Raises:
        SettingsError: the name is unknown; the message suggests the nearest one.
    """
    found = {change.name: change for change in PERTURBATIONS}
    if name not in found:
        raise SettingsError(f"unknown change {name!r}; {nearest(name, found)}")
    return found[name]


def _swap(image: Image, _target: Mask, _amount: float) -> Image:
    """Swap red and blue."""
    return np.ascontiguousarray(image[:, :, ::-1])


def _occlude(image: Image, target: Mask, amount: float) -> Image:
    """Cover the lower part of the bounding box of the target with grey; do nothing without an object."""
    rows, columns = bounding_box(target)
    covered = image.copy()
    covered[rows.stop - round(amount * (rows.stop - rows.start)) : rows.stop, columns] = 127
    return covered


def _blank(image: Image, _target: Mask, amount: float) -> Image:
    """Return an image of one grey value."""
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
"""All perturbations."""
