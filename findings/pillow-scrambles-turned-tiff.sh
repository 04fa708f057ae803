#!/usr/bin/env bash
# Pillow 13.0: a TIFF whose orientation exchanges its sides is scrambled when it is opened by its path.
#
# Scanners and cameras write uncompressed TIFF files with an orientation tag. Pillow maps such a file into memory where it is
# given a path, and then mistakes width for height. The same bytes from a file object, or compressed, are right.
# Guess before the run: a path and a file object give the same pixels.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check numpy==2.3.5 pillow==13.0.0
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import numpy as np
from PIL import Image

stored = np.zeros((80, 64), np.uint8)
stored[:10, :20] = 255
exif = Image.Exif()
exif[0x0112] = 6  # turned a quarter to the right
upright = np.rot90(stored, -1)
for name, options in (("plain", {}), ("lzw", {"compression": "tiff_lzw"})):
    Image.fromarray(stored).save(f"{name}.tif", exif=exif, **options)
seen = {}
for name in ("plain", "lzw"):
    by_path = np.asarray(Image.open(f"{name}.tif"))
    with open(f"{name}.tif", "rb") as file:
        by_file = np.asarray(Image.open(file))
    seen[name] = [np.array_equal(pixels, upright) for pixels in (by_path, by_file)]
    print(f"{name}: right by path {seen[name][0]}, shape {by_path.shape}; by file object {seen[name][1]}, {by_file.shape}")
assert seen == {"plain": [False, True], "lzw": [True, True]}, seen
print("unchanged: a plain TIFF with orientation 6 is right as a file object and scrambled by its path")
PYTHON
