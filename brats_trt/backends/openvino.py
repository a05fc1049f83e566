"""OpenVINO on the CPU: the only module that imports it."""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import EngineError
from ..signal_stack import kept_signal_stack
from .model import CLASSES, Model
from .openvino_norms import sum_norms_in_blocks
from .precision import Precision, choose_precision

# As OpenVINO names them: the option of INFERENCE_PRECISION_HINT and the capability a processor reports.
_HINTS = {"fp32": "f32", "bf16": "bf16", "fp16": "f16"}
_CAPABILITIES = {"fp32": "FP32", "bf16": "BF16", "fp16": "FP16"}
_CAPABILITIES_PROPERTY = "OPTIMIZATION_CAPABILITIES"


def import_openvino() -> ModuleType:
    """Import OpenVINO without its telemetry, which would report every import to a server on the internet.

    OpenVINO does without the package `openvino_telemetry` where that cannot be imported.
    """
    blocked = "openvino" not in sys.modules and "openvino_telemetry" not in sys.modules
    if blocked:
        sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    try:
        return importlib.import_module("openvino")
    except ImportError as fault:
        raise EngineError(f"OpenVINO cannot be imported ({fault}): pip install openvino") from None
    finally:
        if blocked:
            del sys.modules["openvino_telemetry"]


@functools.cache
def openvino_core() -> Any:
    """The process's core, which keeps the plugin of the processor for as long as the process lives.

    Loaded, the plugin gives its thread a stack for signals that is too small for Python's handler; unloaded, by
    whatever thread, it takes that stack's memory back. So it is loaded once, and its stack not used.
    """
    core = import_openvino().Core()
    with kept_signal_stack():
        core.get_property("CPU", _CAPABILITIES_PROPERTY)
    return core


def cpu_precisions() -> tuple[str, ...]:
    """The precisions that this processor computes convolutions in natively."""
    capabilities = openvino_core().get_property("CPU", _CAPABILITIES_PROPERTY)
    return tuple(name for name, capability in _CAPABILITIES.items() if capability in capabilities)


class OpenVinoEngine:
    """A compiled network with one inference request, and another for the modalities that were absent last.

    Raises
    ------
    EngineError
        If OpenVINO does not compile the model, or the processor lacks the precision.
    """

    runtime = "openvino"

    def __init__(self, model: Model, *, precision: Precision = "auto", threads: int | None = None) -> None:
        self.model = model
        self.precision = choose_precision(model, self.runtime, precision, cpu_precisions())
        options = {
            "INFERENCE_PRECISION_HINT": _HINTS[self.precision],
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": "1",
        }
        if threads is not None:
            options["INFERENCE_NUM_THREADS"] = str(threads)
        self._options = options
        self.compiled = self._compile(())
        self._requests: dict[tuple[int, ...], Any] = {(): self.compiled.create_infer_request()}
        self._input_dtype = self.compiled.input(0).element_type.to_dtype()
        self._output_dtype = self.compiled.output(0).element_type.to_dtype()
        self._tensor = import_openvino().Tensor

    def infer(self, crop: NDArray[np.float32], softmax: NDArray[np.float32], absent: Sequence[int] = ()) -> None:
        """Run the network on one (1, 4, D, H, W) entry, into `softmax` of the same shape, both C-contiguous.

        The encoders of the channels in `absent` are left out where the encoders meet; other ones than the last time
        take a network of their own, which is compiled now.

        Raises
        ------
        EngineError
            If OpenVINO fails.
        """
        request = self._request(tuple(sorted(absent)))
        source = crop if self._input_dtype == crop.dtype else crop.astype(self._input_dtype)
        target = softmax if self._output_dtype == softmax.dtype else np.empty(softmax.shape, self._output_dtype)
        try:
            request.set_input_tensor(self._tensor(source, shared_memory=True))
            request.set_output_tensor(self._tensor(target, shared_memory=True))
            request.infer()
        except RuntimeError as fault:
            reason = " ".join(str(fault).split())[:300]
            raise EngineError(
                f"{self.model.path}: OpenVINO failed in the network ({reason}): free memory, or convert the model again"
            ) from fault
        if target is not softmax:
            softmax[...] = target

    def _request(self, absent: tuple[int, ...]) -> Any:
        if absent not in self._requests:
            made = self._compile(absent).create_infer_request()
            self._requests = {(): self._requests[()], absent: made}
        return self._requests[absent]

    def _compile(self, absent: tuple[int, ...]) -> Any:
        model, core = self.model, openvino_core()
        try:
            network = core.read_model(_content(model.path, absent))
            sum_norms_in_blocks(network, importlib.import_module("openvino.opset13"), self.precision)
            compiled = core.compile_model(network, "CPU", self._options)
        except RuntimeError as fault:
            reason = " ".join(str(fault).split())[:300]
            raise EngineError(
                f"{model.path}: OpenVINO does not compile the model ({reason}); export it again with "
                "`brats-trt convert`"
            ) from fault
        expected = [1, CLASSES, *model.size]
        shapes = [list(port.get_partial_shape().get_max_shape()) for port in (compiled.input(0), compiled.output(0))]
        if shapes != [expected, expected]:
            raise EngineError(
                f"{model.path}: the compiled network takes {shapes[0]} and gives {shapes[1]}, but the file declares "
                f"{expected} for both: export it again with `brats-trt convert`"
            )
        return compiled


def _content(path: Path, absent: tuple[int, ...]) -> str | bytes:
    """A model as OpenVINO runs it fastest: the groups of grouped convolutions as convolutions of their own."""
    import onnx

    from ..export.rewrites.absent import leave_out
    from ..export.rewrites.apart import groups, part_encoders
    from ..export.rewrites.draft import Draft

    model = onnx.load(path)
    if not absent and all(groups(node) == 1 for node in model.graph.node):
        return str(path)
    try:
        draft = Draft(model)
        leave_out(draft, absent)
        part_encoders(draft, "apart")
        return bytes(draft.finish().SerializeToString())
    except EngineError as fault:
        raise EngineError(f"{path}: {fault}") from None
