"""`UNet`: the classic U-Net architecture for RGB images and one output channel.

After Ronneberger, Fischer and Brox, "U-Net: Convolutional Networks for Biomedical Image Segmentation" (2015), with
batch norm, padded convolutions and spatial dropout.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from huggingface_hub import PyTorchModelHubMixin
from torch import Tensor, nn
from torch.nn import functional

_STRIDE = 16
_DROPOUT = 0.2


class UNet(
    nn.Module,
    PyTorchModelHubMixin,
    library_name="segqa",
    pipeline_tag="image-segmentation",
    tags=["semantic-segmentation", "pytorch"],
):
    """A U-Net with four levels; its checkpoints have the layout of the Hugging Face hub.

    Args:
        width: channels of the first level; each level below has twice as many, the bottom 16 times.
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(5)]
        self.down = nn.ModuleList(
            _build_double_convolution(before, after) for before, after in zip([3, *widths[:3]], widths[:4], strict=True)
        )
        self.bottom = _build_double_convolution(widths[3], widths[4])
        self.up = nn.ModuleList(nn.ConvTranspose2d(2 * level, level, 2, stride=2) for level in reversed(widths[:4]))
        self.join = nn.ModuleList(_build_double_convolution(2 * level, level) for level in reversed(widths[:4]))
        self.head = nn.Conv2d(width, 1, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Return one logit a pixel, `[N, 1, H, W]`, for images `[N, 3, H, W]` of any size.

        Images whose size is not divisible by 16 are padded with their edge, and the logits are cropped.
        """
        height, width = images.shape[-2:]
        padding = (0, -width % _STRIDE, 0, -height % _STRIDE)
        level = functional.pad(images, padding, mode="replicate") if any(padding) else images
        skipped = []
        for block in self.down:
            level = block(level)
            skipped.append(level)
            level = functional.max_pool2d(level, 2)
        level = self.bottom(level)
        for enlarge, block, skip in zip(self.up, self.join, reversed(skipped), strict=True):
            level = block(torch.cat([skip, enlarge(level)], dim=1))
        logits: Tensor = self.head(level)
        return logits[..., :height, :width]

    def _save_pretrained(self, save_directory: Path) -> None:
        """Save the weights, and a configuration that names the class, as segmentation_models_pytorch does."""
        super()._save_pretrained(save_directory)
        config = {**(self._hub_mixin_config or {}), "_model_class": type(self).__name__}  # type: ignore[dict-item]
        text = json.dumps(config, sort_keys=True, indent=2)
        (save_directory / "config.json").write_text(text, encoding="utf-8")


def _build_double_convolution(before: int, after: int) -> nn.Sequential:
    """Return two convolutions that keep the size, with spatial dropout between them."""
    return nn.Sequential(*_build_convolution(before, after), nn.Dropout2d(_DROPOUT), *_build_convolution(after, after))


def _build_convolution(before: int, after: int) -> list[nn.Module]:
    # batch norm has its own bias
    return [nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU(inplace=True)]
