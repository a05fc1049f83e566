"""A volume on another grid: against NumPy's definition, SimpleITK, and what it must not change."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
import SimpleITK
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation
from scipy.special import softmax

from brats_trt import _host

# Positions in double, values mixed in float32 by both, in another order.
FLOAT = 2e-6


def affine(degrees, spacing, origin):
    """Voxel to millimetre: turned about x, y and z."""
    made = np.eye(4)
    made[:3, :3] = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix() * spacing
    made[:3, 3] = origin
    return made


def aligned(volume, matrix, shape, **options):
    out = np.full(shape, -1, np.float32)
    _host.align(volume, np.asarray(matrix)[:3], out, **options)
    return out


def from_simpleitk(volume, source, target, shape):
    """The same by SimpleITK; both affines are in the same millimetres, whatever their axes are called."""
    grid = image(np.zeros(shape, np.float32), target)
    floats = SimpleITK.Cast(image(volume, source), SimpleITK.sitkFloat32)
    found = SimpleITK.Resample(floats, grid, SimpleITK.Transform(), SimpleITK.sitkLinear, 0.0)
    return SimpleITK.GetArrayFromImage(found).T


def image(values, geometry):
    made = SimpleITK.GetImageFromArray(np.ascontiguousarray(values.T))
    spacing = np.linalg.norm(geometry[:3, :3], axis=0)
    made.SetSpacing(spacing.tolist())
    made.SetOrigin(geometry[:3, 3].tolist())
    made.SetDirection((geometry[:3, :3] / spacing).ravel().tolist())
    return made


def random_volume(shape=(40, 37, 12), dtype=np.int16, seed=0):
    return np.random.default_rng(seed).integers(0, 120, shape).astype(dtype)


@pytest.mark.parametrize("dtype", ["<i2", ">i2", "u1", "<u2", "<i4", "<f4", ">f8", "<f2"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_simpleitk_agrees_on_oblique_grids(dtype, order):
    volume = np.asarray(random_volume().astype(dtype), order=order)
    source, target = affine((7, -12, 4), (0.9, 1.1, 5.0), (-17, -19, -25)), affine((-3, 5, 20), 1.0, (-24, -22, -30))
    expected = from_simpleitk(volume.astype("<f4"), source, target, (44, 46, 61))
    found = aligned(volume, np.linalg.inv(source) @ target, (44, 46, 61))
    assert (expected > 0).mean() > 0.2
    assert abs(found - expected).max() < 120 * 20 * FLOAT
    assert np.array_equal(found == 0, expected == 0)


@pytest.mark.parametrize("flips", [*product((1, -1), repeat=3)])
@pytest.mark.parametrize("axes", [*permutations(range(3))])
def test_every_orientation_comes_back_voxel_for_voxel(axes, flips):
    volume = random_volume((7, 5, 9))
    stored = volume.transpose(axes)[tuple(slice(None, None, flip) for flip in flips)]
    matrix = np.zeros((3, 4))
    for axis, (source, flip) in enumerate(zip(axes, flips, strict=True)):
        matrix[axis, source] = flip
        matrix[axis, 3] = 0 if flip == 1 else volume.shape[source] - 1
    assert np.array_equal(aligned(stored, matrix, volume.shape), volume)


@given(
    degrees=st.tuples(*[st.floats(-180, 180)] * 3),
    spacing=st.tuples(*[st.floats(0.3, 6)] * 3),
    seed=st.integers(0, 9),
)
def test_a_linear_ramp_stays_a_linear_ramp(degrees, spacing, seed):
    rng = np.random.default_rng(seed)
    shape = (9, 8, 10)
    slope = rng.uniform(1, 3, 3)
    ramp = np.add.outer(np.add.outer(slope[0] * np.arange(9), slope[1] * np.arange(8)), slope[2] * np.arange(10)) + 1
    source, target = affine((0, 0, 0), spacing, (0, 0, 0)), affine(degrees, 1.3, np.array(spacing) * 4)
    matrix = np.linalg.inv(source) @ target
    found = aligned(ramp, matrix, (6, 7, 8))
    positions = np.einsum("ij,jxyz->ixyz", matrix[:3, :3], np.indices((6, 7, 8))) + matrix[:3, 3, None, None, None]
    last = np.array(shape)[:, None, None, None] - 1
    inner = ((positions >= 0) & (positions <= last)).all(axis=0)
    expected = np.einsum("i,ixyz->xyz", slope, positions) + 1
    assert abs(found - expected)[inner].max(initial=0) < ramp.max() * 4 * FLOAT
    beyond = ((positions < -0.51) | (positions > last + 0.51)).any(axis=0)
    assert not found[beyond].any()


def test_slope_and_intercept_are_applied_before_interpolation():
    volume = random_volume((6, 6, 6))
    matrix = affine((10, 20, 30), 0.7, (1, 1, 1))[:3]
    expected = aligned(volume * 2.5 - 7, matrix, (5, 5, 5))
    assert np.array_equal(aligned(volume, matrix, (5, 5, 5), slope=2.5, intercept=-7.0), expected)


def test_voxels_that_are_not_finite_are_background():
    volume = random_volume((5, 5, 5)).astype(np.float32)
    clean = volume.copy()
    clean[2, 3, 1] = clean[4, 4, 4] = 0
    volume[2, 3, 1], volume[4, 4, 4] = np.nan, np.inf
    matrix = affine((10, 20, 30), 0.7, (1, 1, 1))[:3]
    assert np.array_equal(aligned(volume, matrix, (5, 5, 5)), aligned(clean, matrix, (5, 5, 5)))


def test_one_composed_map_is_two_maps_where_both_only_move_voxels():
    volume = random_volume((8, 8, 8))
    first, second = np.eye(4), np.eye(4)
    first[:3, 3], second[:3, 3] = (2, -1, 0), (1, 3, -2)
    chained = aligned(aligned(volume, first, (8, 8, 8)), second, (8, 8, 8))
    composed = aligned(volume, first @ second, (8, 8, 8))
    held = chained != 0
    assert held.any()
    assert np.array_equal(chained[held], composed[held])


VALUES = (0, 1, 2, 4)


def probabilities(batch=1, size=(18, 20, 22), seed=0):
    """Smooth fields, so that every class is the greatest somewhere."""
    fields = gaussian_filter(np.random.default_rng(seed).normal(size=(batch, 4, *size)), (0, 0, 3, 3, 3)) * 60
    return softmax(fields, axis=1).astype(np.float32)


def clear_voxels(fields):
    """Where the greatest is so by more than rounding can change."""
    ordered = np.sort(fields, axis=0)
    return ordered[-1] - ordered[-2] > 1e-5


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("batch", [1, 2])
def test_labels_are_the_argmax_of_what_simpleitk_resamples(batch, order):
    given = probabilities(batch)
    source, target = affine((3, 9, -6), (1.2, 1.1, 0.9), (0, 0, 0)), affine((-3, 5, 20), (0.8, 0.8, 3), (-5, -4, -6))
    shape = (34, 30, 12)
    mean = given[0] if batch == 1 else (given[0] + given[1][:, :, ::-1]) / 2
    resampled = np.stack([from_simpleitk(field, source, target, shape) for field in mean])
    expected = np.array(VALUES)[resampled.argmax(axis=0)]
    out = np.full(shape, 9, np.uint8, order=order)
    counts, box = _host.restore(given, (np.linalg.inv(source) @ target)[:3], out, values=VALUES)
    clear = clear_voxels(resampled) | (resampled.sum(axis=0) == 0)
    assert clear.mean() > 0.99
    assert np.array_equal(out[clear], expected[clear])
    assert counts == tuple((out == value).sum() for value in VALUES)
    assert min(counts) > 0
    places = np.argwhere(out > 0)
    assert box == (tuple(places.min(axis=0)), tuple(places.max(axis=0) + 1))


def test_on_the_crops_own_grid_it_is_what_scatter_gives():
    given, box = probabilities(2), ((3, 2, 1), (30, 33, 17))
    expected, found = (np.zeros((34, 36, 20), np.uint8) for _ in range(2))
    _host.scatter(given, box, expected, values=VALUES)
    matrix = np.zeros((3, 4))
    for axis, samples in enumerate(given.shape[2:]):
        step = (samples - 1) / (box[1][axis] - box[0][axis] - 1)
        matrix[axis, axis], matrix[axis, 3] = step, -box[0][axis] * step
    _host.restore(given, matrix, found, values=VALUES)
    inside = tuple(slice(*edges) for edges in zip(*box, strict=True))
    assert (expected[inside] > 0).any()
    assert (expected[inside] != found[inside]).mean() < 1e-4, "but for rounding"


def test_threads_do_not_change_labels():
    given, matrix = probabilities(), affine((10, 20, 30), 0.4, (1, 1, 1))[:3]
    found = []
    for threads in (1, 3):
        out = np.zeros((25, 24, 23), np.uint8)
        found.append((_host.restore(given, matrix, out, values=VALUES, threads=threads), out.tobytes()))
    assert found[0] == found[1]


def test_probabilities_that_are_not_finite_are_refused():
    given = probabilities()
    given[0, 2, 3, 4, 5] = np.nan
    with pytest.raises(_host.NotFiniteError, match="not finite"):
        _host.restore(given, np.eye(4)[:3], np.zeros((4, 4, 4), np.uint8), values=VALUES)


@pytest.mark.parametrize(
    ("volume", "matrix", "out", "said"),
    [
        (np.zeros((3, 3)), np.eye(4)[:3], np.zeros((3, 3, 3), np.float32), "3-D"),
        (np.zeros((3, 3, 3)), np.eye(4)[:3], np.zeros((3, 3, 3)), "float32"),
        (np.zeros((3, 3, 3)), np.eye(4)[:3], np.zeros((3, 3, 0), np.float32), "not empty"),
        (np.zeros((3, 3, 3)), np.full((3, 4), np.nan), np.zeros((3, 3, 3), np.float32), "not finite"),
    ],
)
def test_what_does_not_fit_is_refused(volume, matrix, out, said):
    with pytest.raises((ValueError, TypeError), match=said):
        _host.align(volume, matrix, out)
