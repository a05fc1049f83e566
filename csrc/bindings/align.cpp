#include "../host/align.hpp"

#include <pybind11/stl.h>

#include "numpy_volume.hpp"
#include "register.hpp"

namespace py = pybind11;
using namespace py::literals;

namespace brats::bindings {
namespace {

void call(const py::array& volume, const MapRows& map, py::array out, double slope, double intercept, int threads) {
    const Volume view = to_volume(volume, slope, intercept);
    const FloatVolume target = to_float_volume(out);
    const py::gil_scoped_release release;
    align(view, to_map(map), target, threads);
}

}  // namespace

void register_align(py::module_& module) {
    module.def("align", call, "volume"_a, "matrix"_a, "out"_a, py::kw_only(), "slope"_a = 1.0, "intercept"_a = 0.0,
               "threads"_a = 0,
               "Resample a 3-D volume onto the grid of `out`, trilinearly.\n\n"
               "`matrix` is (3, 4): from a voxel of `out` to a position in the volume, both in voxels. `out` is a\n"
               "C-contiguous 3-D float32 array, written everywhere: 0 beyond half a voxel outside of the volume.");
}

}  // namespace brats::bindings
