"""The page docs/budget.md: every figure in it comes from `budget`."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

from budget import (
    BAD,
    DOUBLES_PER_THREAD,
    DOUBLES_PER_VOXEL,
    GOOD,
    NETWORK_GFLOP,
    TARGET,
    Case,
    Day,
    doubles_us,
    expected,
    floor_us,
    kernels_us,
    link_us,
    micros,
    network_us,
)
from budget_devices import CUDA_GUIDE, Device

HEAD = """# Budget of a run on a GPU

Computed by `scripts/budget.py`; **nothing on this page was measured on a GPU.** A floor is what the published peaks
allow at best: bytes over bandwidth, operations over tensor peak. The bytes are the emulator's counts over a whole case
(240x240x155, int16, a crop of 128^3 in FP16, no mirroring; `docs/kernel_traffic.json`): each 32-byte sector that a
launch touches moves once, and no cache keeps anything from one launch to the next. A device whose L2 cache does may
need less.
"""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Markdown."""
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def wrapped(text: str) -> str:
    """Paragraphs and bullets, apart by empty lines or "- ", in lines of at most 120 characters."""
    parts = []
    for paragraph in text.split("\n\n"):
        bullets = " ".join(paragraph.split()).split(" - ") if paragraph.startswith("- ") else []
        for bullet in bullets:
            bullet = bullet.removeprefix("- ")
            parts.append(_fill(f"- {bullet}", "  "))
        if not bullets:
            parts.append(_fill(" ".join(paragraph.split()), ""))
        parts[-1] += "\n"
    return "\n".join(parts).rstrip("\n")


def _fill(text: str, indent: str) -> str:
    return textwrap.fill(text, 120, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def megabytes(nbytes: float) -> str:
    """As the tables have it."""
    return f"{nbytes / 1e6:.1f}"


def micro(value: float) -> str:
    """As the tables have it."""
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}"


def share(part: float, whole: float) -> str:
    """As the tables have it."""
    return f"{part / whole:.1%}"


def stages_table(case: Case) -> str:
    """What each stage moves."""
    rows = [[s.name, str(s.launches), megabytes(s.moved), megabytes(s.asked)] for s in case.stages]
    rows.append(["all", str(case.launches), megabytes(case.moved), megabytes(sum(s.asked for s in case.stages))])
    return table(["stage", "launches", "MB from and to memory", "MB asked of L1"], rows)


def devices_table(devices: Sequence[Device]) -> str:
    """The peaks."""
    rows = [
        [
            d.name,
            f"{d.tensor_tflops:g}",
            f"{d.memory_gb_s:g}",
            "shared memory" if d.link_gb_s is None else f"PCIe {d.pcie}.0 x16: {d.link_gb_s:.1f}",
            f"{d.flops_per_byte:.0f}",
            f"{d.l1_over_memory:.1f}",
        ]
        for d in devices
    ]
    head = ["device", "TFLOPS", "memory GB/s", "link GB/s", "operations a byte of memory", "L1 bytes a byte of memory"]
    return table(head, rows)


def floors_table(case: Case, devices: Sequence[Device]) -> str:
    """Microseconds at peak."""
    rows = []
    for d in devices:
        stages = [micro(floor_us(stage, d)) for stage in case.stages]
        before, after = stages[:3], stages[3:]
        up, down = (micro(link_us(n, d)) for n in (case.uploaded, case.downloaded))
        rows.append([d.name, up, *before, f"**{micro(network_us(d))}**", *after, down])
    names = [stage.name for stage in case.stages]
    return table(["device, µs", "upload", *names[:3], "network", *names[3:], "download"], rows)


def shares_table(case: Case, devices: Sequence[Device]) -> str:
    """The kernels against the network."""
    rows = []
    for d in devices:
        network, kernels, foreground = network_us(d), kernels_us(case, d), floor_us(case.stages[0], d)
        behind_upload = kernels - foreground * (1 - 1 / case.volumes)
        slower = kernels - foreground + max(foreground, doubles_us(case, d))
        met = "yes" if kernels <= TARGET * network else "no"
        rows.append(
            [
                d.name,
                micro(kernels),
                share(kernels, network),
                met,
                share(behind_upload, network),
                share(slower, network),
            ]
        )
    head = [
        "device",
        "kernels µs",
        "of the network's floor",
        f"at most {TARGET:.0%}",
        "less what the upload hides",
        "with foreground's arithmetic",
    ]
    return table(head, rows)


def savings_table(case: Case, devices: Sequence[Device]) -> str:
    """The kernels' share without what the data does not force."""
    halved = case.moved - case.probabilities
    boxed = halved - 4 * case.labels
    rows = []
    for d in devices:
        peak = network_us(d) * d.memory_gb_s * 1e3  # bytes while the network runs
        rows.append([d.name, share(halved, peak), share(boxed, peak)])
    return table(["device", "probabilities in FP16", "and no pass over the label map for regions"], rows)


def runs_table(case: Case, devices: Sequence[Device]) -> str:
    """Milliseconds, from a good day to a bad one."""
    rows = []
    for d in devices:
        good, bad = expected(case, d, GOOD), expected(case, d, BAD)
        parts = ("upload", "kernels", "network", "launches", "download", "total")
        rows.append([d.name, *(f"{getattr(good, p) / 1e3:.2f} to {getattr(bad, p) / 1e3:.2f}" for p in parts)])
    return table(["device, ms", "upload", "kernels", "network", "launches", "download", "run"], rows)


