"""The sample case, 240x240x155 int16 in Fortran order, through every kernel at the network's real size; its traffic.

The network's place is taken by `models.tiny_softmax`, which costs little and leaves all four classes in the crop.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from emulated_device import EmulatedDevice, TinyEngine

from brats_trt.backends import Outcome, StageOptions
from brats_trt.backends.cuda import CudaBackend
from brats_trt.case import Case, load_case
from brats_trt.spec import MODALITIES

CASE = Path(__file__).parent / "data" / "sample_case" / "Phantom_500"
SIZE = (128, 128, 128)
OPTIONS = StageOptions(tta=False, min_region=0.1, label_values=(0, 1, 2, 4), keep_probabilities=False)


@dataclass(frozen=True, eq=False)
class WholeRun:
    """A case that went through all kernels, and what is known of it."""

    case: Case
    device: EmulatedDevice
    backend: CudaBackend
    outcome: Outcome

    @property
    def plan(self) -> np.void:
        """The record that the device left."""
        return self.backend._memory.working.found


def run_whole_case(*, mode: str = "checked", half: bool = True, count_every: int = 1) -> WholeRun:
    """Segment the sample case on a fresh emulated device."""
    case = load_case(CASE)
    device = EmulatedDevice(mode=mode, count_every=count_every)
    backend = CudaBackend(device, TinyEngine(device, size=SIZE, half=half), OPTIONS, largest_shape=case.shape)
    outcome = backend.run([(name, case.volumes[name]) for name in MODALITIES])
    return WholeRun(case, device, backend, outcome)


def traffic(run: WholeRun) -> dict[str, object]:
    """What docs/kernel_traffic.json holds: all that the budget needs to know of a run, in bytes and sectors."""
    copied = {way: sum(n for kind, n in run.device.calls if kind == way) for way in ("upload", "download")}
    volume = run.case.volumes["t1"].data
    return {
        "case": CASE.name,
        "shape": list(run.case.shape),
        "voxel_bytes": volume.dtype.itemsize,
        "crop": list(SIZE),
        "network_type": "float16" if run.backend._engine.half else "float32",
        "box": [list(run.outcome.box.lower), list(run.outcome.box.upper)],
        "foreground_voxels": [int(record["count"]) for record in run.plan["modality"]],
        "uploaded_bytes": copied["upload"],
        "downloaded_bytes": copied["download"],
        "launches": [_launch(kernel, report) for kernel, report in run.device.reports],
    }


def as_json(found: dict[str, object]) -> str:
    """The same as text, a launch a line."""
    lines = [f' "{key}": {json.dumps(value)}' for key, value in found.items() if key != "launches"]
    launches = ",\n".join(f"  {json.dumps(launch)}" for launch in found["launches"])
    return "{\n" + ",\n".join([*lines, f' "launches": [\n{launches}\n ]']) + "\n}\n"


def _launch(kernel, report):
    buffers = {
        name.rpartition(" (")[0]: {
            "sectors_read": counts.sectors_read,
            "sectors_written": counts.sectors_written,
            "distinct_sectors_read": counts.distinct_sectors_read,
            "distinct_sectors_written": counts.distinct_sectors_written,
            "distinct_sectors_atomic": counts.distinct_sectors_atomic,
        }
        for name, counts in report.buffers.items()
    }
    return {"kernel": kernel, "threads": report.threads, "buffers": dict(sorted(buffers.items()))}
