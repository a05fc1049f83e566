"""HD-BET's network by PyTorch's own functions, and states for it in the format of old."""

from __future__ import annotations

import collections
import io
import pickle
import struct

import numpy as np
import onnx
from onnx import helper

from brats_trt.files import file_sha256
from brats_trt.strip.graph import INPUT, OUTPUT
from brats_trt.strip.weights import BrainSource


def bright(values):
    """A brain that is known: what is above a half, as the fake TensorRT's network of one channel has it."""
    return 1 / (1 + np.exp(4 - 8 * values))


def bright_network(path, shape) -> BrainSource:
    """`bright` as a network's file for (Z, Y, X) volumes."""
    nodes = [
        helper.make_node("Mul", [INPUT, "eight"], ["scaled"]),
        helper.make_node("Sub", ["scaled", "four"], ["score"]),
        helper.make_node("Sigmoid", ["score"], [OUTPUT]),
    ]
    ends = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 1, *shape]) for name in (INPUT, OUTPUT)]
    numbers = [helper.make_tensor(name, onnx.TensorProto.FLOAT, [1], [n]) for name, n in (("eight", 8), ("four", 4))]
    graph = helper.make_graph(nodes, "bright", ends[:1], ends[1:], numbers)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return BrainSource(path, shape, file_sha256(path))


def random_state(base=2, seed=0):
    """Arrays of the released names, `base` channels wide at the top; norms far from neutral, so that each counts."""
    dice, state = np.random.default_rng(seed), {}

    def convolution(name, inputs, outputs, size=3, bias=True):
        scale = (inputs * size**3) ** -0.5
        state[f"{name}.weight"] = scale * dice.standard_normal((outputs, inputs, size, size, size))
        if bias:
            state[f"{name}.bias"] = 0.3 * dice.standard_normal(outputs)

    def norm(name, channels):
        state[f"{name}.weight"] = dice.uniform(0.5, 1.5, channels)
        state[f"{name}.bias"] = 0.3 * dice.standard_normal(channels)

    widths = [base * 2**level for level in range(5)]
    convolution("init_conv", 1, base)
    for level, width in enumerate(widths, start=1):
        for step in (1, 2):
            norm(f"context{level}.bn_{step}", width)
            convolution(f"context{level}.conv{step}", width, width)
        if level < 5:
            norm(f"down{level}.bn", width)
            convolution(f"down{level}.downsample", width, 2 * width)
    norm("bn_after_context5", widths[4])
    for level, width in enumerate(reversed(widths[:4]), start=1):
        convolution(f"up{level}.upsample_conv", 2 * width, width)
        norm(f"up{level}.bn", width)
        if level < 4:
            convolution(f"loc{level}.conv1", 2 * width, 2 * width)
            norm(f"loc{level}.bn_1", 2 * width)
            convolution(f"loc{level}.conv2", 2 * width, width, size=1)
            norm(f"loc{level}.bn_2", width)
    for step in (1, 2):
        convolution(f"end_conv_{step}", 2 * base, 2 * base)
        norm(f"end_conv_{step}_bn", 2 * base)
    convolution("seg_layer", 2 * base, 2, size=1, bias=False)
    return {name: values.astype(np.float32) for name, values in state.items()}


def by_pytorch(state, volume):
    """The brain's share of the softmax, for a (Z, Y, X) volume."""
    import torch
    from torch.nn import functional

    arrays = {name: torch.from_numpy(values.copy()) for name, values in state.items()}

    def convolve(x, name, stride=1):
        weight = arrays[f"{name}.weight"]
        return functional.conv3d(x, weight, arrays.get(f"{name}.bias"), stride, weight.shape[2] // 2)

    def norm(x, name, leak=1e-2):
        normed = functional.instance_norm(x, weight=arrays[f"{name}.weight"], bias=arrays[f"{name}.bias"], eps=1e-5)
        return functional.leaky_relu(normed, leak)

    def context(x, name):
        y = convolve(norm(x, f"{name}.bn_1"), f"{name}.conv1")
        return convolve(norm(y, f"{name}.bn_2"), f"{name}.conv2") + x

    x, skips = context(convolve(torch.from_numpy(volume)[None, None], "init_conv"), "context1"), []
    for level in (1, 2, 3, 4):
        skips.append(norm(x, f"down{level}.bn"))
        x = context(convolve(skips[-1], f"down{level}.downsample", stride=2), f"context{level + 1}")
    x = norm(x, "bn_after_context5", leak=1e-1)
    for level in (1, 2, 3, 4):
        x = functional.interpolate(x, scale_factor=2, mode="trilinear", align_corners=True)
        x = torch.cat([skips.pop(), norm(convolve(x, f"up{level}.upsample_conv"), f"up{level}.bn")], dim=1)
        if level < 4:
            x = norm(convolve(x, f"loc{level}.conv1"), f"loc{level}.bn_1")
            x = norm(convolve(x, f"loc{level}.conv2"), f"loc{level}.bn_2")
    for step in (1, 2):
        x = norm(convolve(x, f"end_conv_{step}"), f"end_conv_{step}_bn", leak=1e-1)
    return torch.softmax(convolve(x, "seg_layer"), dim=1)[0, 1].numpy()


def old_state_file(path, state):
    """A state file as PyTorch wrote them before 1.6, by PyTorch."""
    import torch

    tensors = collections.OrderedDict((name, torch.from_numpy(values.copy())) for name, values in state.items())
    torch.save(tensors, path, _use_new_zipfile_serialization=False)
    return path


class Names:
    """Pickles as a call of any function."""

    def __init__(self, function, *arguments):
        self._reduced = function, arguments

    def __reduce__(self):
        return self._reduced


def file_of(*contents, storages=()):
    """A state file of anything: the pickles, then the storages."""
    file = io.BytesIO()
    for content in contents:
        pickle.dump(content, file, protocol=2)
    for values in storages:
        file.write(struct.pack("<q", values.size) + values.tobytes())
    return file.getvalue()
