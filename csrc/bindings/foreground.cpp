#include "../host/foreground.hpp"

#include <pybind11/stl.h>

#include "numpy_volume.hpp"
#include "register.hpp"

namespace py = pybind11;
using namespace py::literals;

namespace brats::bindings {
namespace {

Foreground call(const py::array& volume, double slope, double intercept, int threads) {
    const Volume view = to_volume(volume, slope, intercept);
    const py::gil_scoped_release release;
    return foreground(view, threads);
}

}  // namespace

void register_foreground(py::module_& module) {
    py::class_<Foreground>(module, "Foreground", "Where a modality's foreground lies and what its intensities are.")
        .def_property_readonly(
            "box", [](const Foreground& self) { return from_box(self.box); },
            "((x0, y0, z0), (x1, y1, z1)), half-open, in voxels; the tightest around the foreground, zeros without "
            "one.")
        .def_property_readonly(
            "count", [](const Foreground& self) { return self.moments.count; },
            "Voxels that are finite and above zero.")
        .def_property_readonly(
            "mean", [](const Foreground& self) { return self.moments.mean; }, "Mean over the foreground.")
        .def_property_readonly(
            "variance", [](const Foreground& self) { return variance_of(self.moments); },
            "Variance over the foreground (ddof 0).")
        .def_readonly("nonfinite", &Foreground::nonfinite, "NaN and infinite voxels, which count as background.");
    module.def("foreground", call, "volume"_a, py::kw_only(), "slope"_a = 1.0, "intercept"_a = 0.0, "threads"_a = 0,
               "One pass over a 3-D volume of any real dtype and memory order: box, count, mean, variance.\n\n"
               "A voxel's value is stored * slope + intercept. `threads` 0 means all cores.");
}

}  // namespace brats::bindings
