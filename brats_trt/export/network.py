"""An MXNet symbol as an ONNX graph: what is alive of it, the fusion of the modalities, and names.

The output is the softmax behind the last head. Whatever it does not depend on is left out, and so is what does nothing
at inference. The network's input is the one live variable that the checkpoint has no array for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ..errors import EngineError
from .attributes import Attributes
from .call import Call
from .graph import INPUT, OUTPUT, Graph, Shape, Tensor
from .naming import unique_names
from .operators import IDENTITIES, LABELS, MAX_OF_STACK, SOFTMAXES, convert_node
from .symbol import Edge, Node, Symbol

CHANNELS = 4
Fusion = Literal["max", "stack"]


@dataclass(frozen=True)
class Network:
    """A graph and what there is to say about how it came to be."""

    graph: Graph
    notes: tuple[str, ...]


def build_network(symbol: Symbol, arrays: Mapping[str, Shape | None], *, size: int, fusion: Fusion) -> Network:
    """Convert a symbol for an input of 1 x 4 x size^3.

    Parameters
    ----------
    arrays
        The shape of each array of the checkpoint, None for one without values.
    fusion
        "max": the fusion of the modalities as an elementwise maximum. "stack": as the symbol has it, on a new axis.

    Raises
    ------
    EngineError
        If a node or an array is not understood, missing, too many, or of the wrong shape.
    """
    softmax, head = _softmax(symbol), symbol.heads[-1].node
    nodes, live = symbol.nodes, _live(symbol.nodes, head)
    if fusion == "max":
        nodes = _fuse(nodes, live)
        live = _live(nodes, head)
    variables = [index for index in live if nodes[index].is_variable]
    source = _input(symbol, nodes, variables, arrays)
    graph = Graph(reserved={OUTPUT})
    values = {Edge(source, 0): graph.tensor(INPUT, (1, CHANNELS, size, size, size))}
    for index in variables:
        if index != source:
            values[Edge(index, 0)] = _weight(graph, nodes[index], arrays)
    _convert(graph, nodes, live, values, softmax)
    _check_output(graph, nodes[softmax])
    return Network(graph, tuple(_notes(symbol, nodes, live, arrays)))


def _softmax(symbol: Symbol) -> int:
    """The softmax behind the last head."""
    edge = symbol.heads[-1]
    while symbol.nodes[edge.node].operator in IDENTITIES and symbol.nodes[edge.node].inputs and not edge.output:
        edge = symbol.nodes[edge.node].inputs[0]
    node = symbol.nodes[edge.node]
    if node.operator not in SOFTMAXES or edge.output:
        raise node.fault("the last output comes from here; expected a softmax: save the network for inference")
    return edge.node


def _inputs(node: Node) -> tuple[Edge, ...]:
    """What the node reads at inference."""
    return node.inputs[: LABELS.get(node.operator)]


def _live(nodes: Sequence[Node], head: int) -> list[int]:
    """The nodes that the head depends on, in topological order."""
    needed = {head}
    for index in range(head, -1, -1):
        if index in needed:
            needed.update(edge.node for edge in _inputs(nodes[index]))
    return sorted(needed)


def _fuse(nodes: tuple[Node, ...], live: Sequence[int]) -> tuple[Node, ...]:
    """Replace the maximum over the axis that a stack has just made by the elementwise maximum of what was stacked."""
    fused = list(nodes)
    for index in live:
        node = nodes[index]
        if node.operator not in ("max", "max_axis") or len(node.inputs) != 1:
            continue
        stack = nodes[node.inputs[0].node]
        if stack.operator == "stack" and _is_over_new_axis(node, stack):
            fused[index] = Node(MAX_OF_STACK, node.name, {}, stack.inputs)
    return tuple(fused)


def _is_over_new_axis(maximum: Node, stack: Node) -> bool:
    take, made = Attributes(maximum), Attributes(stack)
    new_axis = made.integer("axis", 0, least=-9)
    made.drop("num_args")
    made.finish()
    plain = take.axes("axis") == (new_axis,) and not take.flag("keepdims", False) and not take.flag("exclude", False)
    if plain:
        take.finish()
    return plain


def _input(symbol: Symbol, nodes: Sequence[Node], variables: Sequence[int], arrays: Mapping[str, Shape | None]) -> int:
    """The variable that is the network's input; every other one has an array."""
    absent = [index for index in variables if nodes[index].name not in arrays]
    named = [index for index in absent if nodes[index].name == INPUT] or absent
    if not named:
        raise EngineError("the network has no input: each of its variables has an array in the checkpoint")
    missing = sorted({nodes[index].name for index in absent if index != named[0]})
    if missing:
        raise EngineError(
            f"arrays of the network are not in the checkpoint: {_some(missing)}: "
            "take the weights that belong to the symbol"
        )
    known = {node.name for node in symbol.nodes if node.is_variable}
    unknown = sorted(set(arrays) - known)
    if unknown:
        raise EngineError(
            f"arrays of the checkpoint are in no node of the network: {_some(unknown)}: "
            "take the weights that belong to the symbol"
        )
    return named[0]


def _weight(graph: Graph, node: Node, arrays: Mapping[str, Shape | None]) -> Tensor:
    shape = arrays[node.name]
    if shape is None or 0 in shape:
        raise node.fault("its array was saved without values: save the checkpoint again")
    if node.name in graph.weights.values():
        raise node.fault("two variables have this name: save the network again")
    return graph.weight(node.name, shape)


def _convert(
    graph: Graph, nodes: Sequence[Node], live: Sequence[int], values: dict[Edge, Tensor], softmax: int
) -> None:
    names = unique_names(nodes, [index for index in live if nodes[index].operator not in IDENTITIES])
    for index in live:
        node = nodes[index]
        if node.is_variable:
            continue
        if index == softmax:
            names[index] = OUTPUT
            graph.reserved.clear()
        for edge in _inputs(node):
            if edge not in values:
                raise node.fault(f"it reads output {edge.output} of {nodes[edge.node].name!r}, which is not understood")
        inputs = tuple(values[edge] for edge in _inputs(node))
        call = Call(node, names.get(index, node.name), inputs, Attributes(node), graph)
        for number, tensor in enumerate(convert_node(call)):
            values[Edge(index, number)] = tensor


def _check_output(graph: Graph, node: Node) -> None:
    expected, found = graph.shapes[INPUT], graph.shapes[OUTPUT]
    axis = graph.operations[-1].attributes.get("axis")
    if found != expected or axis != 1:
        raise node.fault(
            f"the output is a softmax of the shape {found} along axis {axis}; expected {expected} along axis 1: "
            "choose a network that segments four modalities into four classes"
        )


def _notes(symbol: Symbol, nodes: Sequence[Node], live: Sequence[int], arrays: Mapping[str, Shape | None]) -> list[str]:
    notes = []
    if len(symbol.heads) > 1:
        others = ", ".join(symbol.nodes[head.node].name for head in symbol.heads[:-1])
        notes.append(f"the network has {len(symbol.heads)} outputs; the last is {OUTPUT}, left out: {others}")
    used = {nodes[index].name for index in live if nodes[index].is_variable}
    dead = sorted(set(arrays) - used)
    if dead:
        notes.append(f"the output does not depend on some arrays, left out: {_some(dead)}")
    fused = sum(nodes[index].operator == MAX_OF_STACK for index in live)
    if fused:
        notes.append(f"{fused} stacks of modalities and their maxima became elementwise maxima")
    return notes


def _some(names: Sequence[str]) -> str:
    """The first few names, and how many more there are."""
    rest = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(repr(name[:80]) for name in names[:3]) + rest
