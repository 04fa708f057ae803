#!/usr/bin/env bash
# SimpleITK 2.5.7 reads a TIFF mask of 1, 2 or 4 bits (as GDAL writes them with NBITS) as four channels, scaled to 255.
#
# A mask of one channel with the classes 0 and 1 arrives as [height, width, 4] of 0 and 255, one of 4 bits with class 7
# as 119. Pillow scales the 2- and 4-bit files in the same way and keeps one channel; rasterio keeps classes and shape.
# Guess before the run: one channel with the classes as they are.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check numpy==2.3.5 pillow==13.0.0 rasterio==1.4.4 SimpleITK==2.5.7
cd "$work"
"$work/venv/bin/python" -W ignore - <<'PYTHON'
import numpy as np
import rasterio
import SimpleITK
from PIL import Image

labels = np.zeros((64, 80), np.uint8)
labels[5:30, 5:30], labels[35:60, 40:70] = 1, 7
scaled = {1: [0, 255], 2: [0, 85, 255], 4: [0, 17, 119]}
for bits in (1, 2, 4):
    classes = labels % 2**bits
    options = {"driver": "GTiff", "height": 64, "width": 80, "count": 1, "dtype": "uint8", "nbits": bits}
    with rasterio.open("mask.tif", "w", **options) as file:
        file.write(classes, 1)
    with rasterio.open("mask.tif") as file:
        assert np.array_equal(file.read(1), classes)
    read = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage("mask.tif"))
    pillow = np.unique(np.asarray(Image.open("mask.tif").convert("L"))).tolist()
    colours = np.unique(read[:, :, :3]).tolist()
    print(f"{bits} bits, classes {np.unique(classes).tolist()}: SimpleITK {read.shape} {colours}, Pillow {pillow}")
    assert read.shape == (64, 80, 4)
    assert colours == pillow == scaled[bits]
print("unchanged: four channels, scaled to 255")
PYTHON