def days_table() -> str:
    """The assumptions."""
    names = {
        "link": "of the link's line rate",
        "memory": "of the memory's bandwidth, by our kernels",
        "network": "of the tensor peak, by the network",
        "host_copy_gb_s": "GB/s into pinned memory, four threads",
        "gap_us": "µs between one kernel and the next",
        "network_launches": "kernels of the network",
    }

    def value(day: Day, name: str) -> str:
        number = getattr(day, name)
        return f"{number:.0%}" if number < 1 else f"{number:g}"

    return table(["assumed", "good", "bad"], [[text, value(GOOD, n), value(BAD, n)] for n, text in names.items()])


def listed(devices: Sequence[Device]) -> str:
    """Names in a sentence."""
    names = [d.name for d in devices]
    if len(names) < 2:
        return names[0] if names else "none of them"
    return f"{', '.join(names[:-1])} and {names[-1]}"


def floors_text(case: Case, devices: Sequence[Device]) -> str:
    """What the floors say."""
    cached = [f"{s.name} on {d.name}" for d in devices for s in case.stages if s.moved * d.l1_over_memory < s.asked]
    longer = [d for d in devices if d.pcie and link_us(case.uploaded, d) > network_us(d)]
    pcie4 = next(d for d in devices if d.pcie == 4)
    line, good, bad = (link_us(case.uploaded, pcie4, link=x) / 1e3 for x in (1.0, GOOD.link, BAD.link))
    return wrapped(f"""A stage's floor is the later of memory and the L1 caches. The caches are the later one for
{", ".join(cached) or "no stage"}, and nowhere else. The network's floor is {NETWORK_GFLOP:.0f} GFLOP at the tensor
peak; its own memory traffic is left out.

**The upload is a bound that no kernel lowers.** Over PCIe 4.0 x16 it takes {line:.1f} ms at line rate, {good:.1f} ms at
{GOOD.link:.0%} of it and {bad:.1f} ms at {BAD.link:.0%}; {micros(case.uploaded, 25) / 1e3:.1f} ms at 25 GB/s. At peak
it takes longer than the network on {listed(longer)}. Volumes that lie on the device already are used in place and need
none. The Orin has no PCIe between processor and GPU: its columns are the copies between pinned memory and the device's
that the backend makes there too, read and written in the memory they share.""")


def shares_text(case: Case, devices: Sequence[Device]) -> str:
    """What the shares say."""
    met = [d for d in devices if kernels_us(case, d) <= TARGET * network_us(d)]
    limit = TARGET * NETWORK_GFLOP * 1e9 / case.moved
    above = [d for d in devices if d.flops_per_byte > limit]
    slow = [d for d in devices if doubles_us(case, d) > floor_us(case.stages[0], d)]
    return wrapped(f"""By bytes the target is met on {listed(met)}. Why: {megabytes(case.moved)} MB take {TARGET:.0%} of
the time of {NETWORK_GFLOP:.0f} GFLOP where tensor cores do {limit:.0f} operations while memory delivers a byte, and
they do more on {listed(above)} (see Peaks). A network that reaches half of the tensor peak takes twice its floor, and
the kernels' share of that is half.

- What the upload hides: the foreground of every volume but the last runs while the next is staged and sent.
- Foreground's arithmetic: it sums in double precision, {DOUBLES_PER_VOXEL} results a voxel above zero and
{DOUBLES_PER_THREAD} a thread that merges, with a division taken as 8. That takes longer than its bytes on
{listed(slow)}.
- What the data does not force: probabilities in FP32 between interleave and scatter, and four passes over the label map
that look for the tumour's voxels. With half of the one, and with nothing of the other at best, the share of the
network's floor by bytes would be:""")


def runs_text(case: Case, devices: Sequence[Device]) -> str:
    """What the runs say."""
    days = (GOOD, BAD)
    network = [d for d in devices if all(2 * expected(case, d, x).network > expected(case, d, x).total for x in days)]
    upload = [d for d in devices if all(2 * expected(case, d, x).upload > expected(case, d, x).total for x in days)]
    paced = [d for d in devices if d.link_gb_s and all(x.host_copy_gb_s < x.link * d.link_gb_s for x in days)]
    return wrapped(f"""From arrays in memory to the label map in memory: ranges that follow from the assumptions below
and are no better than they. The upload includes staging in pinned memory, a volume ahead of the link; where the host
copies more slowly than the link sends ({listed(paced)}), staging sets the pace. Kernels are those that no upload hides.
More than half of a run is the network's on {listed(network)}, and the upload's on {listed(upload)}.""")


def sources_text(devices: Sequence[Device]) -> str:
    """Where the peaks stand."""
    lines = [f"- {d.name}: {'; '.join(d.sources)}." for d in devices]
    lines.append(f"- Double precision: {CUDA_GUIDE}.")
    lines.append(
        "- PCIe: PCI Express Base Specification: 8, 16 and 32 GT/s a lane in generations 3, 4 and 5, 128 bits of data "
        "in 130."
    )
    return wrapped("\n".join(lines))


def page(case: Case, devices: Sequence[Device]) -> str:
    """The whole text."""
    sections = (
        HEAD + "\n## What moves",
        stages_table(case),
        f"Up go {megabytes(case.uploaded)} MB (four volumes), down {megabytes(case.downloaded)} MB (the label map).",
        "## Peaks",
        devices_table(devices),
        "Tensor peaks are dense, FP16 in and FP32 accumulated. L1 caches are taken to deliver 128 bytes a clock and\n"
        "multiprocessor, the T4's 64.",
        "## Floors",
        floors_table(case, devices),
        floors_text(case, devices),
        "## The kernels' share",
        f"The target is {TARGET:.0%} of the network's floor, for all kernels together.",
        shares_table(case, devices),
        shares_text(case, devices),
        savings_table(case, devices),
        "## What a run should cost",
        runs_table(case, devices),
        runs_text(case, devices),
        days_table(),
        "## Sources",
        sources_text(devices),
    )
    return "\n\n".join(sections) + "\n"
