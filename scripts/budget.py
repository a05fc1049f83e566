"""What a run on a GPU cannot do without, and what it should cost: docs/budget.md, computed, with nothing measured.

    python scripts/budget.py [--check]

The stages' bytes are the emulator's counts (docs/kernel_traffic.json), the devices' peaks their makers'
(scripts/budget_devices.py). Without options writes docs/budget.md; with --check exits with 1 where that file differs.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path

from budget_devices import DEVICES, Device

DOCS = Path(__file__).parents[1] / "docs"
SECTOR = 32
NETWORK_GFLOP = 410.0  # one pass over 128^3, multiplications and additions apart
TARGET = 0.10  # the kernels' share of the network's floor

# Which stage a kernel belongs to, in the order of a run.
STAGES = {
    "foreground": ("foreground",),
    "plan": ("plan",),
    "gather": ("gather",),
    "interleave": ("interleave",),
    "scatter": ("scatter",),
    "regions": ("regions_start", "regions_join", "regions_measure", "regions_drop"),
}

# Double-precision results that foreground needs, by its source: for a voxel above zero a conversion, a difference, a
# sum and a fused square; for a thread its moments and five merges with other lanes. A division takes about 8.
DOUBLES_PER_VOXEL, CONVERSIONS_PER_VOXEL = 3, 1
DOUBLES_PER_THREAD, CONVERSIONS_PER_THREAD = 5 * 15 + 19, 5 * 2 + 1


@dataclass(frozen=True)
class Day:
    """What is reached of the peaks in practice: assumed, not measured.

    Attributes
    ----------
    link, memory, network
        Shares of the link's line rate, of the memory's bandwidth by kernels that stream, and of the tensor peak by 3-D
        convolutions of few channels with their norms.
    host_copy_gb_s
        Into pinned memory, by four threads.
    gap_us
        Between one kernel and the next.
    network_launches
        Kernels that the network is made of.
    """

    link: float
    memory: float
    network: float
    host_copy_gb_s: float
    gap_us: float
    network_launches: int


GOOD = Day(link=0.90, memory=0.85, network=0.60, host_copy_gb_s=20.0, gap_us=1.0, network_launches=150)
BAD = Day(link=0.75, memory=0.60, network=0.30, host_copy_gb_s=8.0, gap_us=3.0, network_launches=400)


@dataclass(frozen=True)
class Stage:
    """The launches of one stage over a whole case.

    Attributes
    ----------
    moved
        Bytes between memory and caches where each sector moves once a launch.
    asked
        Bytes that warps ask the L1 caches for.
    """

    name: str
    launches: int
    threads: int
    moved: int
    asked: int


@dataclass(frozen=True)
class Case:
    """What a run over one case moves, as counted."""

    stages: tuple[Stage, ...]
    volumes: int
    uploaded: int  # bytes
    downloaded: int  # bytes
    foreground_voxels: int  # of all volumes together
    probabilities: int  # bytes that interleave writes and scatter reads
    labels: int  # bytes of the label map

    @property
    def launches(self) -> int:
        """Kernels of ours."""
        return sum(stage.launches for stage in self.stages)

    @property
    def moved(self) -> int:
        """Bytes between memory and caches, of all stages."""
        return sum(stage.moved for stage in self.stages)


def read_case(path: Path = DOCS / "kernel_traffic.json") -> Case:
    """The counts that `benchmarks/emulator.py --traffic` wrote."""
    found = json.loads(path.read_text(encoding="utf-8"))
    launches = found["launches"]
    stages = tuple(stage_of(name, [x for x in launches if x["kernel"] in kernels]) for name, kernels in STAGES.items())
    by_kernel = {launch["kernel"]: launch["buffers"] for launch in launches}
    return Case(
        stages,
        len(found["foreground_voxels"]),
        found["uploaded_bytes"],
        found["downloaded_bytes"],
        sum(found["foreground_voxels"]),
        SECTOR * by_kernel["scatter"]["probabilities"]["distinct_sectors_read"],
        SECTOR * by_kernel["scatter"]["labels"]["distinct_sectors_written"],
    )


def stage_of(name: str, launches: list[dict]) -> Stage:
    """The sum of some launches."""
    buffers = [counts for launch in launches for counts in launch["buffers"].values()]
    moved = sum(
        b["distinct_sectors_read"] + b["distinct_sectors_written"] + 2 * b["distinct_sectors_atomic"] for b in buffers
    )
    asked = sum(b["sectors_read"] for b in buffers)
    return Stage(name, len(launches), sum(x["threads"] for x in launches), SECTOR * moved, SECTOR * asked)


def micros(nbytes: float, gb_s: float) -> float:
    """Microseconds that bytes take at a rate."""
    return nbytes / (gb_s * 1e3)


def floor_us(stage: Stage, device: Device) -> float:
    """The later of memory, each sector once, and the L1 caches, each request."""
    return max(micros(stage.moved, device.memory_gb_s), micros(stage.asked, device.l1_gb_s))


def kernels_us(case: Case, device: Device) -> float:
    """The floor of all stages but the network."""
    return sum(floor_us(stage, device) for stage in case.stages)


def network_us(device: Device) -> float:
    """The floor of the network."""
    return NETWORK_GFLOP * 1e3 / device.tensor_tflops


def link_us(nbytes: float, device: Device, *, link: float = 1.0, memory: float = 1.0) -> float:
    """A copy between host and device; on an integrated device a copy within its memory, read and written."""
    if device.link_gb_s is None:
        return micros(2 * nbytes, device.memory_gb_s * memory)
    return micros(nbytes, device.link_gb_s * link)


def doubles_us(case: Case, device: Device) -> float:
    """About what foreground's double-precision arithmetic takes, over all volumes."""
    threads = case.stages[0].threads
    doubles = DOUBLES_PER_VOXEL * case.foreground_voxels + DOUBLES_PER_THREAD * threads
    conversions = CONVERSIONS_PER_VOXEL * case.foreground_voxels + CONVERSIONS_PER_THREAD * threads
    clocks = doubles / device.doubles + conversions / device.conversions
    return clocks / device.multiprocessors / device.boost_ghz / 1e3


