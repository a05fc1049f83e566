"""Deconvolutions whose windows do not overlap, as a convolution of one voxel and a reordering.

With the kernel as long as the stride, each input voxel makes a block of outputs of its own:
y[m, s i + a] = sum over c of x[c, i] w[c, m, a], with i and a over all three axes. So a 1x1x1 convolution to s^3 times
the filters computes every product, and the blocks' voxels move from the channels to where they belong: blocks before
filters, so that filters stay neighbours where channels lie last in memory. The sums are the same but for their order.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from onnx import helper

from .draft import Draft, Node, attributes, fault

Deconvolution = Literal["as_is", "pixel_shuffle"]

_KEEP = "build with deconvolution='as_is'"


def shuffle_deconvolutions(draft: Draft, deconvolution: Deconvolution) -> None:
    """Put a convolution and a reordering in the place of each deconvolution.

    Raises
    ------
    EngineError
        If a deconvolution's windows overlap or leave gaps, it is padded or grouped, or its weight is not stored.
    """
    if deconvolution == "as_is":
        return
    nodes = []
    for node in draft.nodes:
        nodes.extend(_shuffle(draft, node) if node.op_type == "ConvTranspose" else [node])
    draft.nodes = nodes


def _shuffle(draft: Draft, node: Node) -> list[Node]:
    weight = draft.array(node, 1)
    filters, *block = weight.shape[1:]
    batch, _, *spatial = _fixed_shape(draft, node)
    _check(node, block)
    rank, name, output = len(block), node.name, node.output[0]
    inputs = [node.input[0], draft.add_array(f"{node.input[1]}_pixel_shuffle", _as_convolution(weight))]
    if len(node.input) > 2:
        bias = np.tile(draft.array(node, 2), math.prod(block))
        inputs.append(draft.add_array(f"{node.input[2]}_pixel_shuffle", bias))
    # (batch, block, filters, spatial) to (batch, filters, spatial and block in turn)
    turns = [index for axis in range(rank) for index in (rank + 2 + axis, 1 + axis)]
    apart = np.array([batch, *block, filters, *spatial], np.int64)
    whole = np.array([batch, filters, *(n * s for n, s in zip(spatial, block, strict=True))], np.int64)
    convolved, parted, turned = (draft.name(f"{output}_{step}") for step in ("convolved", "parted", "turned"))
    return [
        helper.make_node("Conv", inputs, [convolved], name=convolved, kernel_shape=[1] * rank, strides=[1] * rank),
        helper.make_node("Reshape", [convolved, draft.add_array(f"{parted}_shape", apart)], [parted], name=parted),
        helper.make_node("Transpose", [parted], [turned], name=turned, perm=[0, rank + 1, *turns]),
        helper.make_node("Reshape", [turned, draft.add_array(f"{name}_shape", whole)], [output], name=name),
    ]


def _as_convolution(weight: NDArray[Any]) -> NDArray[Any]:
    """(channels, filters, block) to (block x filters, channels, 1, 1, 1)."""
    channels, _, *block = weight.shape
    turned: NDArray[Any] = weight.transpose(*range(2, weight.ndim), 1, 0)
    return turned.reshape(-1, channels, *(1,) * len(block))


def _fixed_shape(draft: Draft, node: Node) -> tuple[int, ...]:
    shape = draft.shapes[node.input[0]]
    if min(shape) < 1:
        raise fault(node, f"its input has the shape {shape}, -1 where not fixed; expected a fixed one", _KEEP)
    return shape


def _check(node: Node, block: list[int]) -> None:
    options = attributes(node)
    rank = len(block)
    expectations: tuple[tuple[str, object], ...] = (
        ("strides", block),
        ("pads", [0] * 2 * rank),
        ("dilations", [1] * rank),
        ("output_padding", [0] * rank),
        ("group", 1),
        ("auto_pad", b"NOTSET"),
        ("output_shape", []),
    )
    for name, expected in expectations:
        found = options.get(name, [1] * rank if name == "strides" else expected)
        if found != expected:
            raise fault(node, f"{name} is {found!r} for a kernel of {block}; expected {expected!r}", _KEEP)
