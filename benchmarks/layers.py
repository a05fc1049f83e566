"""Where OpenVINO's time in the network goes, by kind of layer, implementation and grid.

    python benchmarks/layers.py                   released size, random weights; every graph and precision
    python benchmarks/layers.py MODEL.onnx --graph exported --precision bf16 --by kind implementation grid

Graphs: "literal", the fusion as the symbol has it (`literal_export.py`); "exported", as `brats-trt convert` writes it;
"blocks", the same with the norms' sums in blocks, which is what brats_trt runs; "apart", the exported graph with the
encoders apart but on the finest grid. Times are OpenVINO's own (PERF_COUNT), medians over the rounds; a layer that was
fused into another has none.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import onnx
from literal_export import literal_export
from networks import openvino_options
from released_model import model_or_released

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import oracle

from brats_trt.backends.openvino import cpu_precisions, import_openvino, openvino_core
from brats_trt.backends.openvino_norms import sum_norms_in_blocks
from brats_trt.demo import make_phantom
from brats_trt.export.rewrites import rewrite
from brats_trt.spec import MODALITIES

GRAPHS = {
    "literal": literal_export,
    "exported": rewrite,
    "blocks": rewrite,
    "apart": partial(rewrite, encoders="finest_joined"),
}
COLUMNS = ("kind", "implementation", "grid", "name")


@dataclass(frozen=True)
class Layer:
    """One executed layer; `grid` is the number of voxels along each axis of what it gives."""

    kind: str
    implementation: str
    grid: str
    name: str
    ms: float


def profile(content: bytes, graph: str, precision: str, *, crop: np.ndarray, rounds: int, threads: int) -> list[Layer]:
    """Run a model, the first time uncounted, and ask OpenVINO what its layers took."""
    core = openvino_core()
    network = core.read_model(content)
    if graph == "blocks":
        sum_norms_in_blocks(network, importlib.import_module("openvino.opset13"), precision)
    compiled = core.compile_model(network, "CPU", openvino_options(precision, threads) | {"PERF_COUNT": "YES"})
    request = compiled.create_infer_request()
    request.infer([crop])
    executed = import_openvino().ProfilingInfo.Status.EXECUTED
    times: dict[str, list[float]] = defaultdict(list)
    for _ in range(rounds):
        request.infer([crop])
        for entry in request.get_profiling_info():
            if entry.status == executed:
                times[entry.node_name].append(entry.real_time.total_seconds() * 1e3)
    return list(_layers(compiled.get_runtime_model(), {name: median(taken) for name, taken in times.items()}))


def _layers(runtime_model: Any, times: dict[str, float]) -> Iterator[Layer]:
    for node in runtime_model.get_ordered_ops():
        name = node.get_friendly_name()
        if name in times:
            info = node.get_rt_info()
            shape = node.get_output_partial_shape(0).get_max_shape()
            grid = "x".join(map(str, list(shape)[2:5]))
            yield Layer(info["layerType"].value, info["primitiveType"].value, grid, name, times[name])


def table(layers: Sequence[Layer], by: Sequence[str], top: int) -> list[str]:
    """Sums over layers that agree in the columns asked for, the longest first."""
    sums: dict[tuple[str, ...], list[float]] = defaultdict(list)
    for layer in layers:
        sums[tuple(getattr(layer, column) for column in by)].append(layer.ms)
    total = sum(layer.ms for layer in layers)
    ranked = sorted(sums.items(), key=lambda item: -sum(item[1]))
    lines = [f"| {' | '.join(by)} | layers | ms | share |", f"|{' --- |' * (len(by) + 3)}"]
    lines += [f"| {' | '.join(key)} | {len(ms)} | {sum(ms):.1f} | {sum(ms) / total:.1%} |" for key, ms in ranked[:top]]
    return [*lines, f"| {' | '.join(['all', *[''] * (len(by) - 1)])} | {len(layers)} | {total:.1f} | 100.0% |"]


def demo_crop() -> np.ndarray:
    """The crop of a phantom."""
    volumes = make_phantom(0).volumes
    return oracle.prepare([volumes[name] for name in MODALITIES])[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, nargs="?")
    parser.add_argument("--graph", nargs="+", default=[*GRAPHS], choices=GRAPHS)
    parser.add_argument("--precision", nargs="+", default=cpu_precisions(), choices=cpu_precisions())
    parser.add_argument("--by", nargs="+", default=COLUMNS[:3], choices=COLUMNS)
    parser.add_argument("--top", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    arguments = parser.parse_args()

    crop = demo_crop()
    with tempfile.TemporaryDirectory() as name:
        exported = onnx.load(model_or_released(arguments.model, Path(name)))
    contents = {graph: write(exported).SerializeToString() for graph, write in GRAPHS.items()}
    for precision in arguments.precision:
        for graph in arguments.graph:
            layers = profile(
                contents[graph], graph, precision, crop=crop, rounds=arguments.rounds, threads=arguments.threads
            )
            print(f"\n{graph}, {precision.upper()}\n")
            print("\n".join(table(layers, arguments.by, arguments.top)))


if __name__ == "__main__":
    main()
