"""The training images: the cases of a data set, decoded once, resized and kept in memory.

What is done to a picture depends on the seed, the epoch and its place alone, so that a training that was interrupted
goes on with the same batches.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from segqa.data.case import Case
from segqa.data.dataset import Dataset
from segqa.data.remote_folder import prefetch
from segqa.errors import CaseError, DatasetError
from segqa.models import transforms
from segqa.models.transforms import Transform

Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class TrainingImages:
    """Images and masks at the training size.

    Attributes:
        ids: of the cases, in order.
        images: RGB uint8 `[N, size, size, 3]`.
        masks: bool `[N, size, size]`.
        digest: a hex digest of ids, images and masks as they were read.
    """

    ids: tuple[str, ...]
    images: NDArray[np.uint8]
    masks: NDArray[np.bool_]
    digest: str

    def __len__(self) -> int:
        return len(self.ids)

    def batch(self, indices: Indices, transform: Transform, seeds: Indices | None = None) -> tuple[Tensor, Tensor]:
        """Images float32 `[n, 3, size, size]` and masks float32 `[n, 1, size, size]` of the cases with these indices.

        Args:
            indices: which ones.
            transform: done to each.
            seeds: what the transform draws its chance from, one an index; not needed where there is none.
        """
        images, masks = [], []
        for place, index in enumerate(indices):
            if seeds is not None:
                transform.set_random_seed(int(seeds[place]))
            changed = transform(image=self.images[index], mask=self.masks[index].view(np.uint8))
            images.append(changed["image"].transpose(2, 0, 1))
            masks.append(changed["mask"][None])
        return torch.from_numpy(np.stack(images)), torch.from_numpy(np.stack(masks).astype(np.float32))


def read_images(dataset: Dataset, size: int, *, title: str) -> TrainingImages:
    """Decode and scale all cases, with a bar.

    Raises:
        DatasetError: a case cannot be read, or its mask has not the size of its image.
    """
    images = np.empty((len(dataset), size, size, 3), np.uint8)
    masks = np.empty((len(dataset), size, size), np.bool_)
    digest = hashlib.sha256()
    resize = transforms.build_resizing(size)
    with prefetch(dataset):
        for index, case in enumerate(tqdm(dataset, desc=title, unit=" cases", leave=False, disable=None)):
            images[index], masks[index] = _read(case, resize)
            for part in (case.id.encode(), images[index], masks[index]):
                digest.update(part)
    return TrainingImages(tuple(dataset.ids), images, masks, digest.hexdigest()[:32])


def iterate_batches(count: int, batch_size: int, seed: int, epoch: int) -> Iterator[tuple[Indices, Indices]]:
    """The batches of one epoch, shuffled: which cases, and a seed for each one's augmentation."""
    draw = np.random.default_rng([seed, epoch])
    order, seeds = draw.permutation(count), draw.integers(2**32, size=count)
    for start in range(0, count, batch_size):
        chosen = order[start : start + batch_size]
        yield chosen, seeds[chosen]


def _read(case: Case, resize: Transform) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    try:
        image, mask = case.image(), case.target()
    except CaseError as error:
        raise DatasetError(f"cannot train on case {case.id!r}: {error}") from error
    if image.shape[:2] != mask.shape:
        came = f"mask {mask.shape}, image {image.shape[:2]}"
        raise DatasetError(f"cannot train on case {case.id!r}: mask and image must have the same size, got {came}")
    resized = resize(image=image, mask=mask.view(np.uint8))
    return resized["image"], resized["mask"].view(np.bool_)
