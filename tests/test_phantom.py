"""The demo's synthetic case: anatomy, tumour, contrast, files. Voxels of 2 mm keep it quick."""

from __future__ import annotations

from importlib.resources import files
from itertools import product

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from brats_trt.demo import make_phantom, write_case
from brats_trt.demo.atlas import load_atlas
from brats_trt.demo.fields import gather_linear, interpolation_matrix, resample, smooth_noise
from brats_trt.demo.phantom import brats_affine
from brats_trt.demo.tumour import shortest_times
from brats_trt.errors import CaseError

SHAPE = (120, 120, 78)
SEEDS = (0, 1, 2)
BRATS_AFFINE = [[-1, 0, 0, 0], [0, -1, 0, 239], [0, 0, 1, 0], [0, 0, 0, 1]]


@pytest.fixture(scope="module")
def phantoms():
    return {seed: make_phantom(seed, SHAPE) for seed in SEEDS}


@pytest.fixture(scope="module", params=SEEDS)
def phantom(request, phantoms):
    return phantoms[request.param]


def head_mm(phantom):
    """MNI-like coordinates of every voxel, (3, X, Y, Z)."""
    index = np.indices(phantom.labels.shape).reshape(3, -1)
    world = phantom.affine[:3, :3] @ index + phantom.affine[:3, 3:]
    return (world - np.array([[-119.5], [136.0], [71.0]])).reshape(3, *phantom.labels.shape)


def tissue(phantom):
    """Voxels that are surely white matter, grey matter and CSF, away from the tumour, by the atlas alone."""
    atlas = load_atlas()
    index = (head_mm(phantom) / 0.93 - atlas.affine[:3, 3].reshape(3, 1, 1, 1)) / 2
    far = ndimage.distance_transform_edt(phantom.labels == 0) > 10
    grey, white, t1 = (
        ndimage.map_coordinates(m.astype(float), index, order=1) for m in (atlas.grey, atlas.white, atlas.t1)
    )
    brain = (phantom.volumes["t1"] > 0) & far
    white_only = ndimage.binary_erosion(white > 240, iterations=1) & brain
    return {"white": white_only, "grey": (grey > 235) & (t1 > 150) & brain, "csf": (t1 < 75) & (t1 > 20) & brain}


def medians(phantom, modality):
    values = phantom.volumes[modality]
    names = {"core": 1, "oedema": 2, "rim": 4}
    masks = {**tissue(phantom), **{name: phantom.labels == value for name, value in names.items()}}
    assert all(mask.sum() > 20 for mask in masks.values())
    return {name: float(np.median(values[mask])) for name, mask in masks.items()}


def test_equal_seeds_give_equal_cases(phantoms):
    again = make_phantom(1, SHAPE)
    assert np.array_equal(again.labels, phantoms[1].labels)
    for modality, values in phantoms[1].volumes.items():
        assert np.array_equal(again.volumes[modality], values)


def test_other_seeds_give_other_cases(phantoms):
    for first, second in ((0, 1), (0, 2), (1, 2)):
        assert not np.array_equal(phantoms[first].labels, phantoms[second].labels)
        assert not np.array_equal(phantoms[first].volumes["t1"], phantoms[second].volumes["t1"])


def test_arrays_are_as_brats_stores_them(phantom):
    assert list(phantom.volumes) == ["t1", "t2", "t1ce", "flair"]
    for values in phantom.volumes.values():
        assert values.shape == SHAPE
        assert values.dtype == np.int16
        assert values.flags.f_contiguous
        assert values.min() == 0
    assert phantom.labels.shape == SHAPE
    assert phantom.labels.dtype == np.uint8
    assert phantom.labels.flags.f_contiguous
    assert np.array_equal(np.unique(phantom.labels), [0, 1, 2, 4])


def test_the_default_grid_has_the_affine_of_brats():
    assert np.array_equal(brats_affine((240, 240, 155)), BRATS_AFFINE)


def test_every_shape_covers_the_same_field_of_view():
    edges = []
    for shape in ((240, 240, 155), (120, 120, 78), (60, 48, 31)):
        affine = brats_affine(shape)
        edges.append([(affine @ [*corner, 1])[:3] for corner in ([-0.5] * 3, [n - 0.5 for n in shape])])
    np.testing.assert_allclose(edges, [edges[0]] * 3, atol=1e-9)


def test_all_modalities_and_labels_share_one_brain(phantom):
    masks = [values > 0 for values in phantom.volumes.values()]
    assert all(np.array_equal(masks[0], mask) for mask in masks)
    assert not (phantom.labels > 0)[~masks[0]].any()


