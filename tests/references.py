"""The reference checkpoints, what MXNet 1.9.1 answered for them, and two runtimes to compare with it."""

from __future__ import annotations

import numpy as np
import onnxruntime
from mxnet_files import REFERENCE

from brats_trt.backends.openvino import openvino_core

SIZES = {"random-f1": 64, "phantom-f2": 128}


def checkpoint(name):
    return REFERENCE / f"{name}-symbol.json", REFERENCE / f"{name}-0000.params"


def answers(name):
    """MXNet's input, every fourth voxel of its softmax, and its argmax."""
    with np.load(REFERENCE / f"{name}-io.npz") as archive:
        crop = archive["data_crop_bytes"].astype(np.float32) / np.float32(255)
        return crop, archive["softmax_every_4th"], archive["argmax"]


def run_onnxruntime(model, crop):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    content = model if isinstance(model, bytes) else str(model)
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return session.run(None, {"data_crop": crop})[0]


def run_openvino(path, crop):
    options = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": "2"}
    return openvino_core().compile_model(str(path), "CPU", options)([crop])[0]
