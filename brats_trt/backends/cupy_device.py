"""The device of a CUDA machine, by CuPy: the only module that imports it."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import EngineError
from .device import Buffer, Dim3

_INSTALL = "pip install 'cupy-cuda13x[ctk]' (or cupy-cuda12x[ctk] for CUDA 12), or use device='cpu'"
_TO_DEVICE, _TO_HOST, _ON_DEVICE = 1, 2, 3  # cudaMemcpyKind


class CupyBuffer:
    """Device memory of CuPy's pool."""

    def __init__(self, memory: Any, nbytes: int) -> None:
        self._memory = memory
        self.address: int = memory.ptr
        self.nbytes = nbytes


class CupyDevice:
    """The current CUDA device.

    Raises
    ------
    EngineError
        Without CuPy, a driver or a GPU, or with a CuPy of another CUDA than the driver's; says what to install.
    """

    def __init__(self) -> None:
        try:
            self._cupy: Any = importlib.import_module("cupy")
        except ImportError as fault:
            raise EngineError(f"device 'cuda' needs CuPy, which cannot be imported ({fault}): {_INSTALL}") from None
        runtime = self._cupy.cuda.runtime
        try:
            runtime.getDeviceCount()
            self.index = int(self._cupy.cuda.Device().id)
            properties = runtime.getDeviceProperties(self.index)
            self.name: str = properties["name"].decode()
            self.compute_capability = (int(properties["major"]), int(properties["minor"]))
        except runtime.CUDARuntimeError as fault:
            reason = " ".join(str(fault).split())
            raise EngineError(
                f"device 'cuda' has no GPU to run on ({reason}): install NVIDIA's driver (nvidia-smi lists the GPU) "
                f"and the CuPy of its CUDA, {_INSTALL}"
            ) from None

    def current(self) -> Any:
        """CuPy keeps the current device by thread."""
        return self._cupy.cuda.Device(self.index)

    def allocate(self, nbytes: int, name: str) -> CupyBuffer:
        """Device memory, from the pool."""
        try:
            return CupyBuffer(self._cupy.cuda.alloc(nbytes), nbytes)
        except self._cupy.cuda.memory.OutOfMemoryError as fault:
            raise EngineError(
                f"{self.name} has too little memory for {name} ({nbytes / 2**20:.0f} MiB; {fault}): free some, or "
                "state a smaller largest shape"
            ) from None

    def pinned(self, nbytes: int) -> NDArray[np.uint8]:
        """Page-locked host memory."""
        return np.frombuffer(self._cupy.cuda.alloc_pinned_memory(nbytes), np.uint8, nbytes)

    def compile(self, source: str, kernel: str) -> Any:
        """By NVRTC, cached on disk by CuPy."""
        return self._cupy.RawModule(code=source, options=("-std=c++17",)).get_function(kernel)

    def stream(self) -> Any:
        """A stream that does not wait for the legacy default stream."""
        return self._cupy.cuda.Stream(non_blocking=True)

    def foreign_stream(self, handle: int) -> Any:
        """A stream that is not ours to destroy."""
        return self._cupy.cuda.ExternalStream(handle)

    def handle(self, stream: Any) -> int:
        """As a number."""
        return int(stream.ptr)

    def event(self) -> Any:
        """An event with timing."""
        return self._cupy.cuda.Event()

    def upload(self, target: Buffer, source: NDArray[Any], stream: Any) -> None:
        """Copy to the device, asynchronously."""
        self._copy(target.address, source.ctypes.data, source.nbytes, _TO_DEVICE, stream)

    def download(self, target: NDArray[Any], source: Buffer, stream: Any) -> None:
        """Copy to the host, asynchronously."""
        self._copy(target.ctypes.data, source.address, target.nbytes, _TO_HOST, stream)

    def copy(self, target: Buffer, source: int, nbytes: int, stream: Any) -> None:
        """Copy on the device, asynchronously."""
        self._copy(target.address, source, nbytes, _ON_DEVICE, stream)

    def _copy(self, target: int, source: int, nbytes: int, kind: int, stream: Any) -> None:
        self._cupy.cuda.runtime.memcpyAsync(target, source, nbytes, kind, stream.ptr)

    def launch(self, kernel: Any, grid: Dim3, block: Dim3, arguments: Sequence[Any], stream: Any) -> None:
        """Queue a kernel; buffers go as their addresses."""
        values = [np.uint64(a.address) if isinstance(a, CupyBuffer) else a for a in arguments]
        with stream:
            kernel(grid, block, tuple(np.uint64(v) if isinstance(v, int) else v for v in values))

    def record(self, event: Any, stream: Any) -> None:
        """Put the event behind all that the stream holds."""
        event.record(stream)

    def wait(self, stream: Any, event: Any) -> None:
        """Make the stream wait for the event."""
        stream.wait_event(event)

    def synchronise(self, stream: Any) -> None:
        """Wait until the stream is empty."""
        stream.synchronize()

    def elapsed_ms(self, first: Any, last: Any) -> float:
        """Milliseconds between two events that have passed."""
        return float(self._cupy.cuda.get_elapsed_time(first, last))
