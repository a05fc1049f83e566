"""The fusion of the modalities as the checkpoint's symbol has it: stacked on a new last axis, and the maximum over it.

    python benchmarks/literal_export.py MODEL.onnx -o LITERAL.onnx

`brats-trt convert` writes the elementwise maximum of the four parts of a Split instead: the same numbers. What an
exporter that translates operator by operator would have written is made from that here:

    Split -> Max    becomes    Split -> 4 x Unsqueeze -> Concat -> ReduceMax    on tensors of six axes
"""

from __future__ import annotations

import argparse
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
    opset = next(entry.version for entry in model.opset_import if entry.domain == "")
    if opset >= FIRST_OPSET_WITHOUT_AXES:
        raise ValueError(f"the model is of opset {opset}; expected one below {FIRST_OPSET_WITHOUT_AXES}")
    draft = Draft(model)
    splits = {tuple(node.output) for node in draft.nodes if node.op_type == "Split"}
    fusions = [node for node in draft.nodes if node.op_type == "Max" and tuple(node.input) in splits]
    if not fusions:
        raise ValueError("the model has no maximum of the parts of a Split; expected one of `brats-trt convert`")
    draft.nodes = [new for node in draft.nodes for new in (_stacked(draft, node) if node in fusions else [node])]
    return draft.finish()


def _stacked(draft: Draft, node: onnx.NodeProto) -> list[onnx.NodeProto]:
    axis = len(draft.shapes[node.output[0]])
    axes = draft.add_array(f"{node.name}_axes", np.array([axis], np.int64))
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
