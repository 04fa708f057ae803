"""Limbs of a posed, dressed body without its head."""

from __future__ import annotations

from tools.render_studio.arm import make_arm, make_hand
from tools.render_studio.figure import Figure
from tools.render_studio.leg import make_foot, make_leg
from tools.render_studio.relief import Limb
from tools.render_studio.trunk import make_hem, make_trunk

SIDES = (("left", 1.0), ("right", -1.0))


def make_body(figure: Figure) -> list[Limb]:
    """Make all limbs below the head."""
    limbs = [*make_trunk(figure)]
    for name, sign in SIDES:
        limbs += [
            *make_leg(figure, name),
            *make_foot(figure, name),
            *make_arm(figure, name),
            *make_hand(figure, name, sign),
        ]
    return [*limbs, *make_hem(figure)]
