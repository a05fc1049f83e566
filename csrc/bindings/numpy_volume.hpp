// From NumPy's arrays to the host stages' views. Called with the GIL held; the views live as long as the arrays.
#pragma once

#include <pybind11/numpy.h>

#include <array>
#include <cstdint>
#include <utility>

#include "../host/align.hpp"
#include "../host/gather.hpp"
#include "../host/scatter.hpp"
#include "../host/volume.hpp"

namespace brats::bindings {

// The rows of a (3, 4) matrix.
using MapRows = std::array<std::array<double, 4>, 3>;

AffineMap to_map(const MapRows& rows);

// ((x0, y0, z0), (x1, y1, z1)), half-open.
using BoxTuple = std::pair<Index3, Index3>;

Box to_box(const BoxTuple& box);
pybind11::tuple from_box(const Box& box);

// The voxels of each class, and the box.
pybind11::tuple from_tally(const Tally& tally);

// A 3-D array of any real dtype, byte order and stride.
Volume to_volume(const pybind11::array& array, double slope, double intercept);

// Channel `channel` of a writable, C-contiguous float32 array of (batch, 4, x, y, z), with a batch of one or two.
Channel to_channel(pybind11::array& input, std::int64_t channel);

// A C-contiguous float32 array of (batch, 4, x, y, z), with a batch of one or two.
Probabilities to_probabilities(const pybind11::array& array);

// A writable, C-contiguous 3-D float32 array.
FloatVolume to_float_volume(pybind11::array& array);

// A writable 3-D uint8 array of any stride.
LabelMap to_label_map(pybind11::array& array);

}  // namespace brats::bindings
