#include <pybind11/gil_safe_call_once.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <exception>

#include "../tensorrt/context.hpp"
#include "../tensorrt/fault.hpp"
#include "tensorrt_register.hpp"

namespace py = pybind11;

namespace {

// The runner's one exception becomes the package's EngineError.
void translate(std::exception_ptr raised) {
    PYBIND11_CONSTINIT static py::gil_safe_call_once_and_store<py::object> error;
    error.call_once_and_store_result(
        [] { return py::object(py::module_::import("brats_trt.errors").attr("EngineError")); });
    try {
        if (raised) std::rethrow_exception(raised);
    } catch (const brats::trt::EngineFault& fault) {
        py::set_error(error.get_stored(), fault.what());
    }
}

}  // namespace

PYBIND11_MODULE(_tensorrt, module) {
    module.doc() = "Runs TensorRT engines; the library is loaded at run time.";
    py::register_local_exception_translator(translate);
    brats::bindings::register_library(module);
    brats::bindings::register_engine(module);
    brats::bindings::register_context(module);
    module.attr("flavour") = brats::trt::headers_flavour();
    module.attr("headers_version") = brats::trt::headers_version().text();
    module.attr("library_names") = py::tuple(py::cast(brats::trt::library_names()));
    module.attr("poisons_by_default") = brats::trt::poisons_by_default;
}