@dataclass(frozen=True)
class Run:
    """What a run should cost under assumptions, in microseconds.

    Attributes
    ----------
    upload
        From the first byte staged to the last byte on the device; one volume is staged while another is on the link.
    kernels
        All stages but the foreground of the volumes that another's upload hides.
    """

    upload: float
    kernels: float
    network: float
    launches: float
    download: float

    @property
    def total(self) -> float:
        """From arrays in memory to the label map in memory."""
        return self.upload + self.kernels + self.network + self.launches + self.download


def expected(case: Case, device: Device, day: Day) -> Run:
    """A run on such a day."""
    volume = case.uploaded / case.volumes
    staging = micros(volume, day.host_copy_gb_s)
    sending = link_us(volume, device, link=day.link, memory=day.memory)
    foreground = max(floor_us(case.stages[0], device) / day.memory, doubles_us(case, device)) / case.volumes
    rest = sum(floor_us(stage, device) for stage in case.stages[1:]) / day.memory
    return Run(
        upload=staging + (case.volumes - 1) * max(staging, sending) + sending,
        kernels=foreground + rest,
        network=network_us(device) / day.network,
        launches=day.gap_us * (case.launches + day.network_launches),
        download=link_us(case.downloaded, device, link=day.link, memory=day.memory),
    )


def main() -> None:
    from budget_page import page

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare with docs/budget.md and write nothing")
    arguments = parser.parse_args()

    text = page(read_case(), DEVICES)
    target = DOCS / "budget.md"
    if not arguments.check:
        target.write_text(text, encoding="utf-8")
    elif target.read_text(encoding="utf-8") != text:
        sys.exit(f"{target} is not what scripts/budget.py computes: run it without --check")


if __name__ == "__main__":
    main()
