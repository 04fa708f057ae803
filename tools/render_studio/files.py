"""Write scenes as files of a folder data set: `images/*.jpg` and `masks/*.png`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from PIL import Image

from tools.render_studio.scene import render_scene

QUALITY = 92
"""JPEG quality of the images; `docs/decisions/the-studio.md` compares it with others."""


def write_scenes(folder: Path, names: Iterable[str]) -> None:
    """Render scenes and write them to `images/` and `masks/` in a folder.

    Images are JPEG without chroma subsampling, so that decoders have nothing to interpolate and agree on the pixels.
    Masks are PNG with one bit a pixel.

    Args:
        folder: is created if it does not exist; files of the same names are overwritten.
        names: of the scenes, see `scene.scene_names`.

    Raises:
        ValueError: there is no scene of that name.
    """
    images, masks = folder / "images", folder / "masks"
    for part in (images, masks):
        part.mkdir(parents=True, exist_ok=True)
    for name in names:
        scene = render_scene(name)
        Image.fromarray(scene.image).save(images / f"{name}.jpg", quality=QUALITY, subsampling=0, optimize=True)
        Image.fromarray(scene.target).save(masks / f"{name}.png", optimize=True)
