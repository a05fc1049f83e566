"""The fusion of the modalities as the checkpoint's symbol has it: stacked on a new last axis, and the maximum over it.

    python benchmarks/literal_export.py MODEL.onnx -o LITERAL.onnx

`brats-trt convert` writes the elementwise maximum of the four parts of a Split instead: the same numbers. What an
exporter that translates operator by operator would have written is made from that here:

    Split -> Max    becomes    Split -> 4 x Unsqueeze -> Concat -> ReduceMax    on tensors of six axes
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from onnx import helper

from brats_trt.export.rewrites.draft import Draft

# From this opset on ReduceMax takes its axes as an input; `brats-trt convert` writes an earlier one.
FIRST_OPSET_WITHOUT_AXES = 18


def literal_export(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy in which each maximum of all parts of a Split is taken over a stack of them.

    Raises
    ------
    ValueError
        If there is no such maximum, or the opset is not one that the converter writes.
    """
    return replace_fusions(model, _stacked)


def replace_fusions(
    model: onnx.ModelProto, replace: Callable[[Draft, onnx.NodeProto, onnx.NodeProto], list[onnx.NodeProto]]
) -> onnx.ModelProto:
    """A copy in which each maximum of all parts of a Split is what `replace` makes of draft, Split and maximum.

    Raises
    ------
    ValueError
        As `literal_export`.
    """
    opset = next(entry.version for entry in model.opset_import if entry.domain == "")
    if opset >= FIRST_OPSET_WITHOUT_AXES:
        raise ValueError(f"the model is of opset {opset}; expected one below {FIRST_OPSET_WITHOUT_AXES}")
    draft = Draft(model)
    splits = {tuple(node.output): node for node in draft.nodes if node.op_type == "Split"}
    fused = [node.op_type == "Max" and tuple(node.input) in splits for node in draft.nodes]
    if not any(fused):
        raise ValueError("the model has no maximum of the parts of a Split; expected one of `brats-trt convert`")
    nodes = []
    for node, is_fusion in zip(draft.nodes, fused, strict=True):
        nodes += replace(draft, splits[tuple(node.input)], node) if is_fusion else [node]
    read = {name for node in nodes for name in node.input} | draft.outputs
    draft.nodes = [node for node in nodes if not read.isdisjoint(node.output)]
    return draft.finish()


def _stacked(draft: Draft, _: onnx.NodeProto, node: onnx.NodeProto) -> list[onnx.NodeProto]:
    axis = len(draft.shapes[node.output[0]])
    axes = draft.add_array(f"{node.name}_axes", np.array([axis]))
    raised = [draft.name(f"{part}_raised") for part in node.input]
    stack = draft.name(f"{node.name}_stack")
    return [
        *(
            helper.make_node("Unsqueeze", [part, axes], [name], name=name)
            for part, name in zip(node.input, raised, strict=True)
        ),
        helper.make_node("Concat", raised, [stack], name=stack, axis=axis),
        helper.make_node("ReduceMax", [stack], node.output, name=node.name, axes=[axis], keepdims=0),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    onnx.save(literal_export(onnx.load(arguments.model)), arguments.output)


if __name__ == "__main__":
    main()
