"""A whole case through every kernel at the network's real size, every access checked, and the bytes that it moves.

The targets of the reads are derived in docs/kernels.md.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import oracle
import pytest
from budget_devices import DEVICES
from tolerances import HALF_GATHER_ON_DEVICE
from whole_case import OPTIONS, SIZE, run_whole_case, traffic

from brats_trt import _host
from brats_trt.spec import MODALITIES

STORED = Path(__file__).parents[1] / "docs" / "kernel_traffic.json"
SECTOR = 32
VOXEL = 2  # bytes of an int16
CLASSES = 16  # bytes of a sample's four probabilities
# Their order of accesses depends on that of threads, or their number on the host's compiler.
UNSTEADY = {"parents", "sizes", "setup", "plan", "parts", "kept", "gather taps", "scatter taps"}


@pytest.fixture(scope="module")
def checked():
    return run_whole_case(mode="checked")


@pytest.fixture(scope="module")
def fast():
    return run_whole_case(mode="fast")


def box_of(run):
    return run.outcome.box.lower, run.outcome.box.upper


def input_of(run):
    return run.backend._memory.input.read(np.float16, (4, *SIZE)).astype(np.float32)


def softmax_of(run):
    return run.backend._memory.softmax.buffer.read(np.float16, (4, *SIZE)).astype(np.float32)


def test_the_crop_is_the_hosts(checked):
    assert checked.case.shape == (240, 240, 155)
    crop = input_of(checked)
    for channel, name in enumerate(MODALITIES):
        data = checked.case.volumes[name].data
        assert data.dtype == np.int16
        assert data.flags.f_contiguous
        found = _host.foreground(data)
        expected = np.zeros((1, 4, *SIZE), np.float32)
        _host.gather(data, box_of(checked), expected, channel, mean=found.mean, variance=found.variance)
        np.testing.assert_allclose(crop[channel], expected[0, channel], rtol=0, atol=HALF_GATHER_ON_DEVICE)


def test_the_label_map_is_the_oracles_but_for_ties_in_float32(checked):
    softmax = softmax_of(checked)
    restored = oracle.restore_probabilities(softmax[None].astype(np.float64), box_of(checked))
    second, first = np.sort(restored, axis=0)[-2:]
    labels = np.zeros(checked.case.shape, np.uint8)
    labels[checked.outcome.box.slices] = np.array(OPTIONS.label_values, np.uint8)[restored.argmax(axis=0)]
    labels = oracle.drop_small_regions(labels, OPTIONS.min_region)
    different = checked.outcome.labels != labels
    assert set(np.unique(labels)) == set(OPTIONS.label_values)
    assert different.mean() < 1e-6
    assert (first - second)[different[checked.outcome.box.slices]].max(initial=0.0) < 1e-5
    assert checked.outcome.counts == tuple(int((checked.outcome.labels == v).sum()) for v in OPTIONS.label_values)


def test_unchecked_kernels_give_the_same_bits(checked, fast):
    assert np.array_equal(input_of(fast), input_of(checked))
    assert np.array_equal(fast.outcome.labels, checked.outcome.labels)
    assert fast.outcome.counts == checked.outcome.counts


def test_the_stored_traffic_is_what_the_kernels_move(checked):
    """Write it anew with `python benchmarks/emulator.py --traffic docs/kernel_traffic.json`."""
    stored = json.loads(STORED.read_text(encoding="utf-8"))
    found = json.loads(json.dumps(traffic(checked)))
    assert steady(found) == steady(stored)
    assert [launch["kernel"] for launch in found["launches"]].count("gather") == 4


def steady(found):
    """Without the counts of requests that may differ between runs or compilers; distinct sectors stay."""
    for launch in found["launches"]:
        for name in UNSTEADY & set(launch["buffers"]):
            for direction in ("sectors_read", "sectors_written"):
                del launch["buffers"][name][direction]
    return found


def reports_of(run, kernel, buffer):
    found = [
        counts
        for launched, report in run.device.reports
        for name, counts in report.buffers.items()
        if launched == kernel and name.startswith(buffer)
    ]
    assert found, "the kernel touched the buffer"
    return found


def lower_neighbours(samples, voxels):
    """Where each of `samples` samples over `voxels` voxels, ends aligned, has its lower neighbour."""
    positions = np.arange(samples) * ((voxels - 1) / (samples - 1))
    return np.minimum(positions.astype(np.int64), voxels - 2)


def needed(samples, voxels):
    """The voxels along an axis that some sample reads."""
    lower = lower_neighbours(samples, voxels)
    return np.unique([lower, lower + 1])


def most_sectors(elements, nbytes):
    """That so many neighbouring elements can touch, wherever they begin."""
    return ((elements - 1) * nbytes + SECTOR - 1) // SECTOR + 1


def test_gather_reads_each_needed_sector_from_memory_and_no_other(checked):
    lower, upper = box_of(checked)
    planes = [a + needed(n, b - a) for a, b, n in zip(lower, upper, SIZE, strict=True)]
    strides = [VOXEL, VOXEL * 240, VOXEL * 240 * 240]  # buffers begin at a multiple of 256
    x, y, z = np.ix_(*[plane * stride for plane, stride in zip(planes, strides, strict=True)])
    sectors = len(np.unique((x + y + z) // SECTOR))
    width = VOXEL * len(planes[0])
    for counts in reports_of(checked, "gather", "volume"):
        assert counts.distinct_sectors_read == sectors
        overfetch = SECTOR * counts.distinct_sectors_read / (VOXEL * x.size * y.size * z.size)
        assert 1 <= overfetch <= 1 + (63 - VOXEL) / width


def test_scatter_reads_each_probability_from_memory_once(checked):
    lower, upper = box_of(checked)
    for n, a, b in zip(SIZE, lower, upper, strict=True):
        assert len(needed(b - a, n)) == n, "a head of this size needs every sample"
    (counts,) = reports_of(checked, "scatter", "probabilities")
    assert counts.distinct_sectors_read == np.prod(SIZE) * CLASSES // SECTOR


def test_gathers_warps_ask_for_no_more_sectors_than_their_tile_spans(checked):
    lower, upper = box_of(checked)
    step = (upper[0] - lower[0] - 1) / (SIZE[0] - 1)
    span = most_sectors(int(np.ceil(31 * step)) + 1, VOXEL)
    requests = 8 * np.prod(SIZE) // 32
    for counts in reports_of(checked, "gather", "volume"):
        assert counts.read_requests == requests
        assert counts.sectors_read <= requests * span
        # No warp can do with less than its 32 values take.
        assert counts.sectors_read >= requests * 32 * VOXEL // SECTOR


def test_scatters_warps_ask_for_no_more_sectors_than_their_lanes_span(checked):
    lower, upper = box_of(checked)
    width, height, depth = (b - a for a, b in zip(lower, upper, strict=True))
    step = (SIZE[0] - 1) / (width - 1)
    pieces = (width + 30) // 32 + 1  # that warps cut a row of the box into, at most
    samples = (width - pieces) * step + 2 * pieces  # that one row of corners of them touches, at most
    most = 8 * height * depth * (samples * CLASSES / SECTOR + pieces)
    (counts,) = reports_of(checked, "scatter", "probabilities")
    assert counts.sectors_read <= most
    assert counts.read_efficiency >= 0.9


@pytest.mark.parametrize(("kernel", "slower"), [("gather", set()), ("interleave", set()), ("scatter", {"H100 SXM"})])
def test_caches_serve_what_warps_ask_for_before_memory_has_delivered(checked, kernel, slower):
    for launched, report in checked.device.reports:
        if launched == kernel:
            asked = sum(counts.sectors_read for counts in report.buffers.values())
            moved = sum(counts.least_bytes_moved for counts in report.buffers.values()) / SECTOR
            assert {device.name for device in DEVICES if asked / moved > device.l1_over_memory} <= slower
