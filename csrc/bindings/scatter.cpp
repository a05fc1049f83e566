#include "../host/scatter.hpp"

#include <pybind11/stl.h>

#include "labelling.hpp"
#include "register.hpp"

namespace py = pybind11;
using namespace py::literals;

namespace brats::bindings {
namespace {

py::tuple call(const py::array& probabilities, const BoxTuple& box, py::array out, const LabelValues& values,
               int threads) {
    return label(probabilities, out, [&](const Probabilities& view, const LabelMap& labels) {
        return scatter(view, to_box(box), values, labels, threads);
    });
}

}  // namespace

void register_scatter(py::module_& module) {
    py::register_exception<NotFinite>(module, "NotFiniteError", PyExc_ArithmeticError);
    module.def(
        "scatter", call, "probabilities"_a, "box"_a, "out"_a, py::kw_only(), "values"_a, "threads"_a = 0,
        "Resample probabilities back to a half-open box and write each voxel's class into `out`.\n\n"
        "`probabilities` is float32 of shape (1 or 2, 4, x, y, z); of two entries, the second is mirrored along\n"
        "axis y and the mean is taken. `out` is a 3-D uint8 array, written everywhere: values[0] outside the box.\n"
        "Ties go to the lower class. Returns the voxel count of each class and the tightest half-open box around\n"
        "classes 1 to 3 (zeros without them).");
}

}  // namespace brats::bindings
