"""A figure: a posed, dressed skeleton in front of a camera."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tools.render_studio.relief import Cloth, Limb, Paint, Profile, paint_plain
from tools.render_studio.skeleton import Matrix, Skeleton, Vector, View, project_direction, project_point
from tools.render_studio.wardrobe import Outfit


@dataclass(frozen=True, slots=True)
class Figure:
    """A posed, dressed skeleton in front of a camera, from which all limbs are made.

    Attributes:
        bones: in the room.
        outfit: clothes, skin and proportions.
        view: of the camera.
    """

    bones: Skeleton
    outfit: Outfit
    view: View

    def make_limb(
        self,
        ends: tuple[Vector, Vector],
        frame: tuple[Vector, Vector],
        profile: Profile,
        cloths: tuple[Cloth, ...],
        paint: Paint = paint_plain,
        blend: float = 0.0,
        caps: tuple[float, float] = (1.0, 1.0),
    ) -> Limb:
        """Make a limb between two points of the room; profile and blend are in body heights."""
        start, end = project_point(ends[0], self.view), project_point(ends[1], self.view)
        middle = (float(start[2]) + float(end[2])) / 2
        scale = self.view.scale + middle / self.view.distance
        drawn = tuple((along, half * scale, deep * scale, shift * scale) for along, half, deep, shift in profile)
        side, front = project_direction(frame[0], self.view), project_direction(frame[1], self.view)
        return Limb(start, end, side, front, drawn, cloths, paint, blend * scale, caps)


def compute_frame(ends: tuple[Vector, Vector], front: Vector) -> tuple[Vector, Vector]:
    """Return the side and front of a bone; the front is as close to `front` as the bone allows."""
    bone = ends[1] - ends[0]
    side = np.cross(bone, front)
    if float(side @ side) < 1e-9:
        side = np.cross(bone, np.array([0.3, 0.1, 1.0]))
    side = side / np.sqrt(float(side @ side))
    ahead = np.cross(side, bone)
    return side, ahead / np.sqrt(float(ahead @ ahead))


def get_axes(frame: Matrix) -> tuple[Vector, Vector]:
    """Return the side and front of a part of the body."""
    return frame[:, 0], frame[:, 2]
