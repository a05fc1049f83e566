"""A float32 model that `convert` wrote, typed as `convert` would have typed it in float16.

The file becomes a graph without types again, and goes through `precision` and `onnx_file` as a checkpoint does: the
rules stand there alone, and the result is, but for the metadata, the bytes that `convert` writes in float16.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import AttributeProto, ModelProto, NodeProto, TensorProto, numpy_helper

from ..errors import EngineError
from ..notice import NOTICE
from .graph import INPUT, OUTPUT, AttributeValue, Graph, Operation
from .onnx_file import OPSET, onnx_bytes
from .precision import FloatType, Precision, assign_types

PRECISION_KEY = "brats_trt.precision"
_REMEDY = "convert the checkpoint with `brats-trt convert --precision fp16`"
_FLOATS: Mapping[int, FloatType] = {TensorProto.FLOAT: "float32", TensorProto.FLOAT16: "float16"}
_KINDS = (AttributeProto.INT, AttributeProto.FLOAT, AttributeProto.INTS)


@dataclass(frozen=True)
class _Initializers:
    """A model's weights, read like a checkpoint's arrays."""

    tensors: Mapping[str, TensorProto]

    def read(self, name: str) -> NDArray[np.float32]:
        values: NDArray[np.float32] = numpy_helper.to_array(self.tensors[name]).astype(np.float32, copy=False)
        return values


def precision_of(model: ModelProto) -> Precision:
    """What a model computes in, by its weights."""
    constants = (attribute.t for node in model.graph.node for attribute in node.attribute if attribute.HasField("t"))
    types = {tensor.data_type for tensor in (*model.graph.initializer, *constants)}
    return "fp16" if TensorProto.FLOAT16 in types else "fp32"


def to_fp16(model: ModelProto) -> bytes:
    """Type a float32 model in float16, norms and softmax in float32; input and output keep their type.

    Raises
    ------
    EngineError
        If the model is not as `convert` writes it, or its weights do not fit float16.
    """
    graph = _untyped(model)
    source = _Initializers({tensor.name: tensor for tensor in model.graph.initializer})
    typed = assign_types(graph, precision="fp16", io=_FLOATS[model.graph.input[0].type.tensor_type.elem_type])
    metadata = {entry.key: entry.value for entry in model.metadata_props} | {PRECISION_KEY: "fp16"}
    return onnx_bytes(typed, source, metadata, NOTICE)[0]


def _untyped(model: ModelProto) -> Graph:
    names = (model.graph.input[0].name, model.graph.output[0].name)
    opsets = {entry.domain: entry.version for entry in model.opset_import}
    if names != (INPUT, OUTPUT) or opsets != {"": OPSET}:
        raise EngineError(
            f"a float32 model with the tensors {list(names)} in the operators {opsets} cannot be typed in float16; "
            f"expected {[INPUT, OUTPUT]} in opset {OPSET}: {_REMEDY}"
        )
    graph = Graph(shapes=_shapes(model))
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            graph.weights[tensor.name] = tensor.name
    operations = [_operation(node) for node in model.graph.node]
    graph.operations.extend(operations)
    known = {*graph.weights, INPUT}.union(*(operation.outputs for operation in operations))
    for operation in operations:
        for name in operation.inputs:
            if name not in known or name not in graph.shapes:
                raise EngineError(f"the node {operation.name!r} reads {name!r}, which has no type to change: {_REMEDY}")
    return graph


def _shapes(model: ModelProto) -> dict[str, tuple[int, ...]]:
    """Of all tensors; those that the file does not state are inferred."""
    stated = {value.name for value in (*model.graph.value_info, *model.graph.output)}
    if not stated.issuperset(name for node in model.graph.node for name in node.output):
        model = onnx.shape_inference.infer_shapes(model)
    values = (*model.graph.input, *model.graph.value_info, *model.graph.output)
    shapes = {value.name: tuple(axis.dim_value for axis in value.type.tensor_type.shape.dim) for value in values}
    return shapes | {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}


def _operation(node: NodeProto) -> Operation:
    attributes: dict[str, AttributeValue] = {}
    for attribute in node.attribute:
        if attribute.type not in _KINDS:
            raise EngineError(
                f"the node {node.name!r} ({node.op_type}) has {attribute.name!r}, unknown here: {_REMEDY}"
            )
        value: Any = onnx.helper.get_attribute_value(attribute)
        attributes[attribute.name] = tuple(value) if attribute.type == AttributeProto.INTS else value
    if node.op_type == "Cast":
        raise EngineError(f"the float32 model has casts already ({node.name!r}): {_REMEDY}")
    return Operation(node.op_type, tuple(node.input), tuple(node.output), attributes)
