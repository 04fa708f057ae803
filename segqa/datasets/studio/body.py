"""A body: the solid limbs of a posed, dressed person, head excepted."""

from __future__ import annotations

from segqa.datasets.studio.arm import arm, hand
from segqa.datasets.studio.leg import foot, leg
from segqa.datasets.studio.relief import Limb
from segqa.datasets.studio.sitting import Sitting
from segqa.datasets.studio.trunk import hem, trunk

SIDES = (("left", 1.0), ("right", -1.0))


def body(sitting: Sitting) -> list[Limb]:
    """All limbs below the head."""
    limbs = [*trunk(sitting)]
    for name, sign in SIDES:
        limbs += [*leg(sitting, name), *foot(sitting, name), *arm(sitting, name), *hand(sitting, name, sign)]
    return [*limbs, *hem(sitting)]
