"""Measurements of scripts/gpu_check, each in a process of its own; the last line of the output is a JSON document.

    python scripts/gpu_measure.py stages|engine|tuning [--runs 50] [--emulated]

stages: every stage of the CUDA backend over the tests' whole case, with a stand-in for the network, against the budget.
engine: a plan of the demo model, audited and built, checked by its golden case, run with and without a CUDA graph, and
end to end.
tuning: every exact rewrite of the demo model's graph, built and timed in turn.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import budget
import numpy as np
import whole_case
from budget_devices import DEVICES
from emulated_device import EmulatedDevice, TinyEngine

from brats_trt import EngineError, Segmenter, demo_model
from brats_trt.backends import StageOptions
from brats_trt.backends.cuda import CudaBackend
from brats_trt.case import Case, load_case
from brats_trt.spec import MODALITIES

WARM = 5

# How the driver calls the devices of the budget.
DRIVER_NAMES = {
    "T4": r"\bT4$",
    "A100 40 GB PCIe": "A100-PCIE-40GB",
    "H100 PCIe": "H100 PCIe",
    "H100 SXM": "H100 80GB HBM3",
    "RTX 4090": "RTX 4090$",
    "Jetson AGX Orin 64 GB": r"\bOrin\b",
}


def summary(times_ms: list[float]) -> dict[str, float]:
    """Median, extremes and the 95th percentile."""
    ordered = sorted(times_ms)
    late = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
    return {"median": statistics.median(ordered), "min": ordered[0], "p95": late, "max": ordered[-1]}


def rounds(run: Callable[[], dict[str, float]], runs: int, warm: int) -> dict[str, dict[str, float]]:
    """Summaries of each time that a run gives, by name, in milliseconds."""
    found = [run() for _ in range(warm + runs)][warm:]
    return {name: summary([times[name] for times in found]) for name in found[0]}


class Machine:
    """The device to measure on: the GPU, or the tests' emulated one."""

    def __init__(self, *, emulated: bool) -> None:
        self.emulated = emulated
        if emulated:
            self.device: Any = EmulatedDevice(mode="fast")
            return
        from cuda_device import CudaDevice

        self.device = CudaDevice()

    def upload_ms(self, nbytes: int) -> float:
        """One copy of pinned memory to the device, between two events."""
        device = self.device
        buffer, pinned, stream = device.allocate(nbytes, "upload"), device.pinned(nbytes), device.stream()
        first, last = device.event(), device.event()
        pinned[...] = 1
        device.record(first, stream)
        device.upload(buffer, pinned, stream)
        device.record(last, stream)
        device.synchronise(stream)
        return float(device.elapsed_ms(first, last))


def stages(machine: Machine, runs: int) -> dict[str, Any]:
    """Each stage by events, warm; the network is a stand-in on the host, so "infer" says nothing."""
    case = load_case(whole_case.CASE)
    volumes = [(name, case.volumes[name]) for name in MODALITIES]
    engine = TinyEngine(machine.device, size=whole_case.SIZE, half=True)
    found: dict[str, Any] = {"device": machine.device.name}
    for name, min_region in (("with regions", 0.1), ("without regions", 0.0)):
        options = StageOptions(tta=False, min_region=min_region, label_values=(0, 1, 2, 4), keep_probabilities=False)
        backend = CudaBackend(machine.device, engine, options, largest_shape=case.shape)
        found[name] = rounds(lambda backend=backend: timed(backend, volumes), runs, min(WARM, runs))
    nbytes = sum(volume.data.nbytes for _, volume in volumes)
    upload = summary([machine.upload_ms(nbytes) for _ in range(runs)])
    found["upload"] = {**upload, "nbytes": nbytes, "gb_s": nbytes / upload["median"] / 1e6}
    found["budget"] = floors(machine.device.name)
    return found


def timed(backend: CudaBackend, volumes: list[Any]) -> dict[str, float]:
    start = time.perf_counter()
    outcome = backend.run(volumes)
    return {**outcome.timings_ms, "host": (time.perf_counter() - start) * 1e3}


def floors(name: str) -> dict[str, Any] | None:
    """The budget of this device, where it has one: floors in milliseconds."""
    device = next((d for d in DEVICES if re.search(DRIVER_NAMES[d.name], name)), None)
    if device is None:
        return None
    case = budget.read_case()
    return {
        "of": device.name,
        "kernels_ms": budget.kernels_us(case, device) / 1e3,
        "network_ms": budget.network_us(device) / 1e3,
        "stages_ms": {stage.name: budget.floor_us(stage, device) / 1e3 for stage in case.stages},
    }


