"""Modalities left out where the encoders meet: the maximum is taken over the others alone.

A modality that is there takes the place of one that is not, so that every maximum still has four inputs: max(a, b, a,
b) is max(a, b), and whatever runs the graph needs to know of nothing new.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ...errors import EngineError
from .draft import Draft, Node, attributes

MODALITIES = 4


def leave_out(draft: Draft, absent: Collection[int]) -> None:
    """Leave the encoders of these channels of the input out of every maximum.

    Raises
    ------
    EngineError
        If the graph has no maximum over the modalities, or a split into four that it does not end in one.
    ValueError
        If a channel is not there, or none is left.
    """
    present = [channel for channel in range(MODALITIES) if channel not in absent]
    if not present or not set(absent) <= set(range(MODALITIES)):
        raise ValueError(f"the absent channels are {sorted(absent)}; expected up to three of 0 to 3")
    if not absent:
        return
    splits = [node for node in draft.nodes if _is_fusion(node)]
    if not splits:
        raise EngineError("the graph has no maximum over its modalities, so that none can be left out: give all four")
    readers = draft.consumers()
    for split in splits:
        _leave_out_of(split, readers, present)


def _is_fusion(node: Node) -> bool:
    return node.op_type == "Split" and len(node.output) == MODALITIES and attributes(node).get("axis", 0) == 1


def _leave_out_of(split: Node, readers: dict[str, list[Node]], present: Sequence[int]) -> None:
    parts = list(split.output)
    found = {id(node): node for part in parts for node in readers.get(part, ())}
    maximum = next(iter(found.values())) if len(found) == 1 else None
    if maximum is None or maximum.op_type != "Max" or sorted(maximum.input) != sorted(parts):
        raise EngineError(
            f"node {split.name!r} parts the modalities, but not for a maximum over all of them: give all four"
        )
    del maximum.input[:]
    maximum.input.extend(parts[channel if channel in present else present[0]] for channel in range(MODALITIES))
