// What the stages that write labels have in common at the border: their views, the GIL, and what they give back.
#pragma once

#include "numpy_volume.hpp"

namespace brats::bindings {

// `stage` takes the probabilities and the label map, and gives a tally; it runs without the GIL.
template <class Stage>
pybind11::tuple label(const pybind11::array& probabilities, pybind11::array& out, Stage stage) {
    const Probabilities view = to_probabilities(probabilities);
    const LabelMap labels = to_label_map(out);
    Tally tally{};
    {
        const pybind11::gil_scoped_release release;
        tally = stage(view, labels);
    }
    return from_tally(tally);
}

}  // namespace brats::bindings
