"""Property-based laws for models, that is, for anything with `predict(images, prompts)`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from segqa.data.mask import Image
from segqa.models.protocol import Model, Proposals
from segqa.testing.contract import Law, attempt_call, build_plain_law, enforce, format_error

HUGE = (2400, 3200)
"""Height and width of a typical camera image."""


def check_model(
    model: Model, *, images: Sequence[Image] = (), prompt: str = "person.", leave_out: Collection[str] = ()
) -> None:
    """Check that a model fulfils what evaluations rely on.

    Args:
        model: any object with `predict(images, prompts)`.
        images: RGB uint8 `[H, W, 3]`, preferably real ones; synthetic ones by default.
        prompt: the thing to segment.
        leave_out: names of laws to skip, see `model_laws`.

    Raises:
        BrokenLawError: a law does not hold.
    """
    enforce(model_laws(model, images=images, prompt=prompt), leave_out)


def model_laws(model: Model, *, images: Sequence[Image] = (), prompt: str = "person.") -> dict[str, Law]:
    """Return the laws of `check_model` by name."""
    trial = _Trial(model, list(images) or render_test_images(), prompt)
    grey = np.repeat(trial.images[0].mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2)
    rules: dict[str, Callable[[], str | None]] = {
        "one answer an image, masks at its size, scores known": trial.answers_each,
        "the same image gives the same answer": trial.answers_again,
        "a batch answers as one by one": trial.answers_alone_as_in_a_batch,
        "images are left unchanged": trial.leaves_images_alone,
        "a read-only image is answered": trial.answers_read_only,
        "no image gives no answer": trial.answers_nothing,
        "an image of one pixel is answered": lambda: trial.answers(np.full((1, 1, 3), 128, np.uint8)),
        "a grey image is answered": lambda: trial.answers(grey),
        "a huge image is answered": lambda: trial.answers(_render_scene(HUGE)),
    }
    return {name: build_plain_law(name, rule) for name, rule in rules.items()}


@dataclass(frozen=True)
class _Trial:
    """A model under test. Each check returns a description of the fault, or None."""

    model: Model
    images: list[Image]
    prompt: str

    def ask(self, images: Sequence[Image]) -> tuple[list[Proposals], str]:
        """Return the answers to copies of some images, and the fault in them, if any."""
        found, error = attempt_call(self.model.predict, [image.copy() for image in images], [self.prompt] * len(images))
        problem = f"predict raised {format_error(error)}" if error is not None else _find_faults(found, images)
        return (list(found), "") if problem is None else ([], problem)

    def answers(self, image: Image) -> str | None:
        return self.ask([image])[1] or None

    def answers_each(self) -> str | None:
        return next((fault for image in self.images if (fault := self.answers(image))), None)

    def answers_again(self) -> str | None:
        (one, problem), (other, later) = self.ask(self.images[:1]), self.ask(self.images[:1])
        return problem or later or _describe_difference(one[0], other[0])

    def answers_alone_as_in_a_batch(self) -> str | None:
        together, problem = self.ask(self.images)
        if problem:
            return f"a batch of {len(self.images)}: {problem}"
        for index, image in enumerate(self.images):
            alone, problem = self.ask([image])
            if problem or (difference := _describe_difference(alone[0], together[index])):
                return f"image {index} of {len(self.images)}, alone and in the batch: {problem or difference}"
        return None

    def leaves_images_alone(self) -> str | None:
        given = [image.copy() for image in self.images]
        attempt_call(self.model.predict, given, [self.prompt] * len(given))
        changed = [index for index, image in enumerate(self.images) if not np.array_equal(image, given[index])]
        return f"image {changed[0]} has been changed" if changed else None

    def answers_read_only(self) -> str | None:
        image = self.images[0].copy()
        image.flags.writeable = False
        found, error = attempt_call(self.model.predict, [image], [self.prompt])
        return f"predict raised {format_error(error)}" if error is not None else _find_faults(found, [image])

    def answers_nothing(self) -> str | None:
        found, error = attempt_call(self.model.predict, [], [])
        if error is not None:
            return f"predict raised {format_error(error)}"
        return None if isinstance(found, Sequence) and len(found) == 0 else f"came {found!r}, expected []"


def render_test_images() -> list[Image]:
    """Return synthetic images of several sizes, each with an object."""
    return [_render_scene(shape) for shape in ((96, 64), (64, 96), (50, 50), (33, 71))]


def _render_scene(shape: tuple[int, int]) -> Image:
    """Return an image of a bright ellipse on a gradient."""
    height, width = shape
    rows, columns = np.mgrid[:height, :width]
    inside = ((rows - height / 2) / (height / 3)) ** 2 + ((columns - width / 2) / (width / 5)) ** 2 < 1
    ramp = (columns * 90 // width + 30).astype(np.uint8)
    return np.where(inside[:, :, None], np.array([230, 200, 60], np.uint8), ramp[:, :, None])


def _find_faults(answers: Any, images: Sequence[Image]) -> str | None:
    """Return the first fault in the answers to some images, if any."""
    if not isinstance(answers, Sequence) or len(answers) != len(images):
        came = f"{len(answers)} answers" if isinstance(answers, Sequence) else type(answers).__name__
        return f"came {came} for {len(images)} images, expected a list with one Proposals each"
    return next((fault for pair in zip(answers, images, strict=True) if (fault := _find_fault(*pair))), None)


def _find_fault(offered: Any, image: Image) -> str | None:
    height, width = image.shape[:2]
    where = f"an image of {width} × {height}: "
    if not isinstance(offered, Proposals):
        return f"{where}came {type(offered).__name__}, expected segqa.Proposals"
    if offered.masks.shape[1:] != (height, width):
        return f"{where}masks of shape {offered.masks.shape[1:]}, expected {(height, width)}"
    for name, scores in (("mask_scores", offered.mask_scores), ("box_scores", offered.box_scores)):
        infinite = np.isinf(scores)
        if infinite.any():
            return f"{where}{name} {scores[infinite][0]} is not finite"
        if np.isnan(scores).any():
            return f"{where}{name} has a NaN"
    return None


def _describe_difference(one: Proposals, other: Proposals) -> str | None:
    """Return the difference between two answers beyond rounding errors, if any."""
    if len(one) != len(other):
        return f"{len(one)} and {len(other)} masks"
    changed = np.count_nonzero(one.masks != other.masks)
    # float32 sums depend on the batch size, so a pixel at the cutoff may flip
    if changed > max(1, one.masks.size // 1000):
        return f"{changed} pixels differ"
    for name in ("mask_scores", "box_scores"):
        if not np.allclose(getattr(one, name), getattr(other, name), atol=1e-3, equal_nan=True):
            return f"{name} {getattr(one, name)} and {getattr(other, name)}"
    return None
