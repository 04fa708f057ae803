"""The demo: a small data set that ships with segqa, for a first run without a download."""

from __future__ import annotations

from pathlib import Path

from segqa.data.dataset import Dataset
from segqa.data.folder import open_folder

NAME_PATTERN = r"(?P<action>[^_]+)_(?P<sequence>[^_]+)_(?P<camera>C\d+)_"
"""Finds the tags of a case in the name of its image."""

_STUDIO = Path(__file__).parent / "studio"


def open_studio() -> Dataset:
    """Open the data set `studio`: 48 rendered images of a dancer in a cluttered room, taken by four cameras.

    Every image of camera C2 also shows a mannequin that looks like a person and is not part of the target. The images
    are JPEG files of 384 × 512 pixels, the masks are binary PNG files; no pixel is read until a case is.

    >>> len(open_studio())
    48
    """
    return open_folder(_STUDIO, name_pattern=NAME_PATTERN)
