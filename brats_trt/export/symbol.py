"""MXNet's symbol JSON as a graph of frozen nodes.

A symbol is a list of nodes in topological order. A node is an operator, or a variable where its operator is `null`: the
network's input, a label of training, or an array of the checkpoint. Edges are [node, output] or, since MXNet 0.9,
[node, output, version]; only the first two mean something here. Attributes stand under `attrs`, in older files under
`attr` and `param`, as text.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import CaseError, EngineError

_LARGEST_FILE = 16 * 1024**2  # bytes; the released network's takes 100 kB
_LONGEST_NAME = 256


@dataclass(frozen=True)
class Edge:
    """One output of one node."""

    node: int
    output: int


@dataclass(frozen=True)
class Node:
    """An operator of MXNet, or a variable (`operator` is "null").

    Attributes
    ----------
    inputs
        Always outputs of earlier nodes.
    """

    operator: str
    name: str
    attributes: Mapping[str, str]
    inputs: tuple[Edge, ...]

    @property
    def is_variable(self) -> bool:
        """Whether the node computes nothing."""
        return self.operator == "null"

    def fault(self, finding: str) -> EngineError:
        """An error that names this node."""
        return EngineError(f"node {self.name!r} ({self.operator}): {finding}")


@dataclass(frozen=True)
class Symbol:
    """A network's nodes in topological order and its outputs."""

    nodes: tuple[Node, ...]
    heads: tuple[Edge, ...]
    sha256: str


def read_symbol(path: str | os.PathLike[str]) -> Symbol:
    """Read a symbol JSON.

    Raises
    ------
    CaseError
        If the file cannot be read.
    EngineError
        If it is not a symbol JSON of MXNet 1.x.
    """
    source = Path(path)
    if not os.path.isfile(source):
        raise CaseError(f"{source}: there is no such file; name the -symbol.json file of an MXNet checkpoint")
    try:
        with source.open("rb") as file:
            content = file.read(_LARGEST_FILE + 1)
    except OSError as fault:
        raise CaseError(
            f"{source}: the symbol cannot be read ({fault.strerror}); name the -symbol.json file of an MXNet checkpoint"
        ) from None
    try:
        return _parse(content)
    except EngineError as fault:
        raise EngineError(
            f"{source}: not a symbol JSON as MXNet 1.x writes it: {fault}: name the symbol first and the weights second"
        ) from None


def _parse(content: bytes) -> Symbol:
    if len(content) > _LARGEST_FILE:
        raise EngineError(f"it is larger than {_LARGEST_FILE} bytes")
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as fault:
        raise EngineError(f"it is not JSON ({str(fault)[:80]})") from None
    listed = document.get("nodes") if isinstance(document, dict) else None
    if not isinstance(listed, list) or not listed:
        raise EngineError("it has no list of nodes")
    nodes = tuple(_node(index, entry) for index, entry in enumerate(listed))
    heads = _edges(document.get("heads"), len(nodes), "the list of heads")
    if not heads:
        raise EngineError("it has no heads")
    return Symbol(nodes, heads, hashlib.sha256(content).hexdigest())


def _node(index: int, entry: Any) -> Node:
    what = f"node {index}"
    if not isinstance(entry, dict):
        raise EngineError(f"{what} is not an object")
    operator, name = (_text(entry.get(field), f"the {field} of {what}") for field in ("op", "name"))
    if not operator.replace(".", "_").isidentifier():
        raise EngineError(f"the op of {what} is {operator!r}, expected an operator's name")
    if entry.get("subgraphs") or entry.get("control_deps"):
        raise EngineError(f"{what} ({name!r}, {operator}) has subgraphs or control dependencies")
    inputs = _edges(entry.get("inputs"), index, f"the list of inputs of {what} ({name!r})")
    if operator == "null" and inputs:
        raise EngineError(f"{what} ({name!r}) is a variable with inputs")
    return Node(operator, name, _attributes(entry, f"{what} ({name!r})"), inputs)


def _attributes(entry: dict[str, Any], what: str) -> dict[str, str]:
    merged: dict[str, str] = {}
    for field in ("attr", "attrs", "param"):
        found = entry.get(field, {})
        if not isinstance(found, dict):
            raise EngineError(f"{field!r} of {what} is not an object")
        for key, value in found.items():
            if not isinstance(value, str) or merged.get(key, value) != value:
                raise EngineError(f"the attribute {key[:80]!r} of {what} is not text, or is there twice")
            merged[key] = value
    return merged


def _edges(found: Any, before: int, what: str) -> tuple[Edge, ...]:
    """Edges that come from nodes before the node `before`, so that no cycle is possible."""
    if not isinstance(found, list):
        raise EngineError(f"{what} is missing")
    return tuple(_edge(entry, before, what) for entry in found)


def _edge(entry: Any, before: int, what: str) -> Edge:
    whole = isinstance(entry, list) and len(entry) in (2, 3) and all(type(number) is int for number in entry)
    if not whole or min(entry) < 0:
        raise EngineError(f"{what} holds something else than [node, output] or [node, output, version]")
    if entry[0] >= before:
        raise EngineError(f"{what} names node {str(entry[0])[:20]}, expected one of the {before} before it")
    return Edge(entry[0], entry[1])


def _text(found: Any, what: str) -> str:
    if not isinstance(found, str) or not 0 < len(found) <= _LONGEST_NAME:
        raise EngineError(f"{what} is not a text of 1 to {_LONGEST_NAME} characters")
    if not found.isprintable():
        raise EngineError(f"{what} holds characters that cannot be printed")
    return found
