"""Instance normalisation: y = gamma (x - mean) / sqrt(variance + eps) + beta, biased variance, over the voxels.

The converter writes it in float32, between casts where the network is in float16. Here are the other ways:

- "native_half" takes the casts away: the norm reads and writes float16, and the runtime decides what it sums in. One
  that sums squares in float16 goes wrong past 65504, so only a measurement speaks for this. Gamma and beta are rounded
  to float16, as TensorRT-RTX 1.7 rounds epsilon there.
- "decomposed" spells the norm out in float32, so that no runtime decides anything about its sums; the casts stay.

Source: ONNX operator InstanceNormalization-6.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper

from ..precision import to_float16
from .draft import Draft, Node, attributes, fault

Norm = Literal["native_cast", "native_half", "decomposed"]

_NORM = "InstanceNormalization"
_DEFAULT_EPSILON = 1e-5
_LEAST_EPSILON = float(np.finfo(np.float16).smallest_normal)
_KEEP = "build with norm='native_cast'"


def rewrite_norms(draft: Draft, norm: Norm) -> None:
    """Write every norm the way asked for.

    Raises
    ------
    EngineError
        If a norm is not as the converter writes it, or its gamma, beta or epsilon does not fit float16.
    """
    norms = [node for node in draft.nodes if node.op_type == _NORM]
    for node in norms:
        _expect_float32(draft, node, norm)
    if norm == "native_half":
        _take_casts_away(draft, norms)
    if norm == "decomposed":
        draft.nodes = [new for node in draft.nodes for new in (_spell_out(draft, node) if node in norms else [node])]


def _expect_float32(draft: Draft, node: Node, norm: Norm) -> None:
    found = draft.types[node.input[0]]
    if found != TensorProto.FLOAT:
        kind = TensorProto.DataType.Name(found)
        raise fault(
            node, f"it reads {kind}; norm={norm!r} expects FLOAT, as the converter writes it", "convert the model again"
        )


def _take_casts_away(draft: Draft, norms: list[Node]) -> None:
    producers, consumers = draft.producers(), draft.consumers()
    halves: dict[str, Node] = {}
    dropped: list[str] = []
    arrays: dict[str, str] = {}
    for node in norms:
        before, after = _casts_around(draft, node, producers, consumers)
        if consumers[node.input[0]] == [node]:
            dropped.append(before.name)
        dropped.append(after.name)
        halves[node.name] = _half(draft, node, before.input[0], after.output[0], arrays)
    draft.nodes = [halves.get(node.name, node) for node in draft.nodes if node.name not in dropped]


def _casts_around(
    draft: Draft, node: Node, producers: dict[str, Node], consumers: dict[str, list[Node]]
) -> tuple[Node, Node]:
    before, output = producers.get(node.input[0]), node.output[0]
    readers = consumers.get(output, [])
    casts = before is not None and before.op_type == "Cast" and [reader.op_type for reader in readers] == ["Cast"]
    if before is None or not casts or output in draft.outputs:
        read_by = [reader.op_type for reader in readers] or ["nobody"]
        made_by = before.op_type if before is not None else "nobody"
        raise fault(
            node,
            f"its input comes from {made_by} and its output is read by {', '.join(read_by)}; norm='native_half' "
            "expects a Cast on either side, as in a network in FP16",
            _KEEP,
        )
    kinds = draft.types[before.input[0]], draft.types[readers[0].output[0]]
    if kinds != (TensorProto.FLOAT16, TensorProto.FLOAT16):
        names = " and ".join(TensorProto.DataType.Name(kind) for kind in kinds)
        raise fault(node, f"the casts around it are from and to {names}; expected FLOAT16", _KEEP)
    return before, readers[0]


def _half(draft: Draft, node: Node, source: str, output: str, arrays: dict[str, str]) -> Node:
    epsilon = _epsilon(node)
    if epsilon < _LEAST_EPSILON:
        raise fault(node, f"epsilon is {epsilon:g}, below float16's normal values ({_LEAST_EPSILON:g})", _KEEP)
    for index in (1, 2):
        name = node.input[index]
        if name not in arrays:
            half, _ = to_float16(draft.array(node, index), name)
            arrays[name] = draft.add_array(f"{name}_float16", half)
    inputs = [source, *(arrays[name] for name in node.input[1:])]
    return helper.make_node(_NORM, inputs, [output], name=node.name, epsilon=epsilon)


def _spell_out(draft: Draft, node: Node) -> list[Node]:
    source, output = node.input[0], node.output[0]
    rank = len(draft.shapes[source])
    gamma, beta = (
        draft.add_array(f"{node.input[index]}_column", _column(draft.array(node, index), rank)) for index in (1, 2)
    )
    epsilon = draft.add_array(f"{node.name}_epsilon", np.array(_epsilon(node), np.float32))
    steps: list[Node] = []

    def step(operator: str, *inputs: str, to: str, **options: Any) -> str:
        name = output if to == output else draft.name(f"{output}_{to}")
        steps.append(helper.make_node(operator, inputs, [name], name=node.name if to == output else name, **options))
        return name

    voxels = {"axes": list(range(2, rank)), "keepdims": 1}
    centred = step("Sub", source, step("ReduceMean", source, to="mean", **voxels), to="centred")
    variance = step("ReduceMean", step("Mul", centred, centred, to="squared"), to="variance", **voxels)
    deviation = step("Sqrt", step("Add", variance, epsilon, to="above_zero"), to="deviation")
    factor = step("Div", gamma, deviation, to="factor")
    step("Add", step("Mul", centred, factor, to="scaled"), beta, to=output)
    return steps


def _column(values: NDArray[Any], rank: int) -> NDArray[Any]:
    return values.reshape(1, -1, *(1,) * (rank - 2))


def _epsilon(node: Node) -> float:
    return float(attributes(node).get("epsilon", _DEFAULT_EPSILON))
