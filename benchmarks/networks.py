"""The network alone, a crop in and its softmax out, as each runtime runs a model's file."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx

from brats_trt.backends.openvino import openvino_core
from brats_trt.backends.openvino_norms import sum_norms_in_blocks

# (1, 4, D, H, W) float32 to the same; the answer may be overwritten by the next run.
Network = Callable[[np.ndarray], np.ndarray]

HINTS = {"fp32": "f32", "bf16": "bf16", "fp16": "f16"}
TORCH_PACKAGES = ("torch", "onnx2torch")


def openvino_options(precision: str, threads: int) -> dict[str, str]:
    """What brats_trt asks OpenVINO for."""
    return {
        "INFERENCE_PRECISION_HINT": HINTS[precision],
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": "1",
        "INFERENCE_NUM_THREADS": str(threads),
    }


def openvino_network(path: Path, precision: str, threads: int) -> Network:
    """OpenVINO with the file as it is: norms are its own."""
    compiled = openvino_core().compile_model(str(path), "CPU", openvino_options(precision, threads))
    request = compiled.create_infer_request()
    return lambda crop: request.infer([crop], share_inputs=True, share_outputs=True)[0]


def compiled_graph(model: onnx.ModelProto, precision: str, *, blocks: bool, threads: int) -> Network:
    """OpenVINO with a graph as it is, the sums of its norms taken in blocks where asked for."""
    core = openvino_core()
    network = core.read_model(model.SerializeToString())
    if blocks:
        sum_norms_in_blocks(network, importlib.import_module("openvino.opset13"), precision)
    request = core.compile_model(network, "CPU", openvino_options(precision, threads)).create_infer_request()
    return lambda crop: request.infer([crop], share_inputs=True, share_outputs=True)[0]


def onnxruntime_network(path: Path, threads: int) -> Network:
    """ONNX Runtime on the CPU, which computes in float32."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda crop: session.run(None, {name: crop})[0]


def missing_for_torch() -> list[str]:
    """The packages that `torch_network` needs and that are not installed."""
    return [name for name in TORCH_PACKAGES if find_spec(name) is None]


def torch_network(path: Path, threads: int) -> Network:
    """PyTorch on the CPU in float32, the graph translated by onnx2torch."""
    import torch
    from onnx2torch import convert

    torch.set_num_threads(threads)
    module = convert(str(path)).eval()

    def run(crop: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return module(torch.from_numpy(crop)).numpy()

    return run
