#!/usr/bin/env bash
# Lossless PNG optimisers renumber label maps: they keep the colours, and an index is no colour.
#
# pyoxipng 9.1.1 (oxipng) drops unused palette entries, so the classes 0, 7, 15 and 255 of a palette file become
# 0, 1, 2 and 3. zopfli 0.4.3 (zopflipng) also turns a *grey* label map into a palette file: an array read by Pillow
# then holds positions. Guess before the run: a lossless optimiser changes the bytes of the file, never the ids.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check numpy==2.3.5 pillow==13.0.0 pyoxipng==9.1.1 zopfli==0.4.3
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
from pathlib import Path

import numpy as np
import oxipng
from PIL import Image
from zopfli import png as zopflipng

labels = np.zeros((64, 80), np.uint8)
labels[5:30, 5:30], labels[35:60, 40:70], labels[30:34] = 7, 15, 255
colours = np.random.default_rng(0).permutation(256 * 3 * 10)[: 256 * 3].reshape(256, 3) % 256


def ids(path):
    return np.unique(np.asarray(Image.open(path))).tolist()


palette = Image.new("P", (80, 64))
palette.putdata(labels.ravel().tolist())
palette.putpalette(colours.ravel().tolist())
palette.save("palette.png")
Image.fromarray(labels).save("grey.png")
seen = {"as saved": (ids("palette.png"), ids("grey.png"))}
for name in ("palette", "grey"):
    oxipng.optimize(f"{name}.png", f"{name}-oxipng.png")
    Path(f"{name}-zopfli.png").write_bytes(zopflipng.optimize(Path(f"{name}.png").read_bytes()))
for tool in ("oxipng", "zopfli"):
    seen[tool] = ids(f"palette-{tool}.png"), ids(f"grey-{tool}.png")
    same = [
        np.array_equal(Image.open(f"{name}.png").convert("RGB"), Image.open(f"{name}-{tool}.png").convert("RGB"))
        for name in ("palette", "grey")
    ]
    assert same == [True, True], "the colours have changed"
for tool, (in_palette, in_grey) in seen.items():
    print(f"{tool}: ids of the palette file {in_palette}, of the grey file {in_grey}")
assert seen["as saved"] == ([0, 7, 15, 255], [0, 7, 15, 255]), seen
assert seen["oxipng"] == ([0, 1, 2, 3], [0, 7, 15, 255]), seen
assert seen["zopfli"] == ([0, 1, 2, 3], [0, 1, 2, 3]), seen
print("unchanged: both renumber palette files, zopfli also makes a palette file of a grey one; all colours are the same")
PYTHON
