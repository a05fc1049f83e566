"""Grouped convolutions with fewer and wider groups: neighbouring groups are joined, zeros between what was apart.

A weight is (filters, channels / groups, kernel), and filter f belongs to group f // (filters / groups). Joining n
groups makes the weight n times larger, with the old blocks on its diagonal; filters and their order stay. The products
that come in are with zeros, so every sum is the same but for its order. Only a value that is not finite would spread,
from its own group to those it is joined with.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from onnx import helper

from .draft import Draft, Node, attributes, fault

Grouped = Literal["as_is", "widened16", "widened32", "dense"]

# The least channels a group reads, where the convolution has so many.
_WIDTHS: dict[Grouped, int | None] = {"widened16": 16, "widened32": 32, "dense": None}


def widen_groups(draft: Draft, grouped: Grouped) -> None:
    """Join the groups of each grouped convolution until a group reads enough channels, or all are joined.

    Raises
    ------
    EngineError
        If a convolution's weight is not stored in the model, or does not part into its groups.
    """
    if grouped == "as_is":
        return
    widened: dict[tuple[str, int], str] = {}
    draft.nodes = [_widen(draft, node, grouped, widened) for node in draft.nodes]


def join_groups(weight: NDArray[Any], groups: int, joined: int) -> NDArray[Any]:
    """The weight of `groups / joined` groups that does what `weight` does in `groups`; axes as in ONNX."""
    filters, channels, *kernel = weight.shape
    parts = weight.reshape(groups // joined, joined, filters // groups, channels, *kernel)
    wide = np.zeros((groups // joined, joined, filters // groups, joined, channels, *kernel), weight.dtype)
    for block in range(joined):
        wide[:, block, :, block] = parts[:, block]
    return wide.reshape(filters, joined * channels, *kernel)


def _widen(draft: Draft, node: Node, grouped: Grouped, widened: dict[tuple[str, int], str]) -> Node:
    options = attributes(node)
    groups = options.get("group", 1)
    if node.op_type != "Conv" or groups == 1:
        return node
    weight = draft.array(node, 1)
    if weight.shape[0] % groups:
        raise fault(node, f"{weight.shape[0]} filters do not part into {groups} groups", "build with grouped='as_is'")
    joined = _joined(groups, weight.shape[1], _WIDTHS[grouped])
    if joined == 1:
        return node
    name = node.input[1]
    if (name, joined) not in widened:
        widened[name, joined] = draft.add_array(f"{name}_{grouped}", join_groups(weight, groups, joined))
    options["group"] = groups // joined
    inputs = [node.input[0], widened[name, joined], *node.input[2:]]
    return helper.make_node("Conv", inputs, node.output, name=node.name, **options)


def _joined(groups: int, channels: int, width: int | None) -> int:
    """How many groups to join: the fewest that part the groups evenly and read `width` channels, else all."""
    enough = (n for n in range(1, groups) if groups % n == 0 and width is not None and n * channels >= width)
    return next(enough, groups)
