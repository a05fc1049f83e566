#include "device_array.hpp"

#include <array>
#include <bit>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../tensorrt/fault.hpp"

namespace py = pybind11;

namespace brats::bindings {
namespace {

using trt::EngineFault;
using trt::Tensor;

constexpr int dlpack_cuda = 2;      // kDLCUDA
constexpr int dlpack_managed = 13;  // kDLCUDAManaged

[[noreturn]] void refuse(const Tensor& tensor, const std::string& what, const std::string& advice) {
    throw EngineFault("the array for " + tensor.name + " " + what + "; expected " +
                      trt::describe(tensor.dtype, tensor.shape) + " in C order on the engine's device: " + advice);
}

// As NumPy spells dtypes: byte order, kind, bytes.
std::string dtype_of(const std::string& typestr) {
    constexpr std::array<std::pair<std::string_view, const char*>, 7> known{{{"<f4", "float32"},
                                                                             {"<f2", "float16"},
                                                                             {"|i1", "int8"},
                                                                             {"<i4", "int32"},
                                                                             {"<i8", "int64"},
                                                                             {"|b1", "bool"},
                                                                             {"|u1", "uint8"}}};
    for (const auto& [spelling, dtype] : known) {
        if (typestr == spelling) return dtype;
    }
    return "dtype " + typestr;
}

void check_shape(const Tensor& tensor, const py::dict& interface) {
    const std::string dtype = dtype_of(interface["typestr"].cast<std::string>());
    std::vector<std::int64_t> shape;
    for (const py::handle extent : interface["shape"]) shape.push_back(extent.cast<std::int64_t>());
    if (dtype != tensor.dtype || shape != tensor.shape) {
        refuse(tensor, "is " + trt::describe(dtype, shape), "convert it");
    }
}

void check_order(const Tensor& tensor, const py::dict& interface) {
    if (!interface.contains("strides") || interface["strides"].is_none()) return;
    std::int64_t step = tensor.nbytes;
    std::size_t axis = 0;
    for (const py::handle given : interface["strides"]) {
        if (axis == tensor.shape.size()) break;
        step /= tensor.shape[axis];
        if (tensor.shape[axis] > 1 && given.cast<std::int64_t>() != step) {
            refuse(tensor, "is strided", "copy it, as by cupy.ascontiguousarray");
        }
        ++axis;
    }
}

void check_device(const Tensor& tensor, const py::object& value, int device) {
    if (!py::hasattr(value, "__dlpack_device__")) return;
    const auto [kind, ordinal] = value.attr("__dlpack_device__")().cast<std::pair<int, int>>();
    if (kind == dlpack_managed || (kind == dlpack_cuda && ordinal == device)) return;
    refuse(tensor, "lies on DLPack's device (" + std::to_string(kind) + ", " + std::to_string(ordinal) + ")",
           "copy it to CUDA device " + std::to_string(device));
}

trt::Placement from_interface(const Tensor& tensor, const py::object& value, int device) {
    const auto interface = value.attr("__cuda_array_interface__").cast<py::dict>();
    check_shape(tensor, interface);
    check_order(tensor, interface);
    check_device(tensor, value, device);
    if (interface.contains("mask") && !interface["mask"].is_none()) refuse(tensor, "is masked", "fill it");
    const auto [address, read_only] = interface["data"].cast<std::pair<std::uint64_t, bool>>();
    if (read_only && !tensor.input) refuse(tensor, "is read-only", "give one that can be written to");
    trt::Placement placement{address, false, nullptr};
    if (interface.contains("stream") && !interface["stream"].is_none()) {
        const auto stream = interface["stream"];
        if (stream.cast<std::int64_t>() == 0)
            refuse(tensor, "names the stream 0, which the interface forbids", "name 1");
        placement.has_stream = true;
        placement.stream = to_stream(stream);
    }
    return placement;
}

trt::Placement from_address(const Tensor& tensor, const py::object& value) {
    const auto index = py::reinterpret_steal<py::object>(PyNumber_Index(value.ptr()));
    if (!index) {
        PyErr_Clear();
        refuse(tensor, "is a " + std::string(py::str(py::type::of(value).attr("__name__"))),
               "give an address, or an array with __cuda_array_interface__ (CuPy, PyTorch)");
    }
    try {
        return {index.cast<std::uint64_t>(), false, nullptr};
    } catch (const py::cast_error&) {
        refuse(tensor, "is at the address " + std::string(py::str(index)), "give one of 64 bits");
    }
}

}  // namespace

trt::Placement to_placement(const Tensor& tensor, const py::object& value, int device) {
    if (!py::hasattr(value, "__cuda_array_interface__")) return from_address(tensor, value);
    try {
        return from_interface(tensor, value, device);
    } catch (const py::cast_error& error) {
        refuse(tensor, std::string("has an interface that cannot be read: ") + error.what(), "update its library");
    } catch (const py::error_already_set& error) {
        refuse(tensor, std::string("has an interface that cannot be read: ") + error.what(), "update its library");
    }
}

CUstream to_stream(const py::handle& value) {
    try {
        return std::bit_cast<CUstream>(value.cast<std::uintptr_t>());
    } catch (const py::cast_error&) {
        throw EngineFault("the stream is " + std::string(py::repr(value)) +
                          "; expected its handle, as CuPy's stream.ptr");
    }
}

}  // namespace brats::bindings
