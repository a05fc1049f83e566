"""Instance normalisation with the sums that MXNet takes, to compare a converted network with MXNet's own answers.

MXNet 1.9.1 adds the up to 128^3 values of a channel one after the other in float32, once for the mean and once for the
variance, which is wrong by up to 1e-3 of the sum; the deep cascade then moves single voxels of the softmax by up to
1.6e-2 from what float64 gives. Every other runtime sums in blocks or in wider types. So a network that is converted
rightly is far from MXNet's answer as it stands, and equals it where its norms are written out with sequential sums:
ONNX Runtime's CumSum is one.
"""

from __future__ import annotations

import math

import numpy as np
import onnx
from onnx import helper, numpy_helper


def with_sequential_sums(model):
    """A copy of a float32 model in which each InstanceNormalization is spelt out as MXNet computes it."""
    shapes = {value.name: [axis.dim_value for axis in value.type.tensor_type.shape.dim] for value in _values(model)}
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    del copy.graph.node[:]
    for node in model.graph.node:
        if node.op_type == "InstanceNormalization":
            nodes, constants = _spelt_out(node, shapes[node.output[0]])
            copy.graph.node.extend(nodes)
            copy.graph.initializer.extend(constants)
        else:
            copy.graph.node.append(node)
    return copy


def _values(model):
    return (*model.graph.input, *model.graph.value_info, *model.graph.output)


def _spelt_out(node, shape):
    source, gamma, beta = node.input
    name, channels, count = node.output[0], shape[1], math.prod(shape[2:])
    values = {
        "flat_shape": np.array([channels, count]),
        "shape": np.array(shape),
        "column": np.array([channels, 1]),
        "axis": np.array(1),
        "last": np.array([count - 1]),
        "weight": np.float32(1 / count),
        "epsilon": np.float32(node.attribute[0].f),
    }
    constants = [numpy_helper.from_array(np.asarray(value), f"{name}/{key}") for key, value in values.items()]

    def make(operator, inputs, output, **attributes):
        return helper.make_node(
            operator,
            [own if own in (source, gamma, beta) else f"{name}/{own}" for own in inputs],
            [output],
            **attributes,
        )

    def mean(of, output):
        return [
            make("CumSum", [of, "axis"], f"{name}/{output}_sums"),
            make("Gather", [f"{output}_sums", "last"], f"{name}/{output}_sum", axis=1),
            make("Mul", [f"{output}_sum", "weight"], f"{name}/{output}"),
        ]

    nodes = [
        make("Reshape", [source, "flat_shape"], f"{name}/flat"),
        *mean("flat", "mean"),
        make("Sub", ["flat", "mean"], f"{name}/centred"),
        make("Mul", ["centred", "centred"], f"{name}/squares"),
        *mean("squares", "variance"),
        make("Add", ["variance", "epsilon"], f"{name}/above_zero"),
        make("Sqrt", ["above_zero"], f"{name}/deviation"),
        make("Div", ["centred", "deviation"], f"{name}/normal"),
        make("Reshape", [gamma, "column"], f"{name}/gamma"),
        make("Reshape", [beta, "column"], f"{name}/beta"),
        make("Mul", ["normal", "gamma"], f"{name}/scaled"),
        make("Add", ["scaled", "beta"], f"{name}/shifted"),
        make("Reshape", ["shifted", "shape"], name),
    ]
    return nodes, constants
