"""The outfits of the dancers."""

from __future__ import annotations

from dataclasses import dataclass

from tools.render_studio.relief import Cloth
from tools.render_studio.skeleton import Build

Colour = tuple[int, int, int]

EVEN = Build()
"""Average proportions."""


@dataclass(frozen=True, slots=True)
class Outfit:
    """Clothes by cut and colour, and the body in them.

    `top` is leotard, tee, tank, hoodie or shirt; `bottom` is leggings, jeans, wide, shorts or skirt; `hair` is bun,
    tail, bob, short, curls or cap. `loose` widens the cloth around the limbs, in body heights.
    """

    skin: Colour
    hair: str
    hair_colour: Colour
    top: str
    top_colour: Colour
    bottom: str
    bottom_colour: Colour
    shoe_colour: Colour
    accent: Colour = (232, 230, 226)
    loose: float = 0.006
    build: Build = EVEN
    bearded: bool = False

    @property
    def skin_cloth(self) -> Cloth:
        """The material of skin: no folds, a little shine."""
        return Cloth(self.skin, 0.16, 0.0)

    @property
    def top_cloth(self) -> Cloth:
        """The material of the top."""
        return Cloth(self.top_colour, 0.08, 0.12 if self.top in {"leotard", "tank"} else 0.4)

    @property
    def bottom_cloth(self) -> Cloth:
        """The material of trousers, leggings or skirt."""
        return Cloth(self.bottom_colour, 0.08, 0.1 if self.bottom == "leggings" else 0.42)

    @property
    def accent_cloth(self) -> Cloth:
        """The material of prints, plackets and cuffs."""
        return Cloth(self.accent, 0.08, 0.2)

    @property
    def shoe_cloth(self) -> Cloth:
        """The material of the shoes."""
        return Cloth(self.shoe_colour, 0.2, 0.1)


SLIM = Build(shoulder=0.095, chest=0.076, waist=0.058, seat=0.086, bust=0.014, heavy=0.94)
STRONG = Build(shoulder=0.112, hip=0.05, chest=0.09, waist=0.072, seat=0.082, bust=0.004, heavy=1.1)
MIDDLE = Build(shoulder=0.102, chest=0.082, waist=0.064, seat=0.09, bust=0.013, heavy=1.02)

OUTFITS: dict[str, Outfit] = {
    "Ballet1": Outfit(
        skin=(226, 178, 150), hair="bun", hair_colour=(74, 46, 30), top="leotard", top_colour=(44, 62, 110),
        bottom="skirt", bottom_colour=(106, 130, 182), shoe_colour=(232, 186, 172), accent=(236, 206, 196),
        build=SLIM,
    ),
    "Ballet2": Outfit(
        skin=(150, 98, 68), hair="bun", hair_colour=(30, 22, 20), top="tank", top_colour=(150, 38, 60),
        bottom="leggings", bottom_colour=(40, 36, 42), shoe_colour=(200, 150, 128), accent=(40, 36, 42),
        build=SLIM,
    ),
    "HipHop1": Outfit(
        skin=(112, 72, 50), hair="curls", hair_colour=(28, 20, 18), top="hoodie", top_colour=(206, 146, 36),
        bottom="jeans", bottom_colour=(52, 68, 100), shoe_colour=(226, 226, 222), loose=0.012, build=STRONG,
        bearded=True,
    ),
    "HipHop2": Outfit(
        skin=(234, 190, 164), hair="cap", hair_colour=(94, 62, 38), top="tee", top_colour=(124, 86, 166),
        bottom="wide", bottom_colour=(64, 72, 54), shoe_colour=(168, 40, 40), accent=(240, 226, 150), loose=0.011,
        build=MIDDLE,
    ),
    "Jazz1": Outfit(
        skin=(214, 160, 126), hair="tail", hair_colour=(112, 62, 34), top="shirt", top_colour=(172, 44, 40),
        bottom="leggings", bottom_colour=(34, 34, 40), shoe_colour=(28, 26, 28), accent=(240, 236, 230),
        loose=0.008, build=MIDDLE,
    ),
    "Jazz2": Outfit(
        skin=(196, 142, 106), hair="short", hair_colour=(36, 28, 26), top="tee", top_colour=(38, 108, 104),
        bottom="jeans", bottom_colour=(42, 42, 50), shoe_colour=(236, 234, 230), loose=0.008, build=STRONG,
    ),
}  # fmt: skip
