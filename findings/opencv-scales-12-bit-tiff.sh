#!/usr/bin/env bash
# OpenCV 4.14: IMREAD_UNCHANGED multiplies what is in a 12-bit TIFF by 16; Pillow and rasterio do not.
#
# GDAL packs such files (`NBITS=12`): scanners, microscopes and satellites make them, and so does a user who wants room
# for 4,095 instance ids. The depth that OpenCV answers is 16 bits, so nothing shows that every id is another one.
# Guess before the run: "unchanged" is unchanged, and all three agree.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check numpy==2.3.5 pillow==13.0.0 rasterio==1.4.4 opencv-python-headless==4.14.0.94
cd "$work"
"$work/venv/bin/python" -W ignore - <<'PYTHON'
import cv2
import numpy as np
import rasterio
from PIL import Image

ids = np.zeros((64, 80), np.uint16)
ids[5:30, 5:30], ids[35:60, 40:70], ids[30:34] = 7, 300, 4095
options = {"driver": "GTiff", "height": 64, "width": 80, "count": 1, "dtype": "uint16", "nbits": 12}
with rasterio.open("ids.tif", "w", **options) as file:
    file.write(ids, 1)
with rasterio.open("ids.tif") as file:
    by_rasterio = file.read(1)
by_opencv = cv2.imread("ids.tif", cv2.IMREAD_UNCHANGED)
by_pillow = np.asarray(Image.open("ids.tif"))
for name, read in (("rasterio", by_rasterio), ("Pillow", by_pillow), ("OpenCV", by_opencv)):
    print(f"{name}: {read.dtype}, ids {np.unique(read).tolist()}")
assert np.array_equal(by_rasterio, ids)
assert np.array_equal(by_pillow, ids)
assert np.array_equal(by_opencv, ids * 16)
print("unchanged: OpenCV answers sixteen times the ids")
PYTHON