def test_the_brain_is_of_human_size_and_inside_the_volume(phantom):
    brain = phantom.volumes["t1"] > 0
    litres = brain.sum() * abs(np.linalg.det(phantom.affine)) / 1e6
    assert 1.3 < litres < 1.8
    for axis in range(3):
        inside = np.flatnonzero(brain.any(axis=tuple(a for a in range(3) if a != axis)))
        assert 0 < inside[0] < inside[-1] < brain.shape[axis] - 1


def test_the_cerebellum_lies_low_and_behind(phantom):
    x, y, z = head_mm(phantom)
    brain = phantom.volumes["t1"] > 0
    low = brain & (z < -35)
    assert y[low & (np.abs(x) < 20)].mean() < -30
    assert abs(x[brain].mean()) < 5


def test_a_core_voxel_has_only_core_and_rim_around_it(phantom):
    inside = ndimage.binary_dilation(phantom.labels == 1, structure=np.ones((3, 3, 3)))
    assert set(np.unique(phantom.labels[inside])) == {1, 4}


def test_the_tumour_nests_core_in_rim_in_oedema(phantom):
    centres = [np.argwhere(np.isin(phantom.labels, values)).mean(axis=0) for values in ([1], [1, 4])]
    assert np.linalg.norm(centres[0] - centres[1]) < 3
    assert ndimage.label(np.isin(phantom.labels, [1, 4]), structure=np.ones((3, 3, 3)))[1] == 1
    millilitres = {v: (phantom.labels == v).sum() * abs(np.linalg.det(phantom.affine)) / 1e3 for v in (1, 2, 4)}
    assert 2 < millilitres[1] < 25
    assert 5 < millilitres[4] < 40
    assert 20 < millilitres[2] < 160


def test_t1_shows_white_above_grey_above_csf_and_a_dark_core(phantom):
    t1 = medians(phantom, "t1")
    assert t1["white"] > t1["grey"] > t1["csf"]
    assert t1["core"] < t1["oedema"] < t1["white"]


def test_contrast_agent_lights_up_the_rim_alone(phantom):
    t1ce = medians(phantom, "t1ce")
    assert t1ce["rim"] > 1.4 * max(value for name, value in t1ce.items() if name != "rim")
    assert t1ce["core"] < t1ce["grey"]
    assert medians(phantom, "t1")["rim"] < medians(phantom, "t1")["white"]


def test_t2_shows_fluid_bright(phantom):
    t2 = medians(phantom, "t2")
    assert t2["white"] < t2["grey"] < t2["oedema"] < t2["core"]
    assert t2["csf"] > t2["grey"]


def test_flair_suppresses_csf_and_shows_oedema_brightest(phantom):
    flair = medians(phantom, "flair")
    assert flair["csf"] < flair["core"] < flair["white"] < flair["grey"] < flair["rim"] < flair["oedema"]


def test_a_phantom_refuses_a_grid_too_coarse_for_a_tumour():
    with pytest.raises(CaseError, match="at least 24"):
        make_phantom(0, (240, 240, 8))


def test_a_case_is_written_as_brats_names_it(tmp_path, phantoms):
    folder = write_case(phantoms[0], tmp_path, "Case_7")
    assert folder == tmp_path / "Case_7"
    names = sorted(path.name for path in folder.iterdir())
    assert names == [f"Case_7_{kind}.nii.gz" for kind in ("flair", "seg", "t1", "t1ce", "t2")]


def test_a_written_case_reads_back_as_it_was(tmp_path, phantoms):
    folder = write_case(phantoms[0], tmp_path)
    expected = {**phantoms[0].volumes, "seg": phantoms[0].labels}
    for kind, values in expected.items():
        image = nib.load(folder / f"Phantom_0_{kind}.nii.gz")
        assert image.get_data_dtype() == values.dtype
        assert np.array_equal(np.asanyarray(image.dataobj), values)
        np.testing.assert_allclose(image.affine, phantoms[0].affine, atol=1e-4)
        assert (image.header["qform_code"], image.header["sform_code"]) == (1, 1)
        assert image.header.get_xyzt_units()[0] == "mm"
        assert image.header["descrip"].item() == b"brats_trt synthetic, research use only"


