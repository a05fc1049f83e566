"""Small ONNX models whose answer is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from brats_trt import Spec

# One row a class, one column a modality in the spec's order: background where all is dark, then oedema where FLAIR is
# bright, enhancing where T1ce is, necrotic where T2 is.
WEIGHTS = np.array([[0, 0, 0, 0], [0, 60, 0, 0], [0, 0, 0, 60], [0, 0, 60, 0]], np.float32)
BIAS = np.array([0, -40, -40, -40], np.float32)
SPEC = Spec()


def tiny_model(path: Path, *, size=16, spec: Spec | None = SPEC, classes=4, channels=4, dtype="FLOAT", bias=BIAS):
    """Softmax of a 1x1x1 convolution: each voxel's class follows from its own four intensities."""
    element = getattr(TensorProto, dtype)
    kind = helper.tensor_dtype_to_np_dtype(element)
    weights = WEIGHTS[:classes, :channels, None, None, None]
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["data_crop", "weights", "bias"], ["scores"], name="scores"),
            helper.make_node("Softmax", ["scores"], ["softmax_lbl3"], name="softmax", axis=1),
        ],
        "tiny",
        [helper.make_tensor_value_info("data_crop", element, (1, channels, size, size, size))],
        [helper.make_tensor_value_info("softmax_lbl3", element, (1, classes, size, size, size))],
        [
            numpy_helper.from_array(weights.astype(kind), "weights"),
            numpy_helper.from_array(np.asarray(bias)[:classes].astype(kind), "bias"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    if spec is not None:
        for key, value in spec.to_metadata().items():
            model.metadata_props.add(key=key, value=value)
    onnx.save(model, path)
    return path


def tiny_softmax(crop: np.ndarray, *, bias=BIAS) -> np.ndarray:
    """What `tiny_model` answers, in NumPy."""
    scores = np.einsum("ck,bkxyz->bcxyz", WEIGHTS, crop) + np.asarray(bias)[None, :, None, None, None]
    exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
    return (exponentials / exponentials.sum(axis=1, keepdims=True)).astype(np.float32)


def single_node(operator, arrays, *, shape, output, **attributes):
    """A model of one node whose arrays are of small integers, so that float32 sums are exact."""
    kind = arrays[0].dtype
    names = [f"array{index}" for index in range(len(arrays))]
    graph = helper.make_graph(
        [helper.make_node(operator, ["data_crop", *names], ["y"], name="node", **attributes)],
        "single",
        [helper.make_tensor_value_info("data_crop", helper.np_dtype_to_tensor_dtype(kind), shape)],
        [helper.make_tensor_value_info("y", helper.np_dtype_to_tensor_dtype(kind), output)],
        [numpy_helper.from_array(array, name) for array, name in zip(arrays, names, strict=True)],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def integers(*shape, seed=0):
    return np.random.default_rng(seed).integers(-8, 8, shape).astype(np.float32)
