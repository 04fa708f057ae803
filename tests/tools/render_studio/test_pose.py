"""Poses and what lies between them."""

from __future__ import annotations

import numpy as np
import pytest

from tools.render_studio.pose import DANCES, interpolate_pose, mirror_pose
from tools.render_studio.skeleton import Build, View, make_skeleton, project_point

ACTIONS = sorted(DANCES)


@pytest.mark.parametrize("action", ACTIONS)
def test_a_dance_starts_over_after_its_last_key(action: str) -> None:
    assert interpolate_pose(action, 0) == interpolate_pose(action, len(DANCES[action]))


def test_halfway_between_two_keys_every_angle_is_their_mean() -> None:
    first, second = DANCES["Jazz"][:2]
    assert interpolate_pose("Jazz", 0.5).turn == (first.turn + second.turn) / 2
    assert interpolate_pose("Jazz", 0.5).left_arm[0][0] == (first.left_arm[0][0] + second.left_arm[0][0]) / 2


@pytest.mark.parametrize("action", ACTIONS)
def test_mirroring_twice_changes_nothing(action: str) -> None:
    assert all(mirror_pose(mirror_pose(pose)) == pose for pose in DANCES[action])


@pytest.mark.parametrize("action", ACTIONS)
def test_a_mirrored_pose_has_its_joints_on_the_other_side(action: str) -> None:
    for pose in DANCES[action]:
        bones, other = make_skeleton(pose, Build()), make_skeleton(mirror_pose(pose), Build())
        flipped = bones.joints["left_wrist"] * np.array([-1, 1, 1])
        np.testing.assert_allclose(other.joints["right_wrist"], flipped, atol=1e-12)


@pytest.mark.parametrize("action", ACTIONS)
def test_the_lower_foot_is_on_the_floor(action: str) -> None:
    for pose in DANCES[action]:
        joints = make_skeleton(pose, Build()).joints
        feet = [joints[f"{side}_{part}"][1] for side in ("left", "right") for part in ("toe", "heel")]
        assert 0 <= min(feet) < 0.03


def test_what_is_nearer_is_seen_larger() -> None:
    view = View(above=0, scale=100)
    assert project_point(np.array([1.0, 0.0, 1.0]), view)[0] > project_point(np.array([1.0, 0.0, -1.0]), view)[0]
