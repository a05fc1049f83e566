"""A device of the CUDA backend's protocol that runs the kernels on the CPU, and remembers what it was asked for."""

from __future__ import annotations

import ctypes
from contextlib import nullcontext
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np
from emulator import Emulator
from models import tiny_softmax

from brats_trt import Spec
from brats_trt.backends.openvino import OpenVinoEngine

if TYPE_CHECKING:
    from cuda_device import CudaDevice


@dataclass
class Mark:
    """An event: the time of its last recording."""

    time: float = 0.0


@dataclass
class EmulatedDevice:
    """Runs everything at once, in the order of the calls."""

    mode: str = "checked"
    name: str = "emulated"
    index: int = 0
    compute_capability: tuple[int, int] = (8, 9)
    count_every: int = 1
    fmad: bool = False
    ftz: bool = False
    emulator: Emulator = field(default_factory=lambda: Emulator(threads=2))
    calls: list = field(default_factory=list)
    buffers: list = field(default_factory=list)
    reports: list = field(default_factory=list)

    def current(self):
        return nullcontext()

    def foreign_stream(self, handle):
        self.calls.append(("foreign stream", handle))
        return object()

    def handle(self, stream):
        return id(stream)

    def allocate(self, nbytes, name):
        self.calls.append(("allocate", name))
        self.buffers.append(self.emulator.allocate(nbytes, name=f"{name} ({len(self.buffers)})"))
        return self.buffers[-1]

    def write_at(self, address, values):
        """Write into whichever buffer the address lies in, so that the emulator knows those bytes as written."""
        buffer = next(b for b in self.buffers if b.address <= address < b.address + b.nbytes)
        buffer.view(address - buffer.address, values.nbytes).write(values)

    def read_at(self, address, dtype, shape):
        dtype = np.dtype(dtype)
        return host_view(address, int(np.prod(shape)) * dtype.itemsize).view(dtype).reshape(shape).copy()

    def read(self, buffer, dtype, shape):
        """What a buffer holds; every byte must have been written."""
        return buffer.read(dtype, shape)

    def pinned(self, nbytes):
        self.calls.append(("pinned", nbytes))
        return np.full(nbytes, 0xA5, np.uint8)

    def compile(self, source, kernel):
        self.calls.append(("compile", kernel))
        options = {"mode": self.mode, "fmad": self.fmad, "ftz": self.ftz}
        return self.emulator.compile(source, name=f"{kernel}.cu", **options), kernel

    def stream(self):
        return object()

    def event(self):
        return Mark()

    def upload(self, target, source, stream):
        self.calls.append(("upload", source.nbytes))
        target.write(source)

    def download(self, target, source, stream):
        self.calls.append(("download", target.nbytes))
        target[...] = host_view(source.address, target.nbytes)

    def copy(self, target, source, nbytes, stream):
        self.calls.append(("copy", nbytes))
        target.write(host_view(source, nbytes).copy())

    def launch(self, kernel, grid, block, arguments, stream):
        program, name = kernel
        self.calls.append(("launch", name))
        report = program.launch(name, grid=grid, block=block, args=arguments, count_every=self.count_every)
        self.reports.append((name, report))

    def record(self, event, stream):
        event.time = perf_counter()

    def wait(self, stream, event):
        self.calls.append(("wait", None))

    def synchronise(self, stream):
        self.calls.append(("synchronise", None))

    def elapsed_ms(self, first, last):
        return (last.time - first.time) * 1e3


def host_view(address: int, nbytes: int) -> np.ndarray:
    """Emulated device memory, which is the host's."""
    return np.frombuffer((ctypes.c_ubyte * nbytes).from_address(address), np.uint8)


@dataclass
class TinyEngine:
    """`models.tiny_model` on the host, between two copies."""

    device: EmulatedDevice | CudaDevice
    size: tuple[int, int, int] = (16, 16, 16)
    half: bool = False
    spec: Spec = field(default_factory=Spec)
    runtime: str = "tiny"
    precision: str = "fp32"
    sha256: str = "0" * 64

    def enqueue(self, source, target, stream):
        dtype = np.dtype(np.float16 if self.half else np.float32)
        shape = (1, 4, *self.size)
        crop = self.device.read_at(source, dtype, shape)
        answer = tiny_softmax(crop.astype(np.float32)).astype(dtype)
        self.device.write_at(target, answer)


@dataclass
class CpuNetwork:
    """An ONNX model on the CPU in place of a network on the device."""

    device: EmulatedDevice | CudaDevice
    engine: OpenVinoEngine
    half: bool = False

    @property
    def spec(self):
        return self.engine.model.spec

    @property
    def size(self):
        return self.engine.model.size

    @property
    def sha256(self):
        return self.engine.model.sha256

    @property
    def runtime(self):
        return self.engine.runtime

    @property
    def precision(self):
        return self.engine.precision

    def enqueue(self, source, target, stream):
        shape = (1, 4, *self.size)
        softmax = np.empty(shape, np.float32)
        self.engine.infer(self.device.read_at(source, np.float32, shape), softmax)
        self.device.write_at(target, softmax)
