"""Poses of a dancer, and the dances that they make up.

Two angles in degrees give the direction of a bone: how far it is *raised* (0 hangs down, 90 is level, 180 points up)
and how far it *swings* around the vertical (0 to the dancer's own side, 90 forward, -90 back, 180 across the body).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

Angles = tuple[float, float]
Limbs = tuple[Angles, Angles]

KEY_EVERY = 90
"""Frames between two key poses."""


@dataclass(frozen=True, slots=True)
class Pose:
    """Pairs of angles (upper bone, lower bone) of each arm and leg, and rotations of the trunk in degrees."""

    left_arm: Limbs
    right_arm: Limbs
    left_leg: Limbs = ((4, 0), (2, 0))
    right_leg: Limbs = ((4, 0), (2, 0))
    turn: float = 0.0
    lean: float = 0.0
    tilt: float = 0.0
    look: tuple[float, float] = (0.0, 0.0)
    point: tuple[float, float] = (0.1, 0.1)
    hop: float = 0.0


def _bend_leg(raised: float, swing: float, bend: float) -> Limbs:
    """Return a leg whose shin hangs `bend` degrees behind the vertical."""
    return (raised, swing), (bend, -90)


STRAIGHT: Limbs = ((4, 0), (2, 0))
LOW: Limbs = ((22, 20), (16, 100))
SECOND: Limbs = ((56, 22), (62, 58))
CROWN: Limbs = ((150, 20), (158, 165))
HIP: Limbs = ((48, -28), (42, 158))

BALLET = (
    Pose(((60, 40), (58, 80)), ((60, 40), (58, 80)), ((20, 22), (6, 200)), ((20, 22), (6, 200)), look=(0, 6)),
    Pose(CROWN, LOW, ((50, 48), (30, 186)), STRAIGHT, turn=-8, look=(10, 0), point=(1.0, 0.6)),
    Pose(LOW, ((148, 14), (160, 60)), ((34, 8), (33, 8)), STRAIGHT, turn=-14, look=(20, 4), point=(1.0, 0.2)),
    Pose(LOW, CROWN, STRAIGHT, ((16, 66), (14, 74)), turn=-16, tilt=-2, look=(14, -6), point=(0.1, 0.8)),
    Pose(LOW, LOW, STRAIGHT, ((8, 60), (6, 70)), turn=12, look=(-8, -4), point=(0.4, 0.5)),
    Pose(((124, 62), (128, 74)), SECOND, STRAIGHT, ((38, -76), (44, -84)), turn=34, lean=8, point=(0.1, 1.0)),
)

HIPHOP = (
    Pose(((40, 84), (84, 96)), ((34, -70), (26, 40)), _bend_leg(26, 74, 6), ((18, -70), (34, -86)), turn=26, lean=5),
    Pose(((34, 10), (56, 70)), ((64, 18), (152, 60)), _bend_leg(16, 30, 14), _bend_leg(26, 40, 20), turn=-18, tilt=6),
    Pose(HIP, ((56, 66), (84, 84)), ((16, 6), (10, 0)), _bend_leg(16, 26, 12), turn=-12, look=(-18, 0), tilt=-4),
    Pose(((30, 14), (40, 54)), ((26, 4), (34, 60)), _bend_leg(16, 24, 10), _bend_leg(14, 30, 8), look=(6, 4), lean=4),
    Pose(
        ((26, 48), (92, 152)),
        ((28, 44), (88, 150)),
        _bend_leg(14, 36, 10),
        _bend_leg(12, 20, 8),
        turn=14,
        look=(-10, 4),
    ),
    Pose(
        ((86, 16), (168, 60)), ((78, 10), (160, 80)), ((14, 6), (8, 0)), _bend_leg(20, 40, 16), turn=18, look=(-6, -8)
    ),
)

JAZZ = (
    Pose(((146, 8), (152, 16)), ((148, 6), (154, 14)), ((17, 0), (15, 0)), ((17, 0), (15, 0)), look=(0, -6)),
    Pose(SECOND, ((150, 12), (156, 26)), ((22, 40), (4, 190)), ((16, 0), (16, 0)), turn=-10, look=(22, 0), tilt=4),
    Pose(((52, 10), (60, 44)), CROWN, ((40, 70), (40, 72)), STRAIGHT, turn=20, lean=-6, point=(1.0, 0.3)),
    Pose(HIP, HIP, ((12, 10), (9, 0)), _bend_leg(12, 46, 8), turn=-20, tilt=-6, look=(16, -4)),
    Pose(
        ((28, 60), (44, 80)),
        ((26, -40), (20, 10)),
        _bend_leg(18, 80, 6),
        ((10, -80), (22, -86)),
        turn=30,
        look=(-16, 0),
    ),
    Pose(((44, 60), (100, 140)), ((48, 4), (54, 32)), ((56, 76), (8, -60)), STRAIGHT, turn=-16, point=(0.9, 0.4)),
)

DANCES: dict[str, tuple[Pose, ...]] = {"Ballet": BALLET, "HipHop": HIPHOP, "Jazz": JAZZ}


def interpolate_pose(action: str, moment: float) -> Pose:
    """Return the pose of a dance at a moment, counted in key poses; it eases between the two keys around it."""
    keys = DANCES[action]
    index = math.floor(moment)
    along = moment - index
    eased = along * along * (3 - 2 * along)
    return _interpolate(keys[index % len(keys)], keys[(index + 1) % len(keys)], eased)


def mirror_pose(pose: Pose) -> Pose:
    """Exchange left and right."""
    return Pose(
        left_arm=pose.right_arm,
        right_arm=pose.left_arm,
        left_leg=pose.right_leg,
        right_leg=pose.left_leg,
        turn=-pose.turn,
        lean=pose.lean,
        tilt=-pose.tilt,
        look=(-pose.look[0], pose.look[1]),
        point=(pose.point[1], pose.point[0]),
        hop=pose.hop,
    )


def _interpolate(one: Pose, other: Pose, share: float) -> Pose:
    mixed = {item.name: _mix(getattr(one, item.name), getattr(other, item.name), share) for item in fields(Pose)}
    return Pose(**mixed)


def _mix(one: Any, other: Any, share: float) -> Any:
    """Interpolate numbers, or tuples of them to any depth."""
    if isinstance(one, tuple):
        return tuple(_mix(a, b, share) for a, b in zip(one, other, strict=True))
    return one + (other - one) * share
