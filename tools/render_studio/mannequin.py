"""The mannequin: a shop dummy on a stand that looks like a person and is in no target."""

from __future__ import annotations

from functools import cache

import numpy as np

from tools.render_studio import furniture
from tools.render_studio.body import make_body
from tools.render_studio.figure import Figure
from tools.render_studio.head import make_blank_head
from tools.render_studio.light import Cutout, Light, shade
from tools.render_studio.pose import Pose
from tools.render_studio.relief import lay_limb, make_blank_relief
from tools.render_studio.room import TALL, WIDE
from tools.render_studio.skeleton import Build, View, make_skeleton
from tools.render_studio.wardrobe import Outfit

CAMERA = "C2"
"""The camera whose views show the mannequin."""

PLASTIC = (236, 232, 222)

STANCE = Pose(
    left_arm=((150, 20), (150, 170)),
    right_arm=((52, -14), (52, 168)),
    left_leg=((26, 68), (6, 50)),
    right_leg=((17, -74), (23, -74)),
    turn=44,
    lean=3,
    tilt=4,
    look=(-14, -4),
)

DRESS = Outfit(
    skin=PLASTIC, hair="none", hair_colour=PLASTIC, top="tank", top_colour=PLASTIC, bottom="leggings",
    bottom_colour=PLASTIC, shoe_colour=PLASTIC, accent=PLASTIC, loose=0.0,
    build=Build(shoulder=0.104, chest=0.084, waist=0.06, seat=0.09, bust=0.016, heavy=1.0),
)  # fmt: skip

LAMP = Light(key=(0.35, -0.5, 0.8), key_colour=(0.98, 0.98, 1.0), fill=(0.34, 0.36, 0.4), strength=0.7)


@cache
def make_mannequin() -> Cutout:
    """Render the mannequin, which looks the same in all views of its camera."""
    view = View(above=9, distance=6.0, scale=470, foot=(118, 762))
    figure = Figure(make_skeleton(STANCE, DRESS.build), DRESS, view)
    relief = make_blank_relief(TALL, WIDE)
    for limb in [*make_body(figure), *make_blank_head(figure)]:
        lay_limb(relief, limb)
    cutout = shade(relief, LAMP)
    stand = np.zeros((TALL, WIDE, 4), np.uint8)
    furniture.draw_disc(stand, (118, 768), (92, 19), (120, 122, 126))
    furniture.draw_disc(stand, (118, 764), (90, 17), (176, 178, 182))
    small = (stand[::2, ::2].astype(np.uint16) + stand[1::2, ::2] + stand[::2, 1::2] + stand[1::2, 1::2] + 2) // 4
    return lay_over(cutout, Cutout(small[..., :3].astype(np.uint8), small[..., 3].astype(np.uint8)))


def lay_over(front: Cutout, back: Cutout) -> Cutout:
    """Lay one cutout on another."""
    through = 255 - front.coverage.astype(np.uint16)
    colour = front.colour + (back.colour * through[..., None] + 127) // 255
    coverage = front.coverage + (back.coverage * through + 127) // 255
    return Cutout(np.minimum(colour, 255).astype(np.uint8), coverage.astype(np.uint8))
