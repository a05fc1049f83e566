"""A typed graph and the values of its weights as the bytes of an ONNX file.

Arrays are read, converted and copied into the model one after the other. The model is checked before it has their
values, when that costs next to nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from ..errors import EngineError
from .graph import INPUT, OUTPUT, AttributeValue, Operation
from .precision import TypedGraph, to_float16

OPSET = 17
_IR_VERSION = 8  # opset 17's
_GRAPH_NAME = "brain-tumor-segmentation"
_PRODUCER = "brats_trt"


class Arrays(Protocol):
    """Where the weights' values come from: a checkpoint, or another model."""

    def read(self, name: str) -> NDArray[np.float32]:
        """The values of an array."""


def onnx_bytes(typed: TypedGraph, arrays: Arrays, metadata: Mapping[str, str], notice: str) -> tuple[bytes, int]:
    """Serialise a model; also how many weights became zero in float16.

    Raises
    ------
    EngineError
        If the model is not valid ONNX, or an array's values do not fit their type.
    """
    model = _model(typed, notice)
    helper.set_model_props(model, dict(metadata))
    _check(model)
    del model.graph.input[1:]
    vanished = sum(_add_values(model, typed, arrays, name) for name in typed.graph.weights)
    return model.SerializeToString(), vanished


def _model(typed: TypedGraph, notice: str) -> onnx.ModelProto:
    """The model with its weights as inputs, without values."""
    inputs = [_value(typed, name) for name in (INPUT, *typed.graph.weights)]
    named = {INPUT, OUTPUT, *typed.graph.weights}
    graph = helper.make_graph(
        [_node(operation) for operation in typed.graph.operations],
        _GRAPH_NAME,
        inputs,
        [_value(typed, OUTPUT)],
        doc_string=notice,
        value_info=[_value(typed, name) for name in typed.types if name not in named],
    )
    return helper.make_model(
        graph, ir_version=_IR_VERSION, opset_imports=[helper.make_opsetid("", OPSET)], producer_name=_PRODUCER
    )


def _check(model: onnx.ModelProto) -> None:
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as fault:
        reason = " ".join(str(fault).split())[:300]
        raise EngineError(f"the network is not valid as ONNX ({reason}): choose another checkpoint") from None


def _node(operation: Operation) -> onnx.NodeProto:
    attributes = {key: _attribute(value) for key, value in operation.attributes.items()}
    return helper.make_node(operation.operator, operation.inputs, operation.outputs, name=operation.name, **attributes)


def _attribute(value: AttributeValue) -> Any:
    """A text is the name of a type."""
    return _element_type(value) if isinstance(value, str) else value


def _value(typed: TypedGraph, name: str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, _element_type(typed.types[name]), typed.graph.shapes[name])


def _element_type(kind: str) -> int:
    return int(helper.np_dtype_to_tensor_dtype(np.dtype(kind)))


def _add_values(model: onnx.ModelProto, typed: TypedGraph, arrays: Arrays, name: str) -> int:
    values: Any = arrays.read(typed.graph.weights[name])
    kind, vanished = typed.types[name], 0
    if kind == "float16":
        values, vanished = to_float16(values, typed.graph.weights[name])
    tensor = model.graph.initializer.add()
    tensor.name = name
    tensor.data_type = _element_type(kind)
    tensor.dims.extend(typed.graph.shapes[name])
    tensor.raw_data = values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes()
    return vanished
