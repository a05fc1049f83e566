#include <memory>
#include <string>

#include "../tensorrt/library.hpp"
#include "tensorrt_register.hpp"

namespace py = pybind11;
using namespace py::literals;

namespace brats::bindings {
namespace {

using trt::Library;

std::shared_ptr<Library> load(const std::string& path, int device, bool host_code, const std::string& driver) {
    const py::gil_scoped_release release;
    return std::make_shared<Library>(path, trt::LibraryOptions{device, driver, host_code});
}

}  // namespace

void register_library(py::module_& module) {
    py::class_<Library, std::shared_ptr<Library>>(module, "Library", py::release_gil_before_calling_cpp_dtor(),
                                                  "A TensorRT library with its runtime, on one CUDA device.")
        .def(py::init(&load), "path"_a = "", py::kw_only(), "device"_a = 0, "host_code"_a = false,
             "driver"_a = "libcuda.so.1",
             "`path` is that of the library; empty means the system's. The device is demanded first.\n\n"
             "`host_code` lets plans bring code for the host, as version-compatible ones do: for trusted plans only.\n"
             "Raises EngineError.")
        .def_property_readonly("path", &Library::name, "As it was loaded.")
        .def_property_readonly(
            "version", [](const Library& self) { return self.version().text(); },
            "Of the library, such as \"10.16.1\".")
        .def_property_readonly(
            "device", [](const Library& self) { return self.device()->ordinal(); }, "The CUDA device's number.")
        .def_property_readonly(
            "device_name", [](const Library& self) { return self.device()->name(); }, "As its maker calls it.")
        .def_property_readonly(
            "compute_capability",
            [](const Library& self) {
                const auto capability = self.device()->capability();
                return py::make_tuple(capability.major, capability.minor);
            },
            "(major, minor).");
}

}  // namespace brats::bindings
