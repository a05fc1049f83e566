#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <cstddef>
#include <memory>
#include <span>
#include <utility>

#include "../tensorrt/engine.hpp"
#include "../tensorrt/fault.hpp"
#include "tensorrt_register.hpp"

namespace py = pybind11;
using namespace py::literals;

namespace brats::bindings {
namespace {

using trt::Engine;
using trt::Library;
using trt::Tensor;

std::shared_ptr<Engine> load(std::shared_ptr<Library> library, const py::buffer& plan) {
    const py::buffer_info bytes = plan.request();
    if (bytes.ndim != 1 || bytes.itemsize != 1 || (bytes.size > 0 && bytes.strides[0] != 1)) {
        throw trt::EngineFault("the plan is not a row of bytes; expected what a plan's file holds");
    }
    const std::span<const std::byte> view(static_cast<const std::byte*>(bytes.ptr),
                                          static_cast<std::size_t>(bytes.size));
    const py::gil_scoped_release release;
    return std::make_shared<Engine>(std::move(library), view);
}

}  // namespace

void register_engine(py::module_& module) {
    py::class_<Tensor>(module, "Tensor", "An input or output of an engine, dense in C order on the device.")
        .def_readonly("name", &Tensor::name, "As in the ONNX model.")
        .def_readonly("dtype", &Tensor::dtype, "As NumPy calls it.")
        .def_property_readonly(
            "shape", [](const Tensor& self) { return py::tuple(py::cast(self.shape)); }, "Extents of all axes.")
        .def_readonly("nbytes", &Tensor::nbytes, "Bytes of all elements.")
        .def_readonly("input", &Tensor::input, "Whether it is read, else written.");
    py::class_<Engine, std::shared_ptr<Engine>>(module, "Engine", py::release_gil_before_calling_cpp_dtor(),
                                                "A plan, deserialised; it holds its library.")
        .def(py::init(&load), "library"_a, "plan"_a,
             "`plan` is what a plan's file holds. Raises EngineError with TensorRT's own words.")
        .def_property_readonly(
            "tensors", [](const Engine& self) { return py::tuple(py::cast(self.tensors())); },
            "Inputs and outputs, in the engine's order.")
        .def_property_readonly("scratch_nbytes", &Engine::scratch_nbytes,
                               "Device memory that a context needs beside its tensors.")
        .def_property_readonly("refittable", &Engine::refittable, "Whether its weights can be exchanged.");
}

}  // namespace brats::bindings
