#include <pybind11/stl.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "../tensorrt/context.hpp"
#include "../tensorrt/fault.hpp"
#include "../tensorrt/layer_times.hpp"
#include "device_array.hpp"
#include "tensorrt_register.hpp"

namespace py = pybind11;
using namespace py::literals;

namespace brats::bindings {
namespace {

using trt::Context;
using trt::Engine;
using trt::EngineFault;

std::shared_ptr<Context> make(std::shared_ptr<Engine> engine, bool graph, std::optional<bool> poison,
                              const std::shared_ptr<Context>& share) {
    const py::gil_scoped_release release;
    const trt::ContextOptions options{graph, poison.value_or(trt::poisons_by_default)};
    return std::make_shared<Context>(std::move(engine), options, share ? share->scratch() : nullptr);
}

std::string names_of(const Engine& engine) {
    std::string names;
    for (const auto& tensor : engine.tensors()) names += (names.empty() ? "" : ", ") + tensor.name;
    return names;
}

std::vector<trt::Placement> to_placements(const Engine& engine, const py::dict& arrays) {
    std::vector<trt::Placement> placements;
    for (const auto& tensor : engine.tensors()) {
        if (!arrays.contains(tensor.name)) {
            throw EngineFault("no array for " + tensor.name + "; expected one for each of " + names_of(engine));
        }
        placements.push_back(to_placement(tensor, arrays[tensor.name.c_str()], engine.device()->ordinal()));
    }
    if (arrays.size() != placements.size()) {
        throw EngineFault("got arrays for " + std::string(py::str(py::list(arrays))) + "; expected one for each of " +
                          names_of(engine));
    }
    return placements;
}

void enqueue(Context& self, const py::dict& arrays, const py::object& stream) {
    const auto placements = to_placements(*self.engine(), arrays);
    CUstream const queue = to_stream(stream);
    const py::gil_scoped_release release;
    self.enqueue(placements, queue);
}

trt::LayerTimes profile(Context& self, const py::dict& arrays, const py::object& stream, int runs) {
    const auto placements = to_placements(*self.engine(), arrays);
    CUstream const queue = to_stream(stream);
    const py::gil_scoped_release release;
    return trt::layer_times(self, placements, queue, runs);
}

}  // namespace

void register_context(py::module_& module) {
    py::class_<Context, std::shared_ptr<Context>>(module, "Context", py::release_gil_before_calling_cpp_dtor(),
                                                  "One worker's way to run an engine; it holds the engine.")
        .def(py::init(&make), "engine"_a, py::kw_only(), "graph"_a = true, "poison"_a = py::none(),
             "share"_a = py::none(),
             "`graph` runs by a CUDA graph from the second run at the same addresses on. `poison` fills outputs with\n"
             "NaN before each run; None does so in debug builds. `share` is a context whose device memory is taken in\n"
             "turns. Raises EngineError.")
        .def("enqueue", &enqueue, "arrays"_a, "stream"_a,
             "Queue one run on a stream and return.\n\n"
             "`arrays` has for each tensor's name an address or an array with `__cuda_array_interface__`, whose own\n"
             "stream is waited for; all must live until the run has ended. Raises EngineError.")
        .def("synchronise", &Context::synchronise, py::call_guard<py::gil_scoped_release>(),
             "Wait until the last run has ended on the device. Raises EngineError with what went wrong there.")
        .def_property_readonly("captures", &Context::captures, "How many graphs were captured so far.");
    module.def("layer_times", &profile, "context"_a, "arrays"_a, "stream"_a, py::kw_only(), "runs"_a = 10,
               "Run without a graph and return (layer, mean milliseconds) in the order of execution. Waits.");
}

}  // namespace brats::bindings
