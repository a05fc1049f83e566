"""HD-BET's networks where they run: by OpenVINO on the CPU, or as an engine on a device."""

from __future__ import annotations

import math
import threading
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from ..backends.device import Device, DeviceEngine
from ..backends.openvino import cpu_precisions, openvino_core
from ..errors import EngineError
from .graph import INPUT, OUTPUT
from .placement import SHAPE


class BrainNetwork(Protocol):
    """One of the networks, ready to run; one thread runs it at a time, and others wait."""

    def infer(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """The brain's probability at each voxel of a (Z, Y, X) volume of the network's shape, float32."""


class CpuNetwork:
    """A network compiled by OpenVINO.

    Parameters
    ----------
    path
        Of its ONNX file.
    precision
        "bf16" or "f32"; None is BF16 where the processor has it.

    Raises
    ------
    EngineError
        If OpenVINO does not compile it.
    """

    def __init__(
        self, path: Path, threads: int | None = None, *, precision: Literal["bf16", "f32"] | None = None
    ) -> None:
        if precision is None:
            precision = "bf16" if "bf16" in cpu_precisions() else "f32"
        options = {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": "1"}
        if threads is not None:
            options["INFERENCE_NUM_THREADS"] = str(threads)
        self._lock = threading.Lock()
        try:
            self._request: Any = openvino_core().compile_model(str(path), "CPU", options).create_infer_request()
        except RuntimeError as fault:
            reason = " ".join(str(fault).split())[:300]
            raise EngineError(f"{path}: OpenVINO does not compile it ({reason}): delete it, and try again") from fault

    def infer(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """The brain's probability at each voxel.

        Raises
        ------
        EngineError
            If OpenVINO fails.
        """
        with self._lock:
            try:
                self._request.infer({INPUT: values[None, None]})
            except RuntimeError as fault:
                reason = " ".join(str(fault).split())[:300]
                raise EngineError(f"OpenVINO failed in the brain's network ({reason}): free memory") from fault
            found: NDArray[np.float32] = self._request.get_tensor(OUTPUT).data[0, 0].astype(np.float32)
        return found


class DeviceNetwork:
    """A network as an engine on a device, which takes and gives float32; its memory is taken once.

    Raises
    ------
    EngineError
        If the device has too little memory.
    """

    def __init__(self, device: Device, engine: DeviceEngine) -> None:
        nbytes = math.prod(SHAPE) * np.dtype(np.float32).itemsize
        self._device, self._engine = device, engine
        self._lock = threading.Lock()
        with device.current():
            self._stream = device.stream()
            self._source = device.allocate(nbytes, "brain network's volume")
            self._target = device.allocate(nbytes, "brain's probability")
            self._sent, self._received = device.pinned(nbytes), device.pinned(nbytes)

    def infer(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """The brain's probability at each voxel.

        Raises
        ------
        EngineError
            If the engine refuses to run, or gives values that are not finite.
        """
        with self._lock, self._device.current():
            self._sent[...] = np.ascontiguousarray(values).reshape(-1).view(np.uint8)
            self._device.upload(self._source, self._sent, self._stream)
            self._engine.enqueue(self._source.address, self._target.address, self._stream)
            self._device.download(self._received, self._target, self._stream)
            self._device.synchronise(self._stream)
            found: NDArray[np.float32] = self._received.view(np.float32).reshape(SHAPE).copy()
        if not np.isfinite(found).all():
            raise EngineError(
                f"the brain's network gave values that are not finite on {self._device.name}: delete its plan from the "
                "cache, or use an .onnx model with device='cpu'"
            )
        return found
