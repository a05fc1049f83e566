"""Motion between two series: planted by a changed affine, and found again."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from brats_trt import CaseError
from brats_trt.demo import make_phantom
from brats_trt.exam.rigid import register
from brats_trt.volume import Volume

MIDDLE = (0.0, 0.0, 0.0)


@pytest.fixture(scope="module")
def head():
    return make_phantom(0, (120, 120, 78))


def planted(degrees, millimetres, middle):
    """From where the head was to where it went, turned about its middle."""
    made = np.eye(4)
    made[:3, :3] = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()
    made[:3, 3] = np.array(middle) + millimetres - made[:3, :3] @ middle
    return made


def middle_of(head):
    return (head.affine @ [*(np.array(head.labels.shape) / 2), 1])[:3]


def volumes(head, fixed, moving):
    return [Volume(head.volumes[name], 1.0, 0.0, name) for name in (fixed, moving)]


@pytest.mark.parametrize(
    ("pair", "degrees", "millimetres"),
    [
        (("t1ce", "flair"), (0, 0, 0), (0, 0, 0)),
        (("t1ce", "t2"), (2, -3, 1), (3, -4, 2)),
        (("t1ce", "flair"), (-6, 4, 8), (-8, 5, 6)),
        (("t1", "t1ce"), (-6, 4, 8), (-8, 5, 6)),
    ],
)
def test_a_planted_motion_comes_back(head, pair, degrees, millimetres):
    middle = middle_of(head)
    motion = planted(degrees, millimetres, middle)
    fixed, moving = volumes(head, *pair)
    found = register(fixed, head.affine, moving, motion @ head.affine, threads=1)
    rest = np.linalg.inv(motion) @ found.matrix
    assert np.linalg.norm(rest[:3, :3] @ middle + rest[:3, 3] - middle) < 0.3
    assert np.degrees(np.arccos(np.clip((np.trace(rest[:3, :3]) - 1) / 2, -1, 1))) < 0.3
    assert found.shift_mm == pytest.approx(np.linalg.norm(millimetres), abs=1.5)
    turned = Rotation.from_euler("xyz", degrees, degrees=True).magnitude()
    assert found.angle_deg == pytest.approx(np.degrees(turned), abs=0.3)


def test_thick_slices_of_another_orientation_come_back_too(head):
    middle = middle_of(head)
    motion = planted((1, 2, -3), (2, 3, -2), middle)
    fixed, moving = volumes(head, "t1ce", "flair")
    thick = moving.data[:, :, ::3].transpose(2, 0, 1)[::-1]
    affine = head.affine @ np.array([[0, 1, 0, 0], [0, 0, 1, 0], [-3, 0, 0, 3 * (len(thick) - 1)], [0, 0, 0, 1.0]])
    found = register(fixed, head.affine, Volume(thick, 1.0, 0.0, "flair"), motion @ affine, threads=1)
    rest = np.linalg.inv(motion) @ found.matrix
    assert np.linalg.norm(rest[:3, :3] @ middle + rest[:3, 3] - middle) < 0.5  # slices of 6 mm
    assert np.degrees(np.arccos(np.clip((np.trace(rest[:3, :3]) - 1) / 2, -1, 1))) < 0.5


def test_series_that_do_not_meet_are_refused(head):
    fixed, moving = volumes(head, "t1ce", "flair")
    away = np.eye(4)
    away[0, 3] = 5000
    with pytest.raises(CaseError, match=r"flair cannot be registered to t1ce .*are both of one head"):
        register(fixed, head.affine, moving, away @ head.affine)


def test_without_simpleitk_it_says_what_to_install(head, monkeypatch):
    monkeypatch.setitem(sys.modules, "SimpleITK", None)
    with pytest.raises(CaseError, match=r"pip install 'brats-trt\[register\]', or --align header"):
        register(*(item for volume in volumes(head, "t1ce", "t2") for item in (volume, head.affine)))
