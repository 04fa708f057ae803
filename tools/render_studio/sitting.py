"""A sitting: a dressed skeleton before a camera, from which every part of a figure is made."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tools.render_studio.relief import Cloth, Limb, Paint, Profile, plain
from tools.render_studio.skeleton import Matrix, Skeleton, Vector, View, seen, seen_direction
from tools.render_studio.wardrobe import Outfit


@dataclass(frozen=True, slots=True)
class Sitting:
    """A dressed skeleton before a camera: what every part of the body is made from."""

    bones: Skeleton
    outfit: Outfit
    view: View

    def limb(
        self,
        ends: tuple[Vector, Vector],
        frame: tuple[Vector, Vector],
        profile: Profile,
        cloths: tuple[Cloth, ...],
        paint: Paint = plain,
        blend: float = 0.0,
        caps: tuple[float, float] = (1.0, 1.0),
    ) -> Limb:
        """A limb between two places of the room, its profile and blend in body heights."""
        start, end = seen(ends[0], self.view), seen(ends[1], self.view)
        middle = (float(start[2]) + float(end[2])) / 2
        scale = self.view.scale + middle / self.view.distance
        drawn = tuple((along, half * scale, deep * scale, shift * scale) for along, half, deep, shift in profile)
        side, front = seen_direction(frame[0], self.view), seen_direction(frame[1], self.view)
        return Limb(start, end, side, front, drawn, cloths, paint, blend * scale, caps)


def frame_along(ends: tuple[Vector, Vector], front: Vector) -> tuple[Vector, Vector]:
    """The side and front across a bone, its front as near to `front` as the bone allows."""
    bone = ends[1] - ends[0]
    side = np.cross(bone, front)
    if float(side @ side) < 1e-9:
        side = np.cross(bone, np.array([0.3, 0.1, 1.0]))
    side = side / np.sqrt(float(side @ side))
    ahead = np.cross(side, bone)
    return side, ahead / np.sqrt(float(ahead @ ahead))


def axes(frame: Matrix) -> tuple[Vector, Vector]:
    """The side and front of a part of the body."""
    return frame[:, 0], frame[:, 2]
