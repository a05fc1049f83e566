"""Names for the nodes of a cascade in which every U-Net numbers its own layers.

A layer such as `rb1relu1` is there once in each of the three networks, while those around it carry the network's name
(`seg_onlynet64rb1norm1`). A repeated name gets the name of the network that its first input comes from in front of it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from .symbol import Node

_STAGE = re.compile(r"[A-Za-z_]*net[0-9]+")


def unique_names(nodes: Sequence[Node], live: Sequence[int]) -> dict[int, str]:
    """A name for each live operator, the node's own wherever that is not repeated; `live` is in ascending order."""
    operators = [index for index in live if not nodes[index].is_variable]
    counts = Counter(nodes[index].name for index in operators)
    stages = _stages(nodes, operators)
    names, taken = {}, {name for name, count in counts.items() if count == 1}
    for index in operators:
        name = nodes[index].name
        if counts[name] > 1:
            name = _free(stages[index] + name, taken)
            taken.add(name)
        names[index] = name
    return names


def _stages(nodes: Sequence[Node], operators: Sequence[int]) -> dict[int, str]:
    """The network of the cascade that each operator belongs to; empty where neither name nor neighbour tells."""
    stages: dict[int, str] = {}
    for index in operators:
        found = _STAGE.match(nodes[index].name)
        before = [stages[edge.node] for edge in nodes[index].inputs if stages.get(edge.node)]
        stages[index] = found.group() if found else next(iter(before), "")
    for index in reversed(operators):
        for edge in nodes[index].inputs:
            if stages.get(edge.node) == "":
                stages[edge.node] = stages[index]
    return stages


def _free(name: str, taken: set[str]) -> str:
    unique, number = name, 1
    while unique in taken:
        number += 1
        unique = f"{name}_{number}"
    return unique
