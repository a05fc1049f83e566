"""A real CUDA device that remembers what it was asked for, as `EmulatedDevice` does."""

from __future__ import annotations

import numpy as np

from brats_trt.backends.cupy_device import CupyBuffer, CupyDevice


class CudaDevice(CupyDevice):
    """CuPy's, with a list of calls and with copies that wait, for tests to look into memory."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def read_at(self, address, dtype, shape):
        self._cupy.cuda.runtime.deviceSynchronize()
        values = np.empty(shape, dtype)
        self._cupy.cuda.runtime.memcpy(values.ctypes.data, address, values.nbytes, 2)
        return values

    def write_at(self, address, values):
        self._cupy.cuda.runtime.deviceSynchronize()
        values = np.ascontiguousarray(values)
        self._cupy.cuda.runtime.memcpy(address, values.ctypes.data, values.nbytes, 1)

    def read(self, buffer, dtype, shape):
        return self.read_at(buffer.address, dtype, shape)

    def allocate(self, nbytes, name):
        self.calls.append(("allocate", name))
        buffer = super().allocate(nbytes, name)
        # Poisoned, as the emulated device's: what a kernel leaves out shows.
        self._cupy.cuda.runtime.memset(buffer.address, 0xA5, nbytes)
        assert isinstance(buffer, CupyBuffer)
        return buffer

    def pinned(self, nbytes):
        self.calls.append(("pinned", nbytes))
        return super().pinned(nbytes)

    def compile(self, source, kernel):
        self.calls.append(("compile", kernel))
        return kernel, super().compile(source, kernel)

    def foreign_stream(self, handle):
        self.calls.append(("foreign stream", handle))
        return super().foreign_stream(handle)

    def upload(self, target, source, stream):
        self.calls.append(("upload", source.nbytes))
        super().upload(target, source, stream)

    def download(self, target, source, stream):
        self.calls.append(("download", target.nbytes))
        super().download(target, source, stream)

    def copy(self, target, source, nbytes, stream):
        self.calls.append(("copy", nbytes))
        super().copy(target, source, nbytes, stream)

    def launch(self, kernel, grid, block, arguments, stream):
        name, compiled = kernel
        self.calls.append(("launch", name))
        super().launch(compiled, grid, block, arguments, stream)

    def wait(self, stream, event):
        self.calls.append(("wait", None))
        super().wait(stream, event)

    def synchronise(self, stream):
        self.calls.append(("synchronise", None))
        super().synchronise(stream)
