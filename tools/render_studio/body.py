"""A body: the solid limbs of a posed, dressed person, head excepted."""

from __future__ import annotations

from tools.render_studio.arm import arm, hand
from tools.render_studio.leg import foot, leg
from tools.render_studio.relief import Limb
from tools.render_studio.sitting import Sitting
from tools.render_studio.trunk import hem, trunk

SIDES = (("left", 1.0), ("right", -1.0))


def body(sitting: Sitting) -> list[Limb]:
    """All limbs below the head."""
    limbs = [*trunk(sitting)]
    for name, sign in SIDES:
        limbs += [*leg(sitting, name), *foot(sitting, name), *arm(sitting, name), *hand(sitting, name, sign)]
    return [*limbs, *hem(sitting)]
