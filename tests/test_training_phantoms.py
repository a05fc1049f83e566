"""The phantoms of the training: kinds, regimes, artefacts, crops. Voxels of 2 to 5 mm keep them quick."""

from __future__ import annotations

from dataclasses import fields

import cc3d
import numpy as np
import oracle
import pytest
from phantoms import (
    HELD_OUT,
    HELD_OUT_CASES,
    IMAGE_KINDS,
    TRAINING,
    TUMOUR_KINDS,
    artefacts,
    make_case,
    make_crop,
    make_geometry,
    scan_geometry,
)
from phantoms.crop import CLASS_OF_LABEL
from phantoms.geometry import LEAST_SOLID_ML, load_geometry
from phantoms.lesions import NECROSIS, TISSUES
from phantoms.scan import MIXED, REPLACEABLE
from tolerances import GATHER

from brats_trt.demo.anatomy import Mass, _push
from brats_trt.spec import MODALITIES

VOXEL_MM = 5.0


@pytest.fixture(scope="module", params=[TRAINING, HELD_OUT], ids=lambda regime: regime.name)
def heads(request):
    return {kind: make_geometry(request.param, kind, 3, voxel_mm=VOXEL_MM) for kind in TUMOUR_KINDS}


@pytest.fixture(scope="module")
def ring():
    return make_geometry(TRAINING, "ring", 5, voxel_mm=VOXEL_MM)


def labels_of(geometry):
    return {int(value) for value in np.unique(geometry.labels)} - {0}


def labelled(geometry):
    return scan_geometry(geometry, "typical", 0).labels


def same(first, second):
    return all(np.array_equal(getattr(first, f.name), getattr(second, f.name)) for f in fields(first))


def test_a_kind_has_the_labels_that_it_is_named_for(heads):
    assert labels_of(heads["none"]) == set()
    assert labels_of(heads["non-enhancing"]) <= {1, 2}
    assert 1 in labels_of(heads["non-enhancing"])
    assert labels_of(heads["no-necrosis"]) == {2, 4}
    assert labels_of(heads["large"]) == labels_of(heads["patchy"]) == {1, 2, 4}


def test_kinds_differ_in_their_tissues(heads):
    def total(kind, tissue):
        return float(heads[kind].lesions[TISSUES.index(tissue)].sum())

    assert total("cystic", "cyst") > 0 == total("cystic", "necrosis")
    assert total("ring", "cyst") == total("ring", "plain") == 0 < total("ring", "enhancing")
    assert total("patchy", "plain") > 0
    assert total("patchy", "enhancing") > 0


def test_several_lesions_lie_apart():
    counts = []
    for seed in range(2):
        labels = labelled(make_geometry(TRAINING, "several", seed, voxel_mm=VOXEL_MM))
        counts.append(int(cc3d.connected_components(np.isin(labels, (1, 4)), connectivity=26).max()))
    assert max(counts) >= 2


def test_a_midline_tumour_lies_on_both_sides(heads):
    x = heads["midline"].axes[0]
    solid = np.isin(labelled(heads["midline"]), (1, 4)).sum(axis=(1, 2))
    assert solid[x < 0].sum() > 0 < solid[x > 0].sum()


def test_a_mass_moves_what_is_around_it_and_not_the_surface():
    mass = Mass((10.0, 0.0, 0.0), radius=20.0, shift=6.0)
    points = np.array([[10, 20, 0], [10, 200, 0], [10, 20, 0]], np.float32)
    moved = _push(points, mass, np.array([1, 1, 0], np.float32))
    assert np.allclose(moved, [[0, 6, 0], [0, 0, 0], [0, 0, 0]], atol=1e-5)
    soft, hard = (TRAINING.tumours[kind].softness for kind in ("mass-effect", "ring"))
    assert soft[1] < hard[0]


@pytest.mark.parametrize("regime", [TRAINING, HELD_OUT], ids=lambda regime: regime.name)
def test_no_tumour_is_lost_outside_of_the_brain(regime):
    for seed in range(4):
        geometry = make_geometry(regime, "small", seed, voxel_mm=8.0)
        solid = np.isin(geometry.labels, (1, 4)).sum() * np.prod(geometry.voxel_mm) / 1000
        assert solid >= LEAST_SOLID_ML


