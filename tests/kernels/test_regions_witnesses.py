"""Every tumour less its small regions: SciPy, cc3d as the CPU backend calls it, the union-find kernels. All equal."""

from __future__ import annotations

import numpy as np
import oracle
import pytest
from emulator import Emulator
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from brats_trt.backends.regions import drop_small_regions
from brats_trt.geometry import Box
from kernels.stages import SmallDevice, Stages
from kernels.table import CASES, ORDERS, in_memory
from kernels.tumours import TUMOURS, box_of, labelled

FRACTIONS = (0.0, 0.02, 0.1, 0.3, 1.0)
SHAPES = [(9, 8, 7), (3, 3, 3), (2, 31, 5), (33, 4, 6), (17, 1, 9)]


def counts_of(labels, values):
    return tuple(int((labels == value).sum()) for value in values)


def hosts_answer(labels, values, fraction):
    kept = labels.copy(order="K")
    tumour = Box(*box_of(labels, values[0]))
    counts = counts_of(labels, values)
    return kept, drop_small_regions(kept, counts, tumour, min_region=fraction, label_values=values)


def assert_all_agree(device, labels, fraction, *, values=(0, 1, 2, 4)):
    expected = oracle.drop_small_regions(labels, fraction)
    stages = Stages(device, labels.shape)
    kernel = stages.regions(labels, values=values, min_region=fraction)
    for kept, counts in (hosts_answer(labels, values, fraction), kernel):
        assert np.array_equal(kept, expected)
        assert counts == counts_of(expected, values)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_tumour_of_every_case(device, case):
    memory = case.memory if case.memory in ORDERS else "xyz"
    labels = in_memory(labelled(case.tumour, case.shape, case.label_values), memory)
    assert_all_agree(device, labels, 0.1, values=case.label_values)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("tumour", TUMOURS)
def test_every_tumour_in_every_shape(device, tumour, shape):
    for number, fraction in enumerate(FRACTIONS):
        labels = in_memory(labelled(tumour, shape), ORDERS[number])
        assert_all_agree(device, labels, fraction)


@pytest.mark.parametrize("tumour", ["grid corners", "diagonal", "parted by a plane"])
@pytest.mark.parametrize("shape", [(1024, 6, 5), (5, 1024, 6), (6, 5, 1024)], ids=str)
def test_the_longest_axis(device, shape, tumour):
    assert_all_agree(device, labelled(tumour, shape), 0.1)


@pytest.mark.parametrize("memory", ORDERS)
@pytest.mark.parametrize("values", [(0, 1, 2, 4), (0, 2, 1, 3)], ids=str)
def test_every_memory_order_and_label_scheme(device, memory, values):
    labels = in_memory(labelled("scattered", (13, 14, 11), values), memory)
    assert_all_agree(device, labels, 0.1, values=values)
    assert 0 < oracle.drop_small_regions(labels, 0.1).astype(bool).sum() < (labels > 0).sum(), "some go, some stay"


@pytest.mark.parametrize("shift", [(1, 1, 1), (1, 1, -1), (1, -1, 1), (-1, 1, 1), (1, 1, 0), (0, 1, -1), (1, 0, 0)])
@pytest.mark.parametrize("memory", ["xyz", "zyx"])
def test_two_voxels_are_one_region_when_they_share_a_corner_an_edge_or_a_face(device, shift, memory):
    labels = np.zeros((7, 7, 7), np.uint8)
    labels[3, 3, 3] = 1
    labels[tuple(3 + step for step in shift)] = 4
    labels[0, 0, 0] = 2
    labels = in_memory(labels, memory)
    assert_all_agree(device, labels, 0.5)  # 1.5 voxels: the pair stays, the one goes
    assert oracle.drop_small_regions(labels, 0.5).astype(bool).sum() == 2


