"""A skeleton: the joints of a posed body, in the room and in the image."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tools.render_studio.pose import Angles, Limbs, Pose

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

THIGH, SHIN, UPPER_ARM, FORE_ARM, FOOT, ANKLE = 0.238, 0.235, 0.165, 0.142, 0.118, 0.045


@dataclass(frozen=True, slots=True)
class Build:
    """Proportions of a body of standing height 1: half widths, and a factor for the thickness of the limbs."""

    shoulder: float = 0.1
    hip: float = 0.052
    chest: float = 0.08
    waist: float = 0.06
    seat: float = 0.088
    bust: float = 0.012
    heavy: float = 1.0
    head: float = 1.0


@dataclass(frozen=True, slots=True)
class View:
    """A camera.

    Attributes:
        above: its elevation, in degrees.
        distance: to the body, in body heights.
        scale: pixels a standing body height.
        foot: image position (x, y) below the body.
    """

    above: float = 6.0
    distance: float = 4.5
    scale: float = 600.0
    foot: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Skeleton:
    """Joints by name, and the frames (columns: side, up, front) of hips, chest and head.

    In the room, x points to the right of the image, y up and z to the camera.
    """

    joints: dict[str, Vector]
    hips: Matrix
    chest: Matrix
    head: Matrix


def make_skeleton(pose: Pose, build: Build, around: float = 0.0) -> Skeleton:
    """Pose a body and turn it by `around` degrees; its lower foot touches the floor at y = 0."""
    facing = _make_yaw(pose.turn + around)
    hips = facing @ _make_roll(pose.tilt)
    chest = facing @ _make_pitch(pose.lean) @ _make_roll(-0.7 * pose.tilt)
    head = facing @ _make_yaw(pose.look[0]) @ _make_pitch(pose.look[1] + 0.4 * pose.lean)
    joints: dict[str, Vector] = {"pelvis": np.zeros(3)}
    _place_trunk(joints, hips, chest, head)
    for name, sign, arm, leg, point in _list_sides(pose):
        joints[f"{name}_shoulder"] = joints["neck"] + chest @ np.array([sign * build.shoulder, -0.033, 0.0])
        joints[f"{name}_hip"] = joints["pelvis"] + hips @ np.array([sign * build.hip, -0.03, 0.0])
        _place_arm(joints, name, sign, arm, chest)
        _place_leg(joints, name, sign, leg, facing)
        _place_foot(joints, name, sign, point, facing)
    lowest = min(float(joints[f"{side}_{part}"][1]) for side in ("left", "right") for part in ("toe", "heel"))
    rise = np.array([0.0, pose.hop + 0.012 - lowest, 0.0])
    return Skeleton({name: place + rise for name, place in joints.items()}, hips, chest, head)


def project_point(place: Vector, view: View) -> Vector:
    """Project a point of the room to x (right), y (down) and z (to the viewer) in pixels, rounded to 1/64."""
    x, y, z = _tilt(place, view.above)
    near = view.distance / (view.distance - z) * view.scale
    return np.round(np.array([view.foot[0] + x * near, view.foot[1] - y * near, z * near]) * 64) / 64


def project_direction(direction: Vector, view: View) -> Vector:
    """Project a direction of the room, ignoring perspective."""
    x, y, z = _tilt(direction, view.above)
    return np.round(np.array([x, -y, z]) * 4096) / 4096


def _tilt(place: Vector, above: float) -> tuple[float, float, float]:
    cosine, sine = math.cos(math.radians(above)), math.sin(math.radians(above))
    x, y, z = (float(part) for part in place)
    return x, y * cosine - z * sine, y * sine + z * cosine


def _place_trunk(joints: dict[str, Vector], hips: Matrix, chest: Matrix, head: Matrix) -> None:
    joints["waist"] = hips @ np.array([0.0, 0.085, 0.0])
    joints["neck"] = joints["waist"] + chest @ np.array([0.0, 0.222, -0.008])
    joints["skull"] = joints["neck"] + chest @ np.array([0.0, 0.03, 0.004]) + head @ np.array([0.0, 0.062, 0.012])


def _list_sides(pose: Pose) -> tuple[tuple[str, float, Limbs, Limbs, float], ...]:
    left = ("left", 1.0, pose.left_arm, pose.left_leg, pose.point[0])
    right = ("right", -1.0, pose.right_arm, pose.right_leg, pose.point[1])
    return left, right


def _place_arm(joints: dict[str, Vector], name: str, sign: float, arm: Limbs, chest: Matrix) -> None:
    joints[f"{name}_elbow"] = joints[f"{name}_shoulder"] + chest @ _compute_direction(arm[0], sign) * UPPER_ARM
    joints[f"{name}_wrist"] = joints[f"{name}_elbow"] + chest @ _compute_direction(arm[1], sign) * FORE_ARM


def _place_leg(joints: dict[str, Vector], name: str, sign: float, leg: Limbs, facing: Matrix) -> None:
    joints[f"{name}_knee"] = joints[f"{name}_hip"] + facing @ _compute_direction(leg[0], sign) * THIGH
    joints[f"{name}_ankle"] = joints[f"{name}_knee"] + facing @ _compute_direction(leg[1], sign) * SHIN


def _place_foot(joints: dict[str, Vector], name: str, sign: float, point: float, facing: Matrix) -> None:
    """Place heel and toe: a flat foot points forward and out, a pointed one continues the shin."""
    ankle = joints[f"{name}_ankle"]
    shin = ankle - joints[f"{name}_knee"]
    flat = facing @ np.array([sign * 0.45, -0.22, 0.88])
    toeward = flat * (1 - point) + shin / np.linalg.norm(shin) * point + facing @ np.array([0.0, 0.0, 0.25]) * point
    toeward /= np.linalg.norm(toeward)
    heel = (
        -0.25 * toeward + np.array([0.0, -0.9 * (1 - point), 0.0]) - 0.5 * point * (facing @ np.array([0.0, 0.0, 1.0]))
    )
    joints[f"{name}_heel"] = ankle + heel * ANKLE * 0.8
    joints[f"{name}_toe"] = ankle + toeward * FOOT + np.array([0.0, -0.012 * (1 - point), 0.0])


def _compute_direction(angles: Angles, sign: float) -> Vector:
    raised, swing = math.radians(angles[0]), math.radians(angles[1])
    level = math.sin(raised)
    return np.array([sign * level * math.cos(swing), -math.cos(raised), level * math.sin(swing)])


def _make_yaw(degrees: float) -> Matrix:
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return np.array([[cosine, 0, sine], [0, 1, 0], [-sine, 0, cosine]])


def _make_pitch(degrees: float) -> Matrix:
    """Return the rotation by which a body leans forward (positive) or back."""
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return np.array([[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]])


def _make_roll(degrees: float) -> Matrix:
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])
