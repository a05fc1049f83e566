"""HD-BET's network as an ONNX graph: a residual 3-D U-Net of five levels with one input and one output.

Source of the structure: Isensee et al., Automated brain extraction of multisequence MRI using artificial neural
networks, Human Brain Mapping 40 (2019), and the released networks, whose arrays' names are the ones here.

The released network ends in a softmax over background and brain; the brain's share of it is the logistic function of
the two scores' difference, which one convolution gives.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from ..errors import EngineError
from ..geometry import Index3

INPUT, OUTPUT = "volume", "brain"
LEVELS = 4
# The input's edges are multiples of this, so that each level halves the one above.
MULTIPLE = 2**LEVELS
# The released blocks leak 1e-2; what stands outside of them leaks 1e-1.
_LEAK, _OUTER_LEAK = 1e-2, 1e-1
_EPSILON = 1e-5
_OPSET = 17

State = Mapping[str, NDArray[np.float32]]


class _Graph:
    """Nodes and arrays as they are added; every method gives the name of what it made."""

    def __init__(self, state: State) -> None:
        self._state = state
        self.nodes: list[Any] = []
        self.arrays: dict[str, NDArray[Any]] = {}

    def node(self, operator: str, inputs: list[str], **attributes: Any) -> str:
        name = f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], name=name, **attributes))
        return name

    def array(self, name: str, values: NDArray[Any] | None = None) -> str:
        """An array of the state, or one by another name."""
        if name not in self.arrays:
            if values is None and name not in self._state:
                raise EngineError(f"the state has no array {name!r}: install the networks again")
            self.arrays[name] = self._state[name] if values is None else values
        return name

    def convolve(self, x: str, name: str, *, stride: int = 1) -> str:
        weight = self.array(f"{name}.weight")
        size = self.arrays[weight].shape[2]
        inputs = [x, weight, self.array(f"{name}.bias")]
        edges = [size // 2] * 6
        return self.node("Conv", inputs, kernel_shape=[size] * 3, pads=edges, strides=[stride] * 3)

    def norm(self, x: str, name: str, *, leak: float = _LEAK) -> str:
        """An instance norm and a leaky ReLU."""
        inputs = [x, self.array(f"{name}.weight"), self.array(f"{name}.bias")]
        return self.node("LeakyRelu", [self.node("InstanceNormalization", inputs, epsilon=_EPSILON)], alpha=leak)

    def context(self, x: str, name: str) -> str:
        """A residual block that norms before it convolves."""
        y = self.convolve(self.norm(x, f"{name}.bn_1"), f"{name}.conv1")
        return self.node("Add", [self.convolve(self.norm(y, f"{name}.bn_2"), f"{name}.conv2"), x])

    def double(self, x: str) -> str:
        """Linear upsampling by two with aligned corners."""
        scales = self.array("scales", np.array([1, 1, 2, 2, 2], np.float32))
        options = {"mode": "linear", "coordinate_transformation_mode": "align_corners"}
        return self.node("Resize", [x, "", scales], **options)


def brain_network(state: State, shape: Index3) -> onnx.ModelProto:
    """The network for volumes of one shape: 1x1xZxYxX float32 in, the brain's probability at each voxel out.

    Raises
    ------
    EngineError
        If the state lacks an array, or an edge is no multiple of `MULTIPLE`.
    """
    if any(edge < MULTIPLE or edge % MULTIPLE for edge in shape):
        raise EngineError(f"the brain's network was asked for {shape} voxels; expected multiples of {MULTIPLE}")
    graph = _Graph(state)
    x = graph.context(graph.convolve(INPUT, "init_conv"), "context1")
    skips = []
    for level in range(1, LEVELS + 1):
        skips.append(graph.norm(x, f"down{level}.bn"))
        x = graph.context(graph.convolve(skips[-1], f"down{level}.downsample", stride=2), f"context{level + 1}")
    x = graph.norm(x, "bn_after_context5", leak=_OUTER_LEAK)
    for level in range(1, LEVELS + 1):
        x = graph.norm(graph.convolve(graph.double(x), f"up{level}.upsample_conv"), f"up{level}.bn")
        x = graph.node("Concat", [skips.pop(), x], axis=1)
        if level < LEVELS:
            for step in (1, 2):
                x = graph.norm(graph.convolve(x, f"loc{level}.conv{step}"), f"loc{level}.bn_{step}")
    for step in (1, 2):
        x = graph.norm(graph.convolve(x, f"end_conv_{step}"), f"end_conv_{step}_bn", leak=_OUTER_LEAK)
    background, brain = state["seg_layer.weight"]
    difference = graph.array("seg_layer.difference", (brain - background)[None])
    scores = graph.node("Conv", [x, difference], kernel_shape=[1, 1, 1])
    graph.nodes.append(helper.make_node("Sigmoid", [scores], [OUTPUT], name=OUTPUT))
    return _model(graph, shape)


def _model(graph: _Graph, shape: Index3) -> onnx.ModelProto:
    values = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 1, *shape]) for name in (INPUT, OUTPUT)]
    arrays = [numpy_helper.from_array(np.ascontiguousarray(values), name) for name, values in graph.arrays.items()]
    made = helper.make_graph(graph.nodes, "HD-BET", values[:1], values[1:], arrays)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=8)
    onnx.checker.check_model(model)
    return model
