#!/usr/bin/env bash
# torchvision 0.29.1: a palette PNG of 1, 2 or 4 bits is decoded to packed bytes, not to indices.
#
# `decode_image` and `read_image` in their default mode, UNCHANGED, answer palette files with one channel of indices: the
# form that label maps have. With fewer than 17 colours writers pack several pixels into a byte. The tensor then has the
# right shape, but the first width * bits / 8 columns of a row hold the packed bytes, and the rest of it no labels at all.
# With 8 bits, and in mode RGB at every depth, the answer is right. Guess before the run: right at every depth.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check numpy==2.3.5 pillow==13.0.0 torch==2.14.1 torchvision==0.29.1
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import numpy as np
from PIL import Image
from torchvision.io import ImageReadMode, decode_image

labels = np.zeros((16, 40), np.uint8)
labels[2:9, 3:20], labels[9:14, 22:39] = 1, 2
for bits in (1, 2, 4, 8):
    indices = (labels.astype(int) % 2**bits).astype(np.uint8)
    image = Image.new("P", (40, 16))
    image.putdata(indices.ravel().tolist())
    image.putpalette([value for index in range(2**bits) for value in (index * 10 % 256, index * 20 % 256, 90)])
    image.save("labels.png", bits=bits)
    decoded = decode_image("labels.png").numpy()
    colours = decode_image("labels.png", mode=ImageReadMode.RGB).numpy().transpose(1, 2, 0)
    packed = np.zeros((16, 40 * bits // 8), np.uint8)
    for place in range(8 // bits):
        packed |= indices[:, place :: 8 // bits] << (8 - bits * (place + 1))
    is_right = np.array_equal(decoded[0], indices)
    is_packed = np.array_equal(decoded[0, :, : packed.shape[1]], packed)
    print(f"{bits} bits: shape {decoded.shape}, equal to the indices: {is_right}, starts with packed bytes: {is_packed}")
    assert decoded.shape == (1, 16, 40)
    assert np.array_equal(colours, np.asarray(image.convert("RGB")))
    assert (is_right, is_packed) == (bits == 8, True)
print("unchanged: right with 8 bits and in mode RGB, packed bytes with fewer")
PYTHON
