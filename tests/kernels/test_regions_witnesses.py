"""Rejection of small regions, for every tumour: SciPy, the host stage, the kernel. All three agree to the voxel."""

from __future__ import annotations

import numpy as np
import oracle
import pytest

from brats_trt.backends.regions import drop_small_regions
from brats_trt.geometry import Box
from kernels.stages import Stages
from kernels.tumours import TUMOURS, box_of, labelled

SHAPES = ((9, 8, 7), (12, 10, 11))
LONG = ((1024, 6, 5), (5, 1024, 6), (6, 5, 1024))
VALUES = ((0, 1, 2, 4), (0, 2, 1, 3))


def counts_of(labels, values):
    return tuple(int((labels == value).sum()) for value in values)


def assert_witnesses_agree(device, labels, *, values=(0, 1, 2, 4), min_region=0.1):
    expected = oracle.drop_small_regions(labels, min_region)
    hosts = labels.copy(order="K")
    left = drop_small_regions(
        hosts, counts_of(labels, values), Box(*box_of(labels)), min_region=min_region, label_values=values
    )
    np.testing.assert_array_equal(hosts, expected)
    assert left == counts_of(expected, values)
    kernels, kept = Stages(device, labels.shape).regions(labels, values=values, min_region=min_region)
    np.testing.assert_array_equal(kernels, expected)
    assert kept == counts_of(expected, values)
    return expected


@pytest.mark.parametrize("name", TUMOURS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_three_witnesses_drop_the_same_regions(device, shape, name):
    assert_witnesses_agree(device, labelled(name, shape))


@pytest.mark.parametrize("name", ["grid corners", "snake", "diagonal", "parted by a plane"])
@pytest.mark.parametrize("shape", LONG, ids=str)
def test_they_agree_along_the_longest_axis(device, shape, name):
    assert_witnesses_agree(device, labelled(name, shape))


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)], ids=str)
@pytest.mark.parametrize("values", VALUES, ids=str)
def test_they_agree_in_every_memory_order_and_label_scheme(device, order, values):
    labels = labelled("scattered", SHAPES[1], values)
    turned = np.ascontiguousarray(labels.transpose(order)).transpose(np.argsort(order))
    dropped = assert_witnesses_agree(device, turned, values=values)
    assert 0 < np.count_nonzero(dropped) < np.count_nonzero(labels), "the case has regions of both kinds"


@pytest.mark.parametrize("share", [0.02, 0.5, 1.0])
def test_they_agree_for_other_shares(device, share):
    assert_witnesses_agree(device, labelled("scattered", SHAPES[1]), min_region=share)


def test_a_corner_joins_two_blocks(device):
    labels = labelled("joined by a corner", (6, 6, 6))
    assert np.array_equal(assert_witnesses_agree(device, labels, min_region=1.0), labels)
