"""An ONNX graph with its norms taken in float64, to compare runtimes with: their own lose digits over a volume."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def with_float64_norms(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy in which each InstanceNormalization takes its sums in float64."""
    exact = onnx.ModelProto()
    exact.CopyFrom(model)
    del exact.graph.node[:]
    for node in model.graph.node:
        exact.graph.node.extend([node] if node.op_type != "InstanceNormalization" else spell_out(node, exact.graph))
    return exact


def spell_out(node: onnx.NodeProto, graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    source, gamma, beta = node.input
    name = node.output[0]
    constants = {"eps": np.float64(node.attribute[0].f), "column": np.array([1, -1, 1, 1, 1])}
    graph.initializer.extend(numpy_helper.from_array(np.asarray(v), f"{name}/{k}") for k, v in constants.items())

    def make(operator: str, inputs: list[str], output: str, **attributes: object) -> onnx.NodeProto:
        local = [value if value in (source, gamma, beta) else f"{name}/{value}" for value in inputs]
        return helper.make_node(operator, local, [output if output == name else f"{name}/{output}"], **attributes)

    return [
        make("Cast", [source], "wide", to=TensorProto.DOUBLE),
        make("ReduceMean", ["wide"], "mean", axes=[2, 3, 4]),
        make("Sub", ["wide", "mean"], "centred"),
        make("Mul", ["centred", "centred"], "squares"),
        make("ReduceMean", ["squares"], "variance", axes=[2, 3, 4]),
        make("Add", ["variance", "eps"], "above_zero"),
        make("Sqrt", ["above_zero"], "deviation"),
        make("Div", ["centred", "deviation"], "normal"),
        make("Cast", ["normal"], "narrow", to=TensorProto.FLOAT),
        make("Reshape", [gamma, "column"], "gamma"),
        make("Reshape", [beta, "column"], "beta"),
        make("Mul", ["narrow", "gamma"], "scaled"),
        make("Add", ["scaled", "beta"], name),
    ]
