"""A copy of an ONNX model while it is rewritten, with the type and shape of each tensor.

A rewrite reads `nodes` and puts others in their place; arrays that no node reads any more are dropped at the end, and
types and shapes are inferred again and checked. The model that it was made of is left as it is.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from ...errors import EngineError

Node = onnx.NodeProto
_LARGE = 1024  # bytes: no array of which a shape is computed has as many
_CONVERT = "convert the model again with `brats-trt convert`"


class Draft:
    """A model under rewriting.

    Attributes
    ----------
    nodes
        In topological order.
    types
        The ONNX element type of each tensor.
    shapes
        Of each tensor; -1 stands for a length that is not fixed.

    Raises
    ------
    EngineError
        If the types and shapes of the model's tensors contradict each other.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        self._model = _inferred(model)
        graph = self._model.graph
        self.nodes: list[Node] = list(graph.node)
        self._arrays = {tensor.name: tensor for tensor in graph.initializer}
        values = (*graph.input, *graph.value_info, *graph.output)
        self.types = {value.name: int(value.type.tensor_type.elem_type) for value in values}
        self.shapes = {value.name: _shape(value) for value in values}
        self.types |= {name: int(tensor.data_type) for name, tensor in self._arrays.items()}
        self.shapes |= {name: tuple(tensor.dims) for name, tensor in self._arrays.items()}
        self.outputs = {value.name for value in graph.output}
        self._names = {*self.shapes, *(name for node in self.nodes for name in (node.name, *node.output))}

    def array(self, node: Node, index: int) -> NDArray[Any]:
        """The values of a node's input.

        Raises
        ------
        EngineError
            If they are not stored in the model.
        """
        name = node.input[index]
        if name not in self._arrays:
            raise fault(node, f"its input {name!r} is computed; expected an array stored in the model", _CONVERT)
        return numpy_helper.to_array(self._arrays[name])

    def add_array(self, name: str, values: NDArray[Any]) -> str:
        """Store an array; the name it got."""
        unique = self.name(name)
        tensor = numpy_helper.from_array(np.ascontiguousarray(values), unique)
        self._model.graph.initializer.append(tensor)
        self._arrays[unique] = tensor
        self.types[unique], self.shapes[unique] = int(tensor.data_type), tuple(tensor.dims)
        return unique

    def name(self, wanted: str) -> str:
        """The name, or one made from it where it is taken."""
        unique, number = wanted, 1
        while unique in self._names:
            number += 1
            unique = f"{wanted}_{number}"
        self._names.add(unique)
        return unique

    def producers(self) -> dict[str, Node]:
        """The node that computes each tensor."""
        return {name: node for node in self.nodes for name in node.output}

    def consumers(self) -> dict[str, list[Node]]:
        """The nodes that read each tensor."""
        readers: dict[str, list[Node]] = {}
        for node in self.nodes:
            for name in node.input:
                readers.setdefault(name, []).append(node)
        return readers

    def finish(self) -> onnx.ModelProto:
        """The rewritten model, checked.

        Raises
        ------
        EngineError
            If it is not valid ONNX.
        """
        graph = self._model.graph
        nodes = [_copy(node) for node in self.nodes]
        del graph.node[:]
        graph.node.extend(nodes)
        read = {name for node in nodes for name in node.input} | self.outputs
        for index in reversed(range(len(graph.initializer))):
            if graph.initializer[index].name not in read:
                del graph.initializer[index]
        del graph.value_info[:]
        model = _inferred(self._model)
        try:
            onnx.checker.check_model(_without_arrays(model), full_check=True)
        except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as found:
            raise _invalid(found) from None
        return model


def attributes(node: Node) -> dict[str, Any]:
    """A node's attributes as Python values; text as bytes."""
    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}


def fault(node: Node, finding: str, remedy: str) -> EngineError:
    """An error that names the node."""
    return EngineError(f"node {node.name!r} ({node.op_type}): {finding}: {remedy}")


def _inferred(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy with the types and shapes of all its tensors."""
    try:
        inferred = onnx.shape_inference.infer_shapes(_without_arrays(model), strict_mode=True, data_prop=True)
    except onnx.shape_inference.InferenceError as found:
        raise _invalid(found) from None
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    del copy.graph.value_info[:], copy.graph.output[:]
    copy.graph.value_info.extend(inferred.graph.value_info)
    copy.graph.output.extend(inferred.graph.output)
    return copy


def _without_arrays(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with its large arrays as inputs: types and shapes are the same, and ONNX copies it in no time."""
    whole, bare = model.graph, onnx.ModelProto(ir_version=model.ir_version)
    bare.opset_import.extend(model.opset_import)
    bare.graph.name = whole.name
    bare.graph.node.extend(whole.node)
    bare.graph.input.extend(whole.input)
    bare.graph.output.extend(whole.output)
    bare.graph.value_info.extend(whole.value_info)
    for tensor in whole.initializer:
        if len(tensor.raw_data) < _LARGE:
            bare.graph.initializer.append(tensor)
        else:
            bare.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    return bare


def _invalid(found: Exception) -> EngineError:
    reason = " ".join(str(found).split())[:300]
    return EngineError(f"the model is not valid as ONNX ({reason}): {_CONVERT}")


def _shape(value: onnx.ValueInfoProto) -> tuple[int, ...]:
    axes = value.type.tensor_type.shape.dim
    return tuple(axis.dim_value if axis.HasField("dim_value") else -1 for axis in axes)


def _copy(node: Node) -> Node:
    copy = Node()
    copy.CopyFrom(node)
    return copy