def test_writing_again_replaces_the_files(tmp_path, phantoms):
    write_case(phantoms[0], tmp_path)
    folder = write_case(phantoms[1], tmp_path)
    read = np.asanyarray(nib.load(folder / "Phantom_0_seg.nii.gz").dataobj)
    assert np.array_equal(read, phantoms[1].labels)
    assert len(list(folder.iterdir())) == 5


def test_the_atlas_is_small_read_only_and_carries_its_notice():
    atlas = load_atlas()
    assert {m.shape for m in (atlas.t1, atlas.grey, atlas.white, atlas.brain)} == {atlas.t1.shape}
    assert not atlas.t1.flags.writeable
    data = files("brats_trt.demo") / "data"
    assert len((data / "icbm152_2mm.npz").read_bytes()) < 1_000_000
    notice = " ".join((data / "NOTICE.md").read_text(encoding="utf-8").replace("\n>", "\n").split())
    assert "Louis Collins, McConnell Brain Imaging Centre" in notice
    assert "Permission to use, copy, modify, and distribute" in notice


def test_white_matter_lies_where_the_atlas_says_it_does():
    atlas = load_atlas()
    corpus_callosum, caudate_nucleus = [0, -2, 25], [14, 4, 18]
    for place, white in ((corpus_callosum, True), (caudate_nucleus, False)):
        voxel = tuple(np.rint((np.array(place) - atlas.affine[:3, 3]) / 2).astype(int))
        assert (atlas.white[voxel] > 128) == white


def test_interpolation_is_exact_on_the_samples_and_on_straight_lines():
    positions = np.array([0.0, 1.0, 2.25, 3.5, 6.0])
    line = interpolation_matrix(positions, 9) @ (3 * np.arange(9) + 1)
    np.testing.assert_allclose(line[1:], 3 * positions[1:] + 1, rtol=1e-6)
    assert line[0] == 1


def test_resampling_treats_the_axes_alike():
    values = np.random.default_rng(0).random((5, 6, 7), dtype=np.float32)
    places = (np.linspace(0, 4, 9), np.linspace(0, 5, 4), np.linspace(1, 5, 6))
    turned = resample(np.ascontiguousarray(values.T), (places[2], places[1], places[0]))
    np.testing.assert_allclose(resample(values, places), turned.T, atol=1e-6)


def test_gathering_equals_map_coordinates():
    rng = np.random.default_rng(3)
    maps = rng.random((6, 7, 8, 2), dtype=np.float32)
    places = (rng.random((50, 3)) * [4.9, 5.9, 6.9]).astype(np.float32)
    for channel, found in enumerate(gather_linear(maps, places).T):
        expected = ndimage.map_coordinates(maps[..., channel], places.T, order=1)
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_smooth_noise_has_unit_deviation_and_varies_over_its_wavelength():
    axes = (np.arange(90.0), np.arange(80.0), np.arange(70.0))
    for wavelength in (6.0, 14.0):
        noise = smooth_noise(np.random.default_rng(5), axes, wavelength)
        assert noise.std() == pytest.approx(1, abs=0.1)
        step = int(wavelength)
        near = np.corrcoef(noise[:-1].ravel(), noise[1:].ravel())[0, 1]
        far = np.corrcoef(noise[: -2 * step].ravel(), noise[2 * step :].ravel())[0, 1]
        assert near > 0.8
        assert abs(far) < 0.15


def test_shortest_times_follow_the_cheap_way_round_a_wall():
    cost = np.ones((9, 7, 1))
    cost[4, :6] = 50.0
    source = np.zeros(cost.shape, dtype=bool)
    source[3, 0] = True
    times = shortest_times(cost, source, np.ones(3))
    assert times[3, 0, 0] == 0
    assert times[2, 0, 0] == pytest.approx(1)
    assert times[5, 0, 0] > 10
    assert times[5, 0, 0] < 25


def test_shortest_times_satisfy_every_link():
    rng = np.random.default_rng(8)
    cost = rng.uniform(0.5, 3, (6, 5, 4))
    source = np.zeros(cost.shape, dtype=bool)
    source[0, 0, 0] = True
    lengths = np.array([1.0, 2.0, 1.5])
    times = shortest_times(cost, source, lengths)
    for step in product((-1, 0, 1), repeat=3):
        for place in np.ndindex(*cost.shape):
            other = tuple(p + s for p, s in zip(place, step, strict=True))
            if all(0 <= o < n for o, n in zip(other, cost.shape, strict=True)):
                link = (cost[place] + cost[other]) / 2 * np.linalg.norm(np.array(step) * lengths)
                assert times[other] <= times[place] + link + 1e-4
