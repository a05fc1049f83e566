// From Python's device arrays to addresses. Called with the GIL held; the arrays must live until the run has ended.
#pragma once

#include <pybind11/pybind11.h>

#include "../tensorrt/context.hpp"

namespace brats::bindings {

// An address, or an object with `__cuda_array_interface__` (CuPy, PyTorch, Numba, PyCUDA) whose dtype, shape, memory
// order and device are those of the tensor, and which may be written to where the tensor is an output. Throws
// EngineFault.
trt::Placement to_placement(const trt::Tensor& tensor, const pybind11::object& value, int device);

// A stream as the array interface and CuPy's `.ptr` give it: a handle, 1 for the legacy default stream, 2 for the
// thread's own. Throws EngineFault.
CUstream to_stream(const pybind11::handle& value);

}  // namespace brats::bindings