def flavour() -> Any:
    """The library to build with."""
    from brats_trt.plans.flavour import load_flavour
    from brats_trt.plans.loading import installed_runtime

    return load_flavour(installed_runtime())


def engine(machine: Machine, runs: int) -> dict[str, Any]:
    """Audit, build, check, run: the network alone with and without a graph, then cases from arrays to labels."""
    from brats_trt.plans.audit import audit_graph
    from brats_trt.plans.builder import build_plan
    from brats_trt.plans.recipe import Recipe

    library = flavour()
    if machine.emulated and library.needs_gpu:
        return {"skipped": f"{library.title} builds on a GPU only"}
    with TemporaryDirectory() as folder:
        plan = Path(folder) / "demo.plan"
        start = time.perf_counter()
        manifest = build_plan(demo_model(), plan, library, Recipe(), audit=audit_graph)
        found: dict[str, Any] = {
            "library": library.title,
            "audited_and_built_s": time.perf_counter() - start,
            "recipe": manifest.recipe.to_json(),
            "audit": manifest.audit,
            "nbytes": manifest.plan.nbytes,
            "golden": {"counts": manifest.golden.counts, "tolerance": manifest.golden.tolerance},
        }
        if machine.emulated:
            return {**found, "not run": "a plan runs on a GPU only"}
        found["network"] = network_times(machine, plan, manifest, runs)
        found["case"] = case_times(plan, runs)
    return found


def network_times(machine: Machine, plan: Path, manifest: Any, runs: int) -> dict[str, Any]:
    """Milliseconds of one inference between two events, with and without a CUDA graph."""
    from brats_trt.backends.model import read_model
    from brats_trt.backends.tensorrt import TensorRtEngine
    from brats_trt.backends.tensorrt_rtx import RtxEngine
    from brats_trt.plans.loading import GpuRuntime
    from brats_trt.plans.trials import DeviceTrials

    runtime = GpuRuntime(manifest.runtime.flavour, machine.device)
    trials = DeviceTrials(read_model(demo_model()), flavour(), machine.device, runtime.load, plan.parent)
    if manifest.runtime.flavour == "tensorrt":
        ways = {
            "graph": TensorRtEngine(plan, manifest, device=machine.device.index),
            "no graph": TensorRtEngine(plan, manifest, graph=False, device=machine.device.index),
        }
    else:
        ways = {"graph": RtxEngine(plan, manifest, graph=True), "no graph": RtxEngine(plan, manifest)}
    for way in ways.values():
        trials.answer(way)
    return rounds(lambda: {name: trials.measure(way) for name, way in ways.items()}, runs, WARM)


def case_times(plan: Path, runs: int) -> dict[str, Any]:
    """From arrays on the host to labels on the host, by `Segmenter`, and how its labels differ from the CPU's."""
    case: Case = load_case(whole_case.CASE)
    arrays = {name: case.volumes[name].on_host for name in MODALITIES}
    segmenter = Segmenter(plan, keep_probabilities=False)
    found: dict[str, Any] = rounds(lambda: dict(segmenter.run(arrays).timings_ms), runs, WARM)
    expected = Segmenter(demo_model(), device="cpu", precision="fp32").run(arrays).labels
    found["other_labels_than_cpu"] = int(np.count_nonzero(segmenter.run(arrays).labels != expected))
    return found


def tuning(machine: Machine, _runs: int) -> dict[str, Any]:
    """What each rewrite does to the demo model's time on this GPU."""
    if machine.emulated:
        return {"skipped": "engines are timed on a GPU only"}
    from brats_trt.plans.loading import GpuRuntime
    from brats_trt.plans.recipe import Recipe
    from brats_trt.plans.trials import tune_plan

    library = flavour()
    load = GpuRuntime(library.name, machine.device).load
    with TemporaryDirectory() as folder:
        plan = Path(folder) / "demo.plan"
        _, result = tune_plan(demo_model(), plan, library, Recipe(), device=machine.device, load=load)
    return {
        "trials": [
            {
                "recipe": trial.recipe.to_json()["variants"],
                "median_ms": trial.median_ms if trial.times_ms else None,
                "speedup": trial.speedup,
                "least_dice": trial.least_dice,
                "fault": trial.fault,
            }
            for trial in result.trials
        ]
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["stages", "engine", "tuning"])
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--emulated", action="store_true")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    try:
        measure = {"stages": stages, "engine": engine, "tuning": tuning}[options.what]
        document = measure(Machine(emulated=options.emulated), options.runs)
    except EngineError as fault:
        sys.exit(f"{options.what}: {fault}")
    print(json.dumps(document))


if __name__ == "__main__":
    main()
