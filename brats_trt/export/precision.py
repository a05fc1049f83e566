"""Types for a graph, as a strongly typed engine wants them: each operation computes in one type, and casts are nodes.

"fp16" computes everything in float16 but instance normalisation and softmax, whose sums over up to 128^3 values need
float32. A tensor is cast where an operation wants another type than it has, once for all that want it. No assignment of
types needs fewer casts in the cascade: each of the 42 norms reads a convolution's output, or a sum of some, of its own,
and its result goes to a convolution, which makes 84; the three softmaxes are reached from convolutions and two of them
go on to convolutions, which makes 5; the input takes one where it is float32, the output one where it is float16.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import EngineError
from .graph import INPUT, OUTPUT, Graph, Operation

Precision = Literal["fp32", "fp16"]
Type = Literal["float32", "float16", "int64"]
FloatType = Literal["float32", "float16"]

FLOAT32_OPERATORS = frozenset({"InstanceNormalization", "Softmax"})
_INTEGER_OPERATORS = frozenset({"Constant"})
# More of an array's values than this must not become zero in float16.
_MOST_VANISHED = 0.5


@dataclass(frozen=True)
class TypedGraph:
    """A graph with casts, and the type of each of its tensors."""

    graph: Graph
    types: dict[str, Type]

    @property
    def casts(self) -> int:
        """How many."""
        return sum(operation.operator == "Cast" for operation in self.graph.operations)


def assign_types(graph: Graph, *, precision: Precision, io: FloatType) -> TypedGraph:
    """Give every tensor a type and insert the casts; `io` is the type of the graph's input and output."""
    typed = TypedGraph(Graph(shapes=dict(graph.shapes), weights=dict(graph.weights)), {INPUT: io})
    casts: dict[tuple[str, Type], str] = {}
    for operation in graph.operations:
        kind = _computes_in(operation, precision)
        inputs = tuple(_as_type(typed, casts, name, kind) for name in operation.inputs)
        typed.graph.operations.append(replace(operation, inputs=inputs))
        typed.types.update(dict.fromkeys(operation.outputs, kind))
    if typed.types[OUTPUT] != io:
        _cast_output(typed, io)
    return typed


def to_float16(values: NDArray[np.float32], name: str) -> tuple[NDArray[np.float16], int]:
    """An array in float16, and how many of its values became zero by it.

    Raises
    ------
    EngineError
        If a value lies past float16's range, or most are too small for it.
    """
    with np.errstate(over="ignore", under="ignore"):
        half = values.astype(np.float16)
    if not np.isfinite(half).all():
        largest = float(np.abs(values).max())
        raise EngineError(f"the array {name!r} holds {largest:g}, past float16's 65504: convert with precision fp32")
    nonzero = int(np.count_nonzero(values))
    vanished = nonzero - int(np.count_nonzero(half))
    if vanished > _MOST_VANISHED * nonzero:
        raise EngineError(
            f"{vanished} of the {nonzero} values of the array {name!r} are too small for float16 and would become 0: "
            "convert with precision fp32"
        )
    return half, vanished


def _computes_in(operation: Operation, precision: Precision) -> Type:
    if operation.operator in _INTEGER_OPERATORS:
        return "int64"
    return "float32" if precision == "fp32" or operation.operator in FLOAT32_OPERATORS else "float16"


def _as_type(typed: TypedGraph, casts: dict[tuple[str, Type], str], name: str, kind: Type) -> str:
    """The tensor itself or its cast; an array of the checkpoint is stored in the type that is wanted first."""
    found = typed.types.setdefault(name, kind)
    if found in (kind, "int64"):
        return name
    if (name, kind) not in casts:
        cast = typed.graph.tensor(f"{name}_{kind}", typed.graph.shapes[name])
        _add_cast(typed, name, cast.name, kind)
        casts[name, kind] = cast.name
    return casts[name, kind]


def _cast_output(typed: TypedGraph, io: FloatType) -> None:
    last = typed.graph.operations.pop()
    kind = typed.types[OUTPUT]
    inner = typed.graph.tensor(f"{OUTPUT}_{kind}", typed.graph.shapes[OUTPUT])
    typed.graph.operations.append(replace(last, outputs=(inner.name,)))
    typed.types[inner.name] = kind
    _add_cast(typed, inner.name, OUTPUT, io)


def _add_cast(typed: TypedGraph, name: str, cast: str, kind: Type) -> None:
    typed.graph.operations.append(Operation("Cast", (name,), (cast,), {"to": kind}))
    typed.types[cast] = kind
