"""Series on grids of their own: SciPy, the host, the kernels, for what goes to the network and what comes back."""

from __future__ import annotations

import numpy as np
import oracle
import pytest
from tolerances import ARGMAX_TIE_ON_DEVICE, align_tolerance

from brats_trt.backends.cuda_memory import memory_order
from brats_trt.spec import MODALITIES
from kernels.placements import BOX, CASES, Placed, mask_affine, target_affine
from kernels.stages import MODALITY, Moments, Stages

ROUNDED = [
    case for case in CASES if case.memory == "xyz" and case.name in ("int16", "float32", "float64", "the card's")
]
EDGE = 1e-9  # of a voxel: nearer to where a volume ends, rounding decides


def moments_of(case):
    values = case.values()
    inside = values[values > 0]
    return Moments(inside.size, float(inside.mean()), float(inside.var()), (BOX.lower, tuple(n + 1 for n in BOX.upper)))


def scipys_answer(case):
    """The crop, and which of its samples lie clear of a decision that rounding could turn."""
    matrix, mask_matrix = case.matrix(case.affine()), case.matrix(mask_affine())
    values, moments = case.values(), moments_of(case)
    sampled, share = oracle.align(values, matrix, case.size, case.mask(), mask_matrix)
    expected = oracle.normalise_aligned(sampled, share, case.normalisation, moments.mean, moments.variance**0.5)
    clear = (sampled == 0) | (abs(sampled) > 1e-5 * abs(values).max())
    places = oracle.positions(matrix, case.size)
    for axis, n in enumerate(values.shape):
        clear &= (abs(places[axis] + 0.5) > EDGE) & (abs(places[axis] - n + 0.5) > EDGE)
    known = sampled[share > 0]
    deviation = known.std() if case.normalisation == "card" else moments.variance**0.5
    score = float(abs(expected).max()) if case.normalisation == "card" else 5.0
    return expected, clear, align_tolerance(abs(values).max(), float(deviation), score)


def hosts_answer(case):
    moments, out = moments_of(case), np.full(case.size, np.nan, np.float32)
    case.placement().gather(
        out,
        BOX,
        MODALITIES[MODALITY],
        mean=moments.mean,
        variance=moments.variance,
        normalisation=case.normalisation,
        threads=1,
    )
    return out


def stages_of(device, case):
    voxels = max(np.prod(case.shape), np.prod(BOX.upper), np.prod(case.target))
    card = case.normalisation == "card"
    return Stages(device, (int(voxels), 1, 1), size=case.size, batch=case.batch, half=case.half, card=card)


def assert_is_scipys_crop(found, case):
    expected, clear, tolerance = scipys_answer(case)
    assert clear.mean() > 0.97
    assert (expected[clear] != 0).any()
    half = float(abs(expected).max()) * 2.0**-11 if case.half else 0.0
    np.testing.assert_allclose(found[clear], expected[clear], rtol=0, atol=tolerance + half)
    assert not found[clear & (expected == 0)].any()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_host_samples_a_series_as_scipy_does(case):
    assert_is_scipys_crop(hosts_answer(case), case)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_kernel_samples_a_series_as_scipy_does(device, case):
    found = stages_of(device, case).align(case.placement(), BOX, moments_of(case))
    assert_is_scipys_crop(found[0], case)
    assert np.array_equal(found[-1], found[0] if case.batch == 1 else found[0][:, ::-1])


@pytest.mark.parametrize("case", ROUNDED, ids=lambda case: case.name)
def test_fused_and_flushed_the_kernel_samples_a_series_as_scipy_does(rounding_device, case):
    found = stages_of(rounding_device, case).align(case.placement(), BOX, moments_of(case))
    assert_is_scipys_crop(found[0], case)


def assert_labels_are_scipys(labels, counts, case, softmax):
    matrix = np.linalg.solve(case.matrix(np.eye(4)), target_affine(case.target))
    expected = oracle.restore_elsewhere(softmax, matrix, case.target)
    outside = expected.sum(axis=0) == 0
    places = oracle.positions(matrix, case.target)
    clear = np.ones(case.target, bool)
    for axis, n in enumerate(case.size):
        clear &= (abs(places[axis] + 0.5) > EDGE) & (abs(places[axis] - n + 0.5) > EDGE)
    assert clear.mean() > 0.99
    classes = np.full(256, -1)
    classes[list(case.label_values)] = range(4)
    chosen = classes[labels]
    assert (chosen >= 0).all(), "no value but the scheme's"
    assert not chosen[outside & clear].any()
    of_chosen = np.take_along_axis(expected, chosen[None], axis=0)[0]
    assert (expected.max(axis=0) - of_chosen)[clear].max() <= ARGMAX_TIE_ON_DEVICE
    assert counts == tuple(int((labels == value).sum()) for value in case.label_values)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_host_restores_onto_any_grid_as_scipy_does(case):
    softmax, labels = case.softmax(), np.full(case.target, 99, np.uint8, order="F")
    counts, _ = case.placement().restore(softmax, BOX, labels, values=case.label_values, threads=1)
    assert_labels_are_scipys(labels, counts, case, softmax)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_kernel_restores_onto_any_grid_as_scipy_does(device, case):
    softmax = case.softmax()
    labels, counts = stages_of(device, case).restore_on_target(softmax, case.placement(), BOX, case.label_values)
    assert_labels_are_scipys(labels, counts, case, softmax)


@pytest.mark.parametrize("case", ROUNDED, ids=lambda case: case.name)
def test_fused_and_flushed_the_kernel_restores_as_scipy_does(rounding_device, case):
    softmax = case.softmax()
    stages = stages_of(rounding_device, case)
    assert_labels_are_scipys(
        *stages.restore_on_target(softmax, case.placement(), BOX, case.label_values), case, softmax
    )


def test_the_table_decides_something():
    """Every class, samples inside, outside and at the mask's edge, and every axis for the lanes."""
    runs = set()
    for case in CASES:
        fast = memory_order(case.volume().data)[0]
        runs.add(int(abs(case.matrix(case.affine())[fast, :3]).argmax()))
        target = np.linalg.solve(case.matrix(np.eye(4)), target_affine(case.target))
        fields = oracle.restore_elsewhere(case.softmax(), target, case.target)
        if case.size != (2, 2, 2):  # eight samples reach far
            assert len(np.unique(fields.argmax(axis=0))) == 4
            assert 0.05 < (fields.sum(axis=0) == 0).mean() < 0.95
    assert runs == {0, 1, 2}
    masked = Placed("int16")
    share = oracle.align(
        masked.values(), masked.matrix(masked.affine()), masked.size, masked.mask(), masked.matrix(mask_affine())
    )[1]
    assert min((share == 0).mean(), (share == 1).mean(), ((share > 0) & (share < 1)).mean()) > 0.02


def test_simpleitk_agrees_with_the_oracle():
    """The oracle's own witness: another library's resampling, by the same map."""
    import SimpleITK

    case = Placed("int16")
    matrix, values = case.matrix(case.affine()), case.values()
    image = SimpleITK.GetImageFromArray(np.ascontiguousarray(values.T))
    transform = SimpleITK.AffineTransform(3)
    transform.SetMatrix(matrix[:3, :3].ravel().tolist())
    transform.SetTranslation(matrix[:3, 3].tolist())
    grid = SimpleITK.Image([*case.size], SimpleITK.sitkFloat64)
    found = SimpleITK.GetArrayFromImage(SimpleITK.Resample(image, grid, transform, SimpleITK.sitkLinear, 0.0)).T
    expected, _ = oracle.align(values, matrix, case.size)
    assert (expected != 0).mean() > 0.2
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)
