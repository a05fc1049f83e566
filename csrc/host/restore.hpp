// From the network's probabilities to a label map on any grid: the mirrored pair's mean, one interpolation by an affine
// map, argmax and label scheme. Where the label map's grid is the crop's own, `scatter` is faster.
#pragma once

#include "align.hpp"
#include "scatter.hpp"

namespace brats {

// `map` leads from a voxel of the label map to a position in the probabilities, in samples. A sample reaches half a
// sample beyond its place: there the outermost hold, and further out is class 0. Ties go to the lower class. Writes
// every voxel. Throws NotFinite where a probability is not finite.
Tally restore(const Probabilities& probabilities, const AffineMap& map, const LabelValues& values,
              const LabelMap& labels, int threads);

}  // namespace brats
