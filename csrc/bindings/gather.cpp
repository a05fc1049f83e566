#include "../host/gather.hpp"

#include <pybind11/stl.h>

#include <stdexcept>
#include <string>

#include "numpy_volume.hpp"
#include "register.hpp"

namespace py = pybind11;
using namespace py::literals;

namespace brats::bindings {
namespace {

Normalisation to_normalisation(const std::string& name) {
    if (name == "authors") return Normalisation::authors;
    if (name == "card") return Normalisation::card;
    throw std::invalid_argument("expected the normalisation \"authors\" or \"card\", got \"" + name + "\"");
}

void call(const py::array& volume, const BoxTuple& box, py::array out, std::int64_t channel, double mean,
          double variance, const std::string& normalisation, double slope, double intercept, int threads) {
    const Volume view = to_volume(volume, slope, intercept);
    const Channel target = to_channel(out, channel);
    const Normalisation kind = to_normalisation(normalisation);
    const py::gil_scoped_release release;
    gather(view, to_box(box), Moments{1, mean, variance}, kind, target, threads);
}

}  // namespace

void register_gather(py::module_& module) {
    module.def("gather", call, "volume"_a, "box"_a, "out"_a, "channel"_a, py::kw_only(), "mean"_a, "variance"_a,
               "normalisation"_a = "authors", "slope"_a = 1.0, "intercept"_a = 0.0, "threads"_a = 0,
               "Crop a 3-D volume to a half-open box, normalise and resample it into out[:, channel].\n\n"
               "`out` is float32 of shape (1 or 2, 4, x, y, z); a second batch entry is mirrored along axis y.\n"
               "`mean` and `variance` are those of the whole volume's foreground; \"card\" derives its own instead.");
}

}  // namespace brats::bindings
