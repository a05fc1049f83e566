"""Measures against brute force, on grids of every kind."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from cases import OBLIQUE
from nibabel.orientations import apply_orientation, inv_ornt_aff
from results import result_of
from scipy.ndimage import label
from scipy.spatial.distance import pdist

from brats_trt.measures import measure
from brats_trt.spec import LABEL_VALUES

ANISOTROPIC = np.diag([-0.5, -0.7, 4.0, 1.0])
SAGITTAL = np.array([[0, 0, 3.0, -40], [0.9, 0, 0, 10], [0, -0.9, 0, 5], [0, 0, 0, 1]])
TILTED = OBLIQUE @ np.array([[1, 0, 0, 0], [0, 0.8, -0.6, 0], [0, 0.6, 0.8, 0], [0, 0, 0, 1.0]])
AFFINES = {"anisotropic": ANISOTROPIC, "sagittal": SAGITTAL, "oblique": OBLIQUE, "tilted": TILTED}
HALVES = np.array(list(itertools.product((-0.5, 0.5), repeat=3)))
CLASSES = {"whole_tumour": (1, 2, 3), "tumour_core": (1, 3), "enhancing": (3,), "necrotic": (1,), "oedema": (2,)}
EIGHTH = np.array(list(itertools.product((-1, 1), repeat=3)))


@pytest.fixture(params=AFFINES)
def affine(request):
    return AFFINES[request.param]


def blobs(seed, shape=(14, 12, 9)):
    """Classes of a few smooth blobs, in one lesion or more."""
    random = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
    classes = np.zeros(shape, np.uint8)
    for _ in range(2):
        distance = np.linalg.norm(
            (grid - random.uniform(1, np.array(shape) - 2)) * random.uniform(0.7, 1.4, 3), axis=-1
        )
        for value, radius in ((2, 3.2), (3, 2.2), (1, 1.2)):
            classes[distance < radius] = value
    return classes


def corners_mm(voxels, affine):
    points = (voxels[:, None] + HALVES).reshape(-1, 3)
    return points @ affine[:3, :3].T + affine[:3, 3]


def farthest(points):
    return pdist(points).max()


def lesions_of(classes):
    return label(classes > 0, structure=np.ones((3, 3, 3)))


def true_diameter(mask, lesions, affine):
    return max(farthest(corners_mm(np.argwhere(mask & (lesions == n)), affine)) for n in np.unique(lesions[mask]))


def true_axial_diameter(mask, lesions, affine):
    """The plane of voxels is a sheet without thickness: its corners lie half a voxel off along its own two axes."""
    steps = affine[:3, :3]
    tilt = [np.abs(np.cross(steps[:, (a + 1) % 3], steps[:, (a + 2) % 3])) for a in range(3)]
    axis = int(np.argmax([t[2] / np.linalg.norm(t) for t in tilt]))
    flat = HALVES.copy()
    flat[:, axis] = 0
    best = 0.0
    for n, index in itertools.product(np.unique(lesions[mask]), range(mask.shape[axis])):
        voxels = np.argwhere(mask & (lesions == n))
        voxels = voxels[voxels[:, axis] == index]
        if len(voxels):
            best = max(best, farthest(((voxels[:, None] + flat).reshape(-1, 3)) @ steps.T))
    return best


@pytest.mark.parametrize("seed", range(6))
def test_lengths_and_places_equal_brute_force(seed, affine):
    classes = blobs(seed)
    lesions, number = lesions_of(classes)
    measures = measure(result_of(classes, affine))
    assert measures.lesions == number
    for name, values in CLASSES.items():
        mask, found = np.isin(classes, values), measures.structures[name]
        corners = corners_mm(np.argwhere(mask), affine)
        assert found.volume_ml == pytest.approx(mask.sum() * abs(np.linalg.det(affine[:3, :3])) / 1000)
        assert found.diameter_mm == pytest.approx(true_diameter(mask, lesions, affine), rel=1e-12)
        assert found.axial_diameter_mm == pytest.approx(true_axial_diameter(mask, lesions, affine), rel=1e-12)
        assert found.lower_mm == pytest.approx(corners.min(axis=0))
        assert found.upper_mm == pytest.approx(corners.max(axis=0))
        assert found.centroid_mm == pytest.approx(affine[:3, :3] @ np.argwhere(mask).mean(axis=0) + affine[:3, 3])


def test_some_of_those_cases_have_several_lesions():
    assert {lesions_of(blobs(seed))[1] for seed in range(6)} >= {1, 2}


def test_no_axial_diameter_exceeds_the_diameter(affine):
    for found in measure(result_of(blobs(0), affine)).structures.values():
        assert 0 < found.axial_diameter_mm <= found.diameter_mm


def test_one_voxel_measures_its_diagonals():
    classes = np.zeros((5, 5, 5), np.uint8)
    classes[2, 2, 2] = 3
    found = measure(result_of(classes, np.diag([2.0, 3.0, 6.0, 1.0]))).structures["enhancing"]
    assert found.diameter_mm == pytest.approx(7.0)
    assert found.axial_diameter_mm == pytest.approx(np.sqrt(13))
    assert measure(result_of(classes)).structures["necrotic"] is None


def test_a_ball_measures_its_diameter():
    grid = np.stack(np.meshgrid(*[np.arange(60)] * 3, indexing="ij"), -1)
    ball = np.linalg.norm(grid - 29.5, axis=-1) <= 25
    found = measure(result_of(ball * 2)).structures["oedema"]
    assert found.diameter_mm == pytest.approx(50, abs=np.sqrt(3))
    assert found.axial_diameter_mm == pytest.approx(50, abs=np.sqrt(2))


def test_two_lesions_far_apart_are_not_measured_as_one():
    classes = np.zeros((40, 10, 10), np.uint8)
    classes[2:6, 2:6, 2:6] = classes[32:35, 2:5, 2:5] = 2
    measures = measure(result_of(classes))
    assert measures.lesions == 2
    assert measures.structures["oedema"].diameter_mm == pytest.approx(4 * np.sqrt(3))
    assert measures.structures["oedema"].upper_mm[0] - measures.structures["oedema"].lower_mm[0] == 33
    assert all(2 <= index < 6 for index in measures.focus), "in the larger one"


def test_a_broken_ring_is_measured_across():
    classes = np.full((12, 12, 3), 1, np.uint8)
    classes[0], classes[-1] = 3, 3
    found = measure(result_of(np.pad(classes, 2))).structures["enhancing"]
    assert found.axial_diameter_mm == pytest.approx(12 * np.sqrt(2))


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("signs", EIGHTH.tolist())
def test_measures_do_not_depend_on_how_the_volume_is_stored(order, signs):
    classes = blobs(1)
    head = ((1, 2, 0), (14, 11, 8))
    orientation = np.column_stack([order, signs])
    stored = apply_orientation(classes, orientation)
    affine = OBLIQUE @ inv_ornt_aff(orientation, classes.shape)
    inside = np.zeros(classes.shape, bool)
    inside[tuple(map(slice, *head))] = True
    places = np.argwhere(apply_orientation(inside, orientation))
    turned = (places.min(axis=0).tolist(), (places.max(axis=0) + 1).tolist())
    straight = measure(result_of(classes, OBLIQUE, head=head))
    other = measure(result_of(stored, affine, head=turned))
    assert other.midline_mm == pytest.approx(straight.midline_mm)
    for name, found in straight.structures.items():
        for key, value in vars(found).items():
            assert getattr(other.structures[name], key) == pytest.approx(value), key


@pytest.mark.parametrize(("scheme"), LABEL_VALUES)
def test_every_label_scheme_measures_the_same(scheme):
    classes = blobs(2)
    assert measure(result_of(classes, scheme=scheme)) == measure(result_of(classes))


def side_case(where, affine):
    classes = np.zeros((21, 10, 10), np.uint8)
    classes[where, 3:6, 3:6] = 2
    return measure(result_of(classes, affine, head=((1, 0, 0), (20, 10, 10)))).structures["oedema"]


@pytest.mark.parametrize("shift", [0.0, -300.0, 300.0])
@pytest.mark.parametrize(("step", "low", "high"), [(1.0, "left", "right"), (-1.0, "right", "left")])
def test_the_side_is_the_patients_whatever_the_scanners_origin(step, low, high, shift):
    affine = np.diag([step, 1.0, 1.0, 1.0])
    affine[0, 3] = shift
    assert side_case(slice(2, 8), affine).side == low
    assert side_case(slice(13, 19), affine).side == high
    assert side_case(slice(4, 17), affine).side == "both sides"
    assert side_case(slice(4, 17), affine).left_share == pytest.approx(0.5), "voxels on the midline count half"


def test_a_side_takes_nine_tenths_of_the_volume():
    assert side_case(slice(1, 11), np.eye(4)).left_share == pytest.approx(0.95)
    assert side_case(slice(1, 11), np.eye(4)).side == "left"
    assert side_case(slice(2, 13), np.eye(4)).left_share == pytest.approx(8.5 / 11)
    assert side_case(slice(2, 13), np.eye(4)).side == "both sides"


def test_the_focus_lies_in_the_tumour_also_where_the_centroid_does_not(affine):
    x, y = np.meshgrid(np.arange(20), np.arange(20), indexing="ij")
    ring = np.abs(np.hypot(x - 10, y - 10) - 7) < 1.5
    classes = np.repeat((ring * 3)[..., None], 4, axis=2)
    assert classes[measure(result_of(classes, affine)).focus] == 3
    assert classes[10, 10, 2] == 0


def test_without_a_tumour_nothing_is_measured_and_the_focus_is_the_middle_of_the_head():
    measures = measure(result_of(np.zeros((10, 12, 14)), head=((2, 2, 2), (9, 11, 13))))
    assert set(measures.structures.values()) == {None}
    assert measures.lesions == 0
    assert measures.focus == (5, 6, 7)


def test_among_many_specks_the_largest_lesion_is_measured():
    classes = np.zeros((40, 40, 40), np.uint8)
    classes[::3, ::3, ::3] = 2
    classes[20:26, 20:23, 20] = 2
    measures = measure(result_of(classes))
    lesions, number = lesions_of(classes)
    assert measures.lesions == number > 2000
    largest = lesions == lesions[20, 20, 20]
    assert measures.structures["oedema"].diameter_mm == pytest.approx(true_diameter(largest, lesions, np.eye(4)))


def test_the_document_is_json_with_the_sides():
    import json

    classes = blobs(0)
    classes[classes == 1] = 3
    document = json.loads(json.dumps(measure(result_of(classes)).document()))
    assert document["structures"]["necrotic"] is None
    assert document["structures"]["oedema"]["side"] in ("left", "right", "both sides")
    assert len(document["structures"]["oedema"]["centroid_mm"]) == 3
