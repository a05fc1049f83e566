"""What the ways to write the network's graph cost in OpenVINO, all of them exact.

    python benchmarks/graph.py                    the released network's size, random weights
    python benchmarks/graph.py MODEL.onnx --precision bf16 --clock process

The first is the literal export, which the others are compared with. Norms are OpenVINO's own but where the name says
that their sums are in blocks, as brats_trt runs them. Other rewrites are compared by `tuning.py`.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import onnx
from layers import demo_crop
from literal_export import literal_export, replace_fusions
from machine import load, processor, versions
from networks import compiled_graph
from onnx import helper
from released_model import model_or_released
from rounds import CLOCKS, ratios, spread, time_in_turn

from brats_trt.backends.openvino import cpu_precisions
from brats_trt.export.rewrites import rewrite
from brats_trt.export.rewrites.draft import Draft
from brats_trt.plans.tuning import agreement


@dataclass(frozen=True)
class Variant:
    """A way to write the graph, and whether its norms take their sums in blocks."""

    name: str
    write: Callable[[onnx.ModelProto], onnx.ModelProto]
    blocks: bool = False


def reduced(model: onnx.ModelProto) -> onnx.ModelProto:
    """The fusion as a maximum over the first axis, along which the modalities have been laid; five axes throughout."""
    return replace_fusions(model, _reduced)


def sliced(model: onnx.ModelProto) -> onnx.ModelProto:
    """The fusion as an elementwise maximum of slices."""
    return replace_fusions(model, _sliced)


def _reduced(draft: Draft, split: onnx.NodeProto, node: onnx.NodeProto) -> list[onnx.NodeProto]:
    _, channels, *grid = draft.shapes[node.output[0]]
    shape = draft.add_array(f"{node.name}_shape", np.array([len(node.input), channels, *grid]))
    laid = draft.name(f"{node.name}_laid")
    return [
        helper.make_node("Reshape", [split.input[0], shape], [laid], name=laid),
        helper.make_node("ReduceMax", [laid], node.output, name=node.name, axes=[0], keepdims=1),
    ]


def _sliced(draft: Draft, split: onnx.NodeProto, node: onnx.NodeProto) -> list[onnx.NodeProto]:
    channels = draft.shapes[node.output[0]][1]
    axis = draft.add_array(f"{node.name}_axis", np.array([1]))
    edges = [draft.add_array(f"{node.name}_edge", np.array([i * channels])) for i in range(len(node.input) + 1)]
    parts = [draft.name(f"{node.name}_slice") for _ in node.input]
    slices = [
        helper.make_node("Slice", [split.input[0], edges[i], edges[i + 1], axis], [part], name=part)
        for i, part in enumerate(parts)
    ]
    return [*slices, helper.make_node("Max", parts, node.output, name=node.name)]


VARIANTS = (
    Variant("literal: stack on a sixth axis", literal_export),
    Variant("maximum over the first of five axes", reduced),
    Variant("maximum of slices", sliced),
    Variant("maximum of the parts of a split: exported", rewrite),
    Variant("exported, encoders apart but on the finest grid", lambda model: rewrite(model, encoders="finest_joined")),
    Variant("exported, encoders apart", lambda model: rewrite(model, encoders="apart")),
    Variant("exported, norms in blocks", rewrite, blocks=True),
    Variant(
        "exported, encoders apart but on the finest grid, norms in blocks",
        lambda model: rewrite(model, encoders="finest_joined"),
        blocks=True,
    ),
    Variant("exported, encoders apart, norms in blocks", lambda model: rewrite(model, encoders="apart"), blocks=True),
)


def table(model: onnx.ModelProto, precision: str, crop: np.ndarray, arguments: argparse.Namespace) -> Iterator[str]:
    """Every variant's time against the literal export's, and how its answer agrees with the literal export's."""
    networks = {
        variant.name: compiled_graph(variant.write(model), precision, blocks=variant.blocks, threads=arguments.threads)
        for variant in VARIANTS
    }
    softmaxes = {name: network(crop).copy() for name, network in networks.items()}
    jobs = {name: lambda network=network: network(crop) for name, network in networks.items()}
    times = time_in_turn(jobs, arguments.rounds, clock=arguments.clock)
    first = VARIANTS[0].name
    yield f"| {precision.upper()} | median ms | times faster | spread | softmax off by | voxels flipped |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for name, taken in times.items():
        faster = ratios(times, first, name)
        off = float(np.abs(softmaxes[name] - softmaxes[first]).max())
        flipped = agreement(softmaxes[name], softmaxes[first])[1]
        numbers = f"{median(taken):.0f} | {median(faster):.2f} | {spread(faster):.1%} | {off:.1e} | {flipped:,}"
        yield f"| {name} | {numbers} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, nargs="?")
    parser.add_argument("--precision", nargs="+", default=cpu_precisions(), choices=cpu_precisions())
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    arguments = parser.parse_args()

    crop, before = demo_crop(), load()
    with tempfile.TemporaryDirectory() as name:
        model = onnx.load(model_or_released(arguments.model, Path(name)))
    for precision in arguments.precision:
        print("\n".join(table(model, precision, crop, arguments)) + "\n", flush=True)
    conditions = f"{processor()}, {arguments.threads} threads, load before {before}; {versions('openvino')}"
    print(f"{conditions}; {arguments.rounds} rounds, {arguments.clock} clock")


if __name__ == "__main__":
    main()
