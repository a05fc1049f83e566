"""What the CUDA backend asks of a device: memory, copies, launches, streams and events, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Dim3 = tuple[int, int, int]


class Buffer(Protocol):
    """Device memory, freed with its last reference."""

    @property
    def address(self) -> int:
        """Of the first byte, on the device."""

    @property
    def nbytes(self) -> int:
        """How many bytes there are."""


class Device(Protocol):
    """One device. Streams, events and kernels are the device's own objects, opaque to the backend."""

    @property
    def name(self) -> str:
        """As its maker calls it."""

    @property
    def index(self) -> int:
        """Its number among the machine's devices."""

    @property
    def compute_capability(self) -> tuple[int, int]:
        """Major and minor."""

    def current(self) -> AbstractContextManager[Any]:
        """Within it, this thread's work goes to this device."""

    def allocate(self, nbytes: int, name: str) -> Buffer:
        """Device memory; `name` is for tools that watch accesses."""

    def pinned(self, nbytes: int) -> NDArray[np.uint8]:
        """Host memory that copies run from and to without the processor's help."""

    def compile(self, source: str, kernel: str) -> Any:
        """A kernel of a source, ready to launch."""

    def stream(self) -> Any:
        """A queue of work of its own."""

    def foreign_stream(self, handle: int) -> Any:
        """Somebody else's stream, by the driver's handle."""

    def handle(self, stream: Any) -> int:
        """The driver's handle of a stream."""

    def event(self) -> Any:
        """A mark in a stream, with its time."""

    def upload(self, target: Buffer, source: NDArray[Any], stream: Any) -> None:
        """Copy contiguous, pinned host memory to the device, asynchronously."""

    def download(self, target: NDArray[Any], source: Buffer, stream: Any) -> None:
        """Copy device memory to contiguous, pinned host memory, asynchronously."""

    def copy(self, target: Buffer, source: int, nbytes: int, stream: Any) -> None:
        """Copy from an address on the device to the start of a buffer, asynchronously."""

    def launch(self, kernel: Any, grid: Dim3, block: Dim3, arguments: Sequence[Any], stream: Any) -> None:
        """Queue a kernel; arguments are buffers, addresses and NumPy scalars of the declared types."""

    def record(self, event: Any, stream: Any) -> None:
        """Put a mark behind all that the stream holds."""

    def wait(self, stream: Any, event: Any) -> None:
        """Make a stream wait for a mark in another."""

    def synchronise(self, stream: Any) -> None:
        """Wait until the stream is empty; raises what went wrong in it."""

    def elapsed_ms(self, first: Any, last: Any) -> float:
        """Milliseconds between two marks that have passed."""


class DeviceEngine(Protocol):
    """A network that runs on a device."""

    @property
    def spec(self) -> Any:
        """The preprocessing that the network expects; None where whoever runs it knows."""

    @property
    def sha256(self) -> str:
        """Of the model's file."""

    @property
    def runtime(self) -> str:
        """What computes it."""

    @property
    def precision(self) -> str:
        """What the network computes in."""

    @property
    def size(self) -> Dim3:
        """Voxels of the crop along x, y and z."""

    @property
    def half(self) -> bool:
        """Whether input and output are float16, else float32."""

    def enqueue(self, source: int, target: int, stream: Any) -> None:
        """Queue one (1, channels, D, H, W) inference between two addresses on the device."""
