#include "../host/restore.hpp"

#include <pybind11/stl.h>

#include "labelling.hpp"
#include "register.hpp"

namespace py = pybind11;
using namespace py::literals;

namespace brats::bindings {
namespace {

py::tuple call(const py::array& probabilities, const MapRows& map, py::array out, const LabelValues& values,
               int threads) {
    return label(probabilities, out, [&](const Probabilities& view, const LabelMap& labels) {
        return restore(view, to_map(map), values, labels, threads);
    });
}

}  // namespace

void register_restore(py::module_& module) {
    module.def("restore", call, "probabilities"_a, "matrix"_a, "out"_a, py::kw_only(), "values"_a, "threads"_a = 0,
               "Resample probabilities onto the grid of `out` and write each voxel's class.\n\n"
               "As `scatter`, onto any grid: `matrix` is (3, 4), from a voxel of `out` to a sample of the\n"
               "probabilities. values[0] is written beyond half a sample outside of them.");
}

}  // namespace brats::bindings
