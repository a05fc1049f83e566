"""Raw exams: four grids brought together, one interpolation, labels on the grid that was asked for."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations, product

import numpy as np
import pytest
from raw_exams import scanning
from raw_exams.scanning import AXIAL, CLINICAL, grid_of, labels_on, raw_exam
from scipy import ndimage

from brats_trt import CaseError, RawOptions, Segmenter
from brats_trt.backends.placement import Placement, Series
from brats_trt.demo import make_phantom
from brats_trt.geometry import Box
from brats_trt.metrics import dice
from brats_trt.raw.grid import Grid, working_grid
from brats_trt.raw.preparation import prepare
from brats_trt.raw.source import RawExam, RawSeries
from brats_trt.spec import LABEL_VALUES
from brats_trt.volume import Volume

BRATS = LABEL_VALUES["brats"]
BARE = RawOptions(strip="never")


@pytest.fixture(scope="module")
def phantom():
    return make_phantom(0)


@pytest.fixture(scope="module")
def backend():
    return Segmenter(keep_probabilities=False)._backend


def segmented(backend, prepared):
    return backend.run([*prepared.case.volumes.items()], prepared.placement)


def test_four_clinical_grids_are_segmented_on_the_reference(phantom, backend):
    exam = raw_exam(phantom)
    outcome = segmented(backend, prepare(exam, None, BARE))
    reference = labels_on(phantom, exam.series["t1ce"])
    assert outcome.labels.shape == reference.shape
    assert dice(outcome.labels, reference, label_values=BRATS)["whole tumour"] > 0.88
    thick = prepare(exam, None, RawOptions(grid="t2", strip="never"))
    found, expected = segmented(backend, thick).labels, labels_on(phantom, exam.series["t2"])
    assert found.shape == (220, 250, 32)
    assert dice(found, expected, label_values=BRATS)["whole tumour"] > 0.88


def test_series_of_1_mm_are_segmented_as_the_volumes_themselves(phantom, backend):
    grids = dict.fromkeys(CLINICAL, (AXIAL, (1.0, 1.0, 1.0), (190, 220, 180)))
    exam = raw_exam(phantom, grids)
    outcome = segmented(backend, prepare(exam, None, BARE))
    scores = dice(outcome.labels, labels_on(phantom, exam.series["t1ce"]), label_values=BRATS)
    assert scores["whole tumour"] > 0.93
    assert sum(outcome.counts[1:]) == pytest.approx((outcome.labels > 0).sum(), rel=0.02)


def test_series_of_one_grid_give_the_labels_of_the_case_that_they_are(phantom, backend):
    """On the network's own grid nothing moves: what differs is where a sample is cut by the head's edge."""
    volumes = {name: Volume(values, 1.0, 0.0, name) for name, values in phantom.volumes.items()}
    exam = RawExam("Same", {name: RawSeries(volume, phantom.affine) for name, volume in volumes.items()})
    prepared = prepare(exam, None, BARE)
    np.testing.assert_allclose(prepared.account.grid.affine, phantom.affine, atol=1e-9)
    for name, volume in prepared.case.volumes.items():
        assert np.array_equal(volume.data, phantom.volumes[name]), "voxel for voxel"
    found, plain = segmented(backend, prepared), backend.run([*volumes.items()])
    assert found.labels.shape == plain.labels.shape
    assert found.box == plain.box
    assert (found.labels != plain.labels).mean() < 1e-4
    assert dice(found.labels, plain.labels, label_values=BRATS)["whole tumour"] > 0.99


def orientation(axes, signs):
    made = np.zeros((3, 3))
    made[axes, range(3)] = signs
    return made


@pytest.mark.parametrize("signs", list(product((1, -1), repeat=3)), ids=str)
@pytest.mark.parametrize("axes", list(permutations(range(3))), ids=str)
def test_the_working_grid_is_the_same_in_every_orientation(axes, signs):
    spacing, shape = np.array((1.0, 1.0, 2.0)), (160, 200, 90)
    axial = Grid(grid_of(AXIAL, spacing, shape, np.zeros(3)), shape)
    turn = np.argsort(axes)
    affine = grid_of(orientation(axes, signs), spacing[[*axes]], np.array(shape)[[*axes]], np.zeros(3))
    found = working_grid(Grid(affine, tuple(int(n) for n in np.array(shape)[[*axes]])))
    assert turn.size == 3
    expected = working_grid(axial)
    assert found.shape == expected.shape == (160, 200, 180)
    np.testing.assert_allclose(found.affine, expected.affine, atol=1e-9)


def test_the_working_grid_keeps_the_references_own_tilt():
    affine = grid_of(scanning.OBLIQUE, (0.9, 0.9, 5.0), (200, 220, 30), np.array([3.0, -4.0, 50.0]))
    found = working_grid(Grid(affine, (200, 220, 30)))
    np.testing.assert_allclose(np.abs(found.affine[:3, :3].T @ affine[:3, :3]), np.diag((0.9, 0.9, 5.0)), atol=1e-9)
    assert (np.diag(found.affine)[:3] * [-1, -1, 1] > 0.9).all()
    assert found.shape == (180, 198, 150)


def test_a_crop_is_sampled_from_the_series_once_and_normalised():
    rng = np.random.default_rng(0)
    values = ndimage.gaussian_filter(rng.normal(size=(30, 32, 28)), 2) * 400 + 300
    series = Series(Volume(values.astype(np.float32), 1.0, 0.0, "x"), np.diag([1.5, 1.5, 1.5, 1.0]))
    inside = np.zeros((30, 32, 28), np.float32)
    inside[5:25, 5:25, 5:25] = 1
    mask = Series(Volume(inside, 1.0, 0.0, "mask"), series.affine)
    placement = Placement(np.eye(4), {"t1": series}, mask, np.eye(4), (1, 1, 1))
    box, crop = Box((4, 5, 6), (36, 40, 38)), np.empty((20, 18, 16), np.float32)
    placement.gather(crop, box, "t1", mean=310.0, variance=900.0, normalisation="authors", threads=1)
    axes = [low + np.arange(m) * (n - 1) / (m - 1) for low, n, m in zip(box.lower, box.shape, crop.shape, strict=True)]
    places = np.array(np.meshgrid(*axes, indexing="ij")) / 1.5
    seen = ndimage.map_coordinates(values, places, order=1)
    share = np.clip((ndimage.map_coordinates(inside, places, order=1) - 0.25) * 2, 0, 1)
    expected = share * (np.clip((seen - 310) / 30, -5, 5) + 5) / 10
    np.testing.assert_allclose(crop, expected, rtol=0, atol=2e-5)
    assert (expected == 0).any()
    placement.gather(crop, box, "t1", mean=0.0, variance=1.0, normalisation="card", threads=1)
    assert abs(crop[share == 1].mean()) < 0.1


class Skull:
    """A brain that is known, in place of one that is found."""

    def __init__(self, phantom):
        self.shares = Volume((phantom.volumes["t1"] > 0).astype(np.float32), 1.0, 0.0, "the brain's mask")
        self.affine = phantom.affine

    def extract(self, volume, affine):
        self.asked = volume.source
        return self


def with_skull(phantom):
    """The phantom in a skull of twice its size, in every modality."""
    brain = np.any([values > 0 for values in phantom.volumes.values()], axis=0)
    around = ndimage.binary_dilation(brain, iterations=14) & ~ndimage.binary_dilation(brain, iterations=3)
    volumes = {name: np.where(around, 900, values).astype(np.int16) for name, values in phantom.volumes.items()}
    return replace(phantom, volumes=volumes)


def test_what_is_not_brain_is_taken_away(phantom, backend):
    exam, skull = raw_exam(with_skull(phantom)), Skull(phantom)
    prepared = prepare(exam, lambda: skull)
    assert skull.asked == "the t1ce series"
    assert not prepared.account.stripped
    reference = labels_on(phantom, exam.series["t1ce"])
    assert dice(segmented(backend, prepared).labels, reference, label_values=BRATS)["whole tumour"] > 0.85
    bare = prepare(exam, None, BARE)
    brain = (phantom.volumes["t1"] > 0).sum()
    for modality, volume in prepared.case.volumes.items():
        assert (volume.data > 0).sum() < 1.03 * brain
        assert (bare.case.volumes[modality].data > 0).sum() > 1.4 * brain
    box, whole = (segmented(backend, each).box.shape for each in (prepared, bare))
    assert np.prod(box) < 0.8 * np.prod(whole)


def test_a_stripped_exam_is_left_alone_and_that_is_said(phantom):
    prepared = prepare(raw_exam(phantom), lambda: Skull(phantom))
    assert prepared.account.stripped
    assert prepared.placement.mask is None
    assert prepared.account.notes == ("the exam is stripped already: nothing was taken away",)


def test_what_does_not_belong_together_is_refused(phantom):
    exam = raw_exam(phantom, dict.fromkeys(CLINICAL, (AXIAL, (4.0, 4.0, 4.0), (50, 56, 44))))
    apart = {name: replace(raw, frame_of_reference=f"1.2.{k % 2}") for k, (name, raw) in enumerate(exam.series.items())}
    with pytest.raises(CaseError, match=r"2 frames of reference.*pass --align rigid"):
        prepare(replace(exam, series=apart), None, BARE)
    with pytest.raises(CaseError, match="Raw has no flair, whose grid"):
        prepare(
            replace(exam, series={k: v for k, v in exam.series.items() if k != "flair"}), None, RawOptions(grid="flair")
        )
    away = exam.series["t2"].affine.copy()
    away[0, 3] += 2000
    far = {**exam.series, "t2": replace(exam.series["t2"], affine=away)}
    with pytest.raises(CaseError, match="the t2 series: none of it lies where the reference does"):
        prepare(replace(exam, series=far), None, BARE)


def test_motion_is_found_told_and_undone(phantom):
    motion = np.eye(4)
    motion[:3, 3] = (3, -4, 2)
    exam = raw_exam(phantom, dict.fromkeys(CLINICAL, (AXIAL, (2.0, 2.0, 2.0), (96, 110, 90))), moved={"flair": motion})
    still, moved = prepare(exam, None, BARE), prepare(exam, None, RawOptions(align="rigid", strip="never"))
    assert moved.account.motions["flair"].shift_mm == pytest.approx(np.linalg.norm((3, -4, 2)), abs=0.5)
    assert max(moved.account.motions[name].shift_mm for name in ("t1", "t2")) < 0.5
    assert [note[:20] for note in moved.account.notes] == ["flair had moved by 5"]
    assert still.account.notes == ()
    masks = [[prepared.case.volumes[name].data > 0 for name in ("t1ce", "flair")] for prepared in (still, moved)]
    overlap = [2 * (a & b).sum() / (a.sum() + b.sum()) for a, b in masks]
    assert overlap[1] > 0.98 > 0.96 > overlap[0]


def test_voxels_that_are_not_finite_are_told_of(phantom):
    exam = raw_exam(phantom, dict.fromkeys(CLINICAL, (AXIAL, (4.0, 4.0, 4.0), (50, 56, 44))))
    values = exam.series["t2"].volume.data.astype(np.float32)
    values[20:22, 20, 20] = np.nan, np.inf
    spoilt = {**exam.series, "t2": replace(exam.series["t2"], volume=Volume(values, 1.0, 0.0, "the t2 series"))}
    notes = prepare(replace(exam, series=spoilt), None, BARE).account.notes
    assert notes == ("the t2 series: t2 has 2 NaN or infinite voxels, treated as background",)


@pytest.mark.parametrize("align", ["header", "rigid"])
def test_a_series_of_many_metres_is_refused_before_memory_is_taken(phantom, align):
    exam = raw_exam(phantom, dict.fromkeys(CLINICAL, (AXIAL, (4.0, 4.0, 4.0), (50, 56, 44))))
    metres = np.diag([1000.0, 1000.0, 1000.0, 1.0]) @ exam.series["flair"].affine
    long = {**exam.series, "flair": replace(exam.series["flair"], affine=metres)}
    with pytest.raises(CaseError, match=r"the flair series: flair is 2.24e\+05 mm long .* up to 1024 mm"):
        prepare(replace(exam, series=long), None, RawOptions(strip="never", align=align))