def test_equal_seeds_give_equal_geometries_and_scans(ring):
    again = make_geometry(TRAINING, "ring", 5, voxel_mm=VOXEL_MM)
    assert same(ring, again)
    first, second = (scan_geometry(geometry, MIXED, 11) for geometry in (ring, again))
    assert all(np.array_equal(first.volumes[m], second.volumes[m]) for m in MODALITIES)


def test_other_seeds_and_regimes_give_other_cases(ring):
    assert not same(ring, make_geometry(TRAINING, "ring", 6, voxel_mm=VOXEL_MM))
    assert not same(ring, make_geometry(HELD_OUT, "ring", 5, voxel_mm=VOXEL_MM))
    first, second = (scan_geometry(ring, MIXED, seed).volumes["t1"] for seed in (0, 1))
    assert not np.array_equal(first, second)


def test_a_geometry_comes_back_from_its_file(ring, tmp_path):
    path = tmp_path / "ring.npz"
    with path.open("wb") as file:
        ring.save(file)
    assert same(load_geometry(path), ring)


@pytest.mark.parametrize("image", [*IMAGE_KINDS, MIXED])
def test_images_are_whole_steps_above_zero_inside_and_zero_outside(ring, image):
    scan = scan_geometry(ring, image, 2)
    for values in scan.volumes.values():
        inside = values[values > 0]
        assert inside.size > 0.7 * ring.brain.sum()
        assert inside.min() >= 1
        assert np.array_equal(inside, np.rint(inside))
        assert values.max() <= 32767
    assert not scan.labels[~ring.brain].any()


def test_typical_images_cover_the_brain_and_nothing_else(ring):
    for values in scan_geometry(ring, "typical", 2).volumes.values():
        assert np.array_equal(values > 0, ring.brain)


def test_missing_slices_are_missing_in_one_modality(ring):
    volumes = scan_geometry(ring, "missing-slices", 2).volumes
    lost = [m for m, values in volumes.items() if not np.array_equal(values > 0, ring.brain)]
    assert len(lost) == 1
    gone = ring.brain.any(axis=(0, 1)) & ~(volumes[lost[0]] > 0).any(axis=(0, 1))
    assert 1 <= gone.sum() <= len(gone) / 10


def test_a_replaced_modality_knows_nothing_of_the_head(ring):
    volumes = scan_geometry(ring, "replaced", 2).volumes
    white = ring.tissue[0].astype(float)
    correlations = {m: abs(np.corrcoef(values[ring.brain], white)[0, 1]) for m, values in volumes.items()}
    unseen = [m for m, value in correlations.items() if value < 0.05]
    assert len(unseen) == 1
    assert unseen[0] in REPLACEABLE


def test_imperfect_stripping_leaves_what_is_no_brain(ring):
    volumes = scan_geometry(ring, "stripping", 2).volumes
    masks = [values > 0 for values in volumes.values()]
    assert all(np.array_equal(mask, masks[0]) for mask in masks)
    assert (masks[0] & ~ring.brain).sum() > 20


def roughness(volume):
    return [float(np.abs(np.diff(volume, axis=axis)).mean()) for axis in range(3)]


@pytest.fixture(scope="module")
def grain():
    return np.random.default_rng(0).normal(100, 10, (24, 26, 28)).astype(np.float32)


def test_a_blur_smooths_every_axis(grain):
    blurred = artefacts.blur(np.random.default_rng(0), grain, (1.0, 1.0, 1.0), (0.6, 0.9))
    assert all(after < 0.8 * before for after, before in zip(roughness(blurred), roughness(grain), strict=True))
    assert blurred.mean() == pytest.approx(grain.mean(), rel=0.01)


@pytest.mark.parametrize("seed", range(6))
def test_thick_slices_smooth_one_axis_most(grain, seed):
    thick = artefacts.thicken_slices(np.random.default_rng(seed), grain, (1.0, 1.0, 1.0), (4.0, 5.0))
    first, second, _ = sorted(after / before for after, before in zip(roughness(thick), roughness(grain), strict=True))
    assert thick.shape == grain.shape
    assert first < 0.3 < second
    assert thick.mean() == pytest.approx(grain.mean(), rel=0.02)


def test_ghosts_are_copies_at_equal_distances():
    point = np.zeros((41, 41, 5), np.float32)
    point[20, 20, 2] = 100
    moved = artefacts.ghosts(np.random.default_rng(1), point, (1.0, 1.0, 1.0), (2, 2), (6.0, 8.0))
    line = max(moved[20, :, 2], moved[:, 20, 2], key=np.sum)
    peaks = np.flatnonzero((line > 0) & (line >= np.roll(line, 1)) & (line >= np.roll(line, -1)))
    assert len(peaks) == 5
    assert len(set(np.diff(peaks))) == 1