def test_neighbours_in_memory_are_no_neighbours_across_the_grid_s_edge(device):
    labels = np.zeros((5, 5, 5), np.uint8)
    labels[4, 1, 1], labels[0, 2, 1] = 1, 1  # next to each other in Fortran order
    labels[4, 4, 2], labels[0, 0, 3] = 2, 2
    labels[2, 2, 4] = 1
    for memory in ORDERS:
        assert_all_agree(device, in_memory(labels, memory), 0.3)
    assert not oracle.drop_small_regions(labels, 0.3).any()


def test_a_region_of_just_the_bound_stays(device):
    labels = np.zeros((12, 5, 5), np.uint8)
    labels[:9, 0, 0], labels[11, 4, 4] = 2, 1  # 0.1 of 10 voxels is 1
    assert_all_agree(device, labels, 0.1)
    assert oracle.drop_small_regions(labels, 0.1)[11, 4, 4] == 1


def test_a_tumour_larger_than_all_background_is_measured_against_the_rest(device):
    labels = labelled("parted by a plane", (12, 9, 8))
    assert (labels > 0).mean() > 0.5
    for fraction in FRACTIONS:
        assert_all_agree(device, labels, fraction)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.tuples(*[st.integers(1, 9)] * 3),
    density=st.floats(0, 1),
    fraction=st.sampled_from(FRACTIONS),
    memory=st.sampled_from(ORDERS),
)
def test_any_label_map(device, seed, shape, density, fraction, memory):
    random = np.random.default_rng(seed)
    labels = random.choice(np.array([1, 2, 4], np.uint8), shape)
    labels[random.random(shape) >= density] = 0
    assert_all_agree(device, in_memory(labels, memory), fraction)


class ShuffledDevice(SmallDevice):
    """Gives each block the work of another, so that blocks take their turns in another order."""

    def compile(self, source, kernel):
        other = "((blockIdx.x * 7919U + 13U) % gridDim.x)"
        assert "blockIdx.x" in source
        return super().compile(source.replace("blockIdx.x", other), kernel)


class BackwardDevice(SmallDevice):
    """Runs the last block first, and the last thread of each first."""

    def compile(self, source, kernel):
        source = source.replace("blockIdx.x", "(gridDim.x - 1U - blockIdx.x)")
        return super().compile(source.replace("threadIdx.x", "(blockDim.x - 1U - threadIdx.x)"), kernel)


@pytest.mark.parametrize("kind", [ShuffledDevice, BackwardDevice])
@pytest.mark.parametrize("tumour", ["snake", "scattered", "checkerboard", "everything", "diagonal"])
def test_the_order_of_blocks_and_threads_changes_nothing(kind, tumour):
    labels = in_memory(labelled(tumour, (40, 33, 29)), "zyx")  # 19 blocks: prime to 7919
    for fraction in (0.02, 0.1):
        assert_all_agree(kind(emulator=Emulator(threads=1)), labels, fraction)


@pytest.mark.parametrize("tumour", ["everything", "checkerboard", "snake"])
def test_no_order_makes_the_way_to_a_root_long(tumour):
    """Counted, not timed: with halving, a find takes some multiple of the logarithm of the voxels, on the average."""
    labels = labelled(tumour, (40, 33, 29))
    device = BackwardDevice(emulator=Emulator(threads=1))
    assert_all_agree(device, labels, 0.1)
    (report,) = [report for name, report in device.reports if name == "regions_join"]
    (parents,) = [counts for name, counts in report.buffers.items() if name.startswith("parents")]
    joins = 13 * labels.size / 32  # of a warp: its voxels have up to 13 neighbours of lower index
    assert parents.read_requests < joins * 2 * 2 * np.log2(labels.size)


def test_blocks_that_run_together_change_nothing():
    labels = labelled("snake", (40, 33, 29))
    for _ in range(3):
        assert_all_agree(SmallDevice(mode="fast", emulator=Emulator(threads=2)), labels, 0.1)
