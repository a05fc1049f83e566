"""The budget's arithmetic, by hand, and its page, which is what the script computes."""

from __future__ import annotations

from dataclasses import replace

import budget
import pytest
from budget import BAD, GOOD, Case, Day, Stage
from budget_devices import DEVICES, Device, pcie_gb_s
from budget_page import page

# 100 TFLOPS, 1000 GB/s, L1 4 x 125 x 2 = 1000 GB/s, 4 x 2 x 2 = 16 doubles and 8 conversions a nanosecond.
DEVICE = Device("made up", 100.0, 1000.0, 4, 4, 2.0, 125, 2, 1, ("nowhere",))
STAGES = (
    Stage("foreground", 4, 1000, 8_000_000, 1_000_000),
    Stage("scatter", 1, 2000, 3_000_000, 5_000_000),
)
CASE = Case(STAGES, 4, 80_000_000, 9_000_000, 500_000, 2_000_000, 1_000_000)
BY_NAME = {device.name: device for device in DEVICES}


def test_the_page_is_what_the_script_computes():
    written = (budget.DOCS / "budget.md").read_text(encoding="utf-8")
    assert written == page(budget.read_case(), DEVICES), "run scripts/budget.py"


def test_every_counted_kernel_belongs_to_one_stage():
    case = budget.read_case()
    kernels = [kernel for stage in budget.STAGES.values() for kernel in stage]
    assert len(kernels) == len(set(kernels))
    assert case.launches == 15
    assert case.uploaded == pytest.approx(4 * 2 * 240 * 240 * 155, rel=1e-4)
    assert case.labels == 240 * 240 * 155
    assert case.probabilities == 128**3 * 16


def test_a_stage_moves_its_launches_distinct_sectors_and_atomics_twice():
    counts = {
        "sectors_read": 10,
        "sectors_written": 7,
        "distinct_sectors_read": 5,
        "distinct_sectors_written": 4,
        "distinct_sectors_atomic": 3,
    }
    launch = {"kernel": "k", "threads": 64, "buffers": {"a": counts, "b": counts}}
    assert budget.stage_of("s", [launch, launch]) == Stage("s", 2, 128, 4 * 32 * (5 + 4 + 2 * 3), 4 * 32 * 10)


@pytest.mark.parametrize(("generation", "rate"), [(3, 15.754), (4, 31.508), (5, 63.015)])
def test_sixteen_lanes_carry_their_line_rate(generation, rate):
    assert pcie_gb_s(generation) == pytest.approx(rate, abs=1e-3)


def test_a_floor_is_the_later_of_memory_and_caches():
    assert budget.floor_us(STAGES[0], DEVICE) == pytest.approx(8.0)
    assert budget.floor_us(STAGES[1], DEVICE) == pytest.approx(5.0)
    assert budget.kernels_us(CASE, DEVICE) == pytest.approx(13.0)


def test_the_networks_floor_is_operations_over_the_tensor_peak():
    assert budget.network_us(DEVICE) == pytest.approx(4100.0)
    assert budget.network_us(BY_NAME["A100 40 GB PCIe"]) == pytest.approx(1314, abs=1)
    assert budget.network_us(BY_NAME["H100 SXM"]) == pytest.approx(414, abs=1)


def test_a_copy_goes_over_the_link_or_through_the_memory_that_is_shared():
    assert budget.link_us(63_015_385, DEVICE) == pytest.approx(2000.0, abs=0.01)
    assert budget.link_us(63_015_385, DEVICE, link=0.5) == pytest.approx(4000.0, abs=0.01)
    integrated = replace(DEVICE, pcie=None)
    assert budget.link_us(1_000_000, integrated) == pytest.approx(2.0)
    assert budget.link_us(1_000_000, integrated, memory=0.5) == pytest.approx(4.0)


def test_foregrounds_doubles_are_those_of_voxels_and_threads():
    doubles = 3 * 500_000 + 94 * 1000
    conversions = 500_000 + 11 * 1000
    assert budget.doubles_us(CASE, DEVICE) == pytest.approx((doubles / 16 + conversions / 8) / 1e3)


def test_a_run_is_the_sum_of_what_is_not_hidden():
    day = Day(link=0.5, memory=0.5, network=0.5, host_copy_gb_s=10.0, gap_us=2.0, network_launches=95)
    run = budget.expected(CASE, DEVICE, day)
    staging = 20_000_000 / 10e3  # slower than the link's 1269 us
    sending = 20_000_000 / (0.5 * 31.5077e3)
    assert run.upload == pytest.approx(4 * staging + sending, rel=1e-5)
    assert run.kernels == pytest.approx(budget.doubles_us(CASE, DEVICE) / 4 + 5.0 / 0.5)
    assert run.network == pytest.approx(8200.0)
    assert run.launches == pytest.approx(200.0)
    assert run.download == pytest.approx(9_000_000 / (0.5 * 31.5077e3), rel=1e-5)
    assert run.total == pytest.approx(run.upload + run.kernels + run.network + run.launches + run.download)
    fast_host = budget.expected(CASE, DEVICE, replace(day, host_copy_gb_s=1000.0))
    assert fast_host.upload == pytest.approx(20.0 + 4 * sending, rel=1e-5)


@pytest.mark.parametrize("device", DEVICES, ids=lambda device: device.name)
def test_no_day_beats_the_floors(device):
    case = budget.read_case()
    good, bad = budget.expected(case, device, GOOD), budget.expected(case, device, BAD)
    assert good.upload > budget.link_us(case.uploaded, device)
    assert good.network > budget.network_us(device)
    assert good.total < bad.total
    assert device.sources


def test_a_network_takes_longer_than_ten_times_the_kernels_exactly_below_a_device_s_limit():
    case = budget.read_case()
    limit = 0.1 * 410e9 / case.moved
    for device in DEVICES:
        by_bytes = sum(budget.micros(stage.moved, device.memory_gb_s) for stage in case.stages)
        assert (by_bytes <= 0.1 * budget.network_us(device)) == (device.flops_per_byte <= limit)