@pytest.mark.parametrize("grain_voxels", [0.0, 0.5])
def test_noise_is_as_strong_as_asked_where_the_signal_is(grain_voxels):
    flat, rng = np.full((30, 30, 30), 1000, np.float32), np.random.default_rng(2)
    if grain_voxels:
        noisy = artefacts.correlated_rician(rng, flat, 20.0, grain_voxels)
    else:
        noisy = artefacts.rician(rng, flat, 20.0)
    assert noisy.std() == pytest.approx(20, rel=0.05)
    neighbours = np.corrcoef(noisy[1:].ravel(), noisy[:-1].ravel())[0, 1]
    assert (neighbours > 0.1) == bool(grain_voxels)


def test_contrast_agent_shows_in_t1ce():
    geometry = make_geometry(TRAINING, "no-necrosis", 1, voxel_mm=3.0)
    for seed in range(5):
        scan = scan_geometry(geometry, "contrast", seed)
        values = scan.volumes["t1ce"]
        assert np.median(values[scan.labels == 4]) > np.median(values[geometry.brain & (scan.labels == 0)])


def test_the_network_sees_a_scan_as_the_segmenter_would(ring):
    phantom = make_case(TRAINING, "ring", "typical", 5, voxel_mm=VOXEL_MM)
    found = make_crop(scan_geometry(ring, "typical", 5), 32)
    expected, box = oracle.prepare([phantom.volumes[m] for m in MODALITIES], (32,) * 3)
    assert found.crop.shape == (4, 32, 32, 32)
    inner = oracle.unclamped(tuple(stop - start for start, stop in zip(*box, strict=True)), (32,) * 3)
    assert abs(found.crop - expected.reshape(found.crop.shape))[(slice(None), *inner)].max() < GATHER


def test_classes_lead_back_to_the_labels():
    geometry = make_geometry(TRAINING, "large", 1, voxel_mm=3.0)
    scan = scan_geometry(geometry, "typical", 0)
    found = make_crop(scan, 64)
    volumes = [scan.volumes[m][::-1, ::-1] for m in MODALITIES]
    box = oracle.authors_box(volumes)
    labels = oracle.restore(np.eye(4)[found.classes].transpose(3, 0, 1, 2)[None], box, volumes[0].shape)
    expected = scan.labels[::-1, ::-1]
    for value in (1, 2, 4):
        both = ((labels == value) & (expected == value)).sum()
        assert 2 * both / ((labels == value).sum() + (expected == value).sum()) > 0.95


def test_classes_are_those_of_the_labels():
    assert [int(CLASS_OF_LABEL[label]) for label in (0, NECROSIS, 2, 4)] == [0, 1, 2, 3]


def test_the_held_out_cases_are_forty_of_every_kind():
    assert len(HELD_OUT_CASES) == len({case.name for case in HELD_OUT_CASES}) == 40
    assert {case.tumour for case in HELD_OUT_CASES} == set(TUMOUR_KINDS)
    assert {case.image for case in HELD_OUT_CASES} == set(IMAGE_KINDS)


def test_the_held_out_regime_is_unlike_the_training():
    assert HELD_OUT.stream != TRAINING.stream
    assert HELD_OUT.patch_wavelength != TRAINING.patch_wavelength
    for part in ("head", "scanner"):
        held, trained = getattr(HELD_OUT, part), getattr(TRAINING, part)
        assert all(getattr(held, f.name) != getattr(trained, f.name) for f in fields(held))
    for kind in set(TUMOUR_KINDS) - {"none"}:
        assert HELD_OUT.tumours[kind].radius != TRAINING.tumours[kind].radius
        assert HELD_OUT.tumours[kind].swell != TRAINING.tumours[kind].swell


def test_an_unknown_kind_is_refused(ring):
    with pytest.raises(ValueError, match="the kind of tumour is 'cube'; expected one of ring"):
        make_geometry(TRAINING, "cube", 0, voxel_mm=VOXEL_MM)
    with pytest.raises(ValueError, match="the kind of image is 'xray'; expected mixed or one of typical"):
        scan_geometry(ring, "xray", 0)
