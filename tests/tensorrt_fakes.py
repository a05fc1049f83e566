"""The fake CUDA driver and TensorRT of csrc/tests/fakes, compiled for tests in Python.

The driver's library has a name of its own here, so that nothing else in the process takes it for CUDA.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from emulated_device import host_view

ROOT = Path(__file__).parents[1]
SOURCES = ROOT / "csrc" / "tests" / "fakes"
HEADERS = ROOT / "build" / "headers"
INPUT, OUTPUT = "data_crop", "softmax_lbl3"


def counts(*names):
    """Fields of a structure of 64-bit counts."""
    return [(name, ctypes.c_int64) for name in names]


class CudaState(ctypes.Structure):
    """What lives in the fake driver, and what it found."""

    _fields_ = counts(
        *("contexts", "current", "allocations", "bytes", "events", "graphs", "executables", "streams"),
        *("launches", "hazards", "misuses"),
    )


class TensorRtState(ctypes.Structure):
    """What lives in the fake TensorRT, and what it found."""

    _fields_ = counts("runtimes", "engines", "contexts", "enqueued", "runs", "host_code", "misuses")


def has_headers() -> bool:
    """Whether the fakes can be compiled."""
    return (HEADERS / "SHA256").is_file()


def build(folder: Path) -> Fakes:
    """Compile the fakes into a folder."""
    driver, tensorrt, other = folder / "libfake_cuda.so", folder / "libnvinfer.so.10", folder / "libnvinfer.so.11"
    compiler = [os.environ.get("CXX") or "g++", "-std=c++20", "-O1", "-fPIC", "-shared", "-pthread"]
    compiler += ["-isystem", str(HEADERS / "tensorrt"), "-isystem", str(HEADERS / "cuda")]
    library = ["-L", str(folder), "-lfake_cuda", f"-Wl,-rpath,{folder}"]
    cuda = [str(SOURCES / f"fake_cuda_{part}.cpp") for part in ("device", "queue", "state")]
    nvinfer = [str(SOURCES / f"fake_{part}.cpp") for part in ("tensorrt", "network")]
    major = folder / "major.cpp"
    major.write_text('extern "C" int getInferLibVersion() { return 110400; }\n')
    subprocess.run([*compiler, f"-Wl,-soname,{driver.name}", *cuda, "-o", str(driver)], check=True)
    subprocess.run([*compiler, *nvinfer, *library, "-o", str(tensorrt)], check=True)
    subprocess.run([*compiler, str(major), "-o", str(other)], check=True)
    return Fakes(driver, tensorrt, other)


@dataclass
class Fakes:
    """The compiled fakes, with the functions that steer them."""

    driver: Path
    tensorrt: Path
    tensorrt_11: Path
    cuda: ctypes.CDLL = field(init=False)
    nvinfer: ctypes.CDLL = field(init=False)
    kept: list = field(default_factory=list)

    def __post_init__(self):
        self.cuda = ctypes.CDLL(str(self.driver))
        self.cuda.fake_cuda_state.restype = CudaState
        self.cuda.fake_cuda_calls.restype = ctypes.c_int64
        self.cuda.fake_cuda_adopt.argtypes = (ctypes.c_uint64, ctypes.c_uint64)
        self.cuda.cuStreamDestroy_v2.argtypes = (ctypes.c_void_p,)
        self.nvinfer = ctypes.CDLL(str(self.tensorrt))
        self.nvinfer.fake_tensorrt_state.restype = TensorRtState

    def state(self) -> CudaState:
        """Of the driver."""
        return self.cuda.fake_cuda_state()

    def tensorrt_state(self) -> TensorRtState:
        """Of TensorRT."""
        return self.nvinfer.fake_tensorrt_state()

    def calls(self, function: str) -> int:
        """Of a function of the driver."""
        return self.cuda.fake_cuda_calls(function.encode())

    def stream(self) -> int:
        """A new stream's handle."""
        handle = ctypes.c_void_p()
        assert self.cuda.cuStreamCreate(ctypes.byref(handle), 0) == 0
        return handle.value

    def array(self, values) -> DeviceArray:
        """A copy of an array in memory that the fake driver takes for the device's, kept with the fakes."""
        values = np.ascontiguousarray(values)
        room = np.empty(values.nbytes + 256, np.uint8)
        start = -room.ctypes.data % 256
        data = room[start : start + values.nbytes].view(values.dtype).reshape(values.shape)
        data[...] = values
        self.cuda.fake_cuda_adopt(data.ctypes.data, data.nbytes)
        self.kept.append(room)
        return DeviceArray(data)


@dataclass
class DeviceArray:
    """An array of the fake device with CUDA's array interface, which a test may spoil."""

    data: np.ndarray
    changes: dict = field(default_factory=dict)

    @property
    def address(self) -> int:
        """Of the first element."""
        return self.data.ctypes.data

    @property
    def __cuda_array_interface__(self):
        interface = {
            "shape": self.data.shape,
            "typestr": self.data.dtype.str,
            "data": (self.address, False),
            "strides": None,
            "version": 3,
            "stream": None,
        }
        return {key: value for key, value in {**interface, **self.changes}.items() if value != "absent"}


@dataclass
class OnEmulator:
    """A TensorRtEngine between the emulated device's buffers, whose writes the emulator must be told of."""

    device: object
    engine: object
    fakes: Fakes
    channels: int = 4
    stream: int = field(init=False)

    def __post_init__(self):
        self.stream = self.fakes.stream()
        dtype = np.float16 if self.engine.half else np.float32
        shape = (1, self.channels, *self.engine.size)
        self.source, self.target = (self.fakes.array(np.zeros(shape, dtype)) for _ in range(2))

    def __getattr__(self, name):
        return getattr(self.engine, name)

    def enqueue(self, source, target, stream):
        crop = host_view(source, self.source.data.nbytes)
        self.source.data[...] = crop.view(self.source.data.dtype).reshape(self.source.data.shape)
        self.engine.enqueue(self.source.address, self.target.address, self.stream)
        self.device.write_at(target, self.target.data)
