// From a modality as stored to the network's input: crop, normalise and resample in one pass over the box.
#pragma once

#include <cstdint>

#include "row_kernels.hpp"
#include "volume.hpp"

namespace brats {

// The authors: z-score over the foreground of the whole volume, clipped and mapped to 0..1, then crop and resample.
// The card: crop, resample, then z-score over the non-zero voxels, unclipped.
enum class Normalisation : std::uint8_t { authors, card };

// One channel of the network's input: size[0] x size[1] x size[2] floats in C order, and optionally the same
// channel of the second batch entry, which is mirrored along axis 1.
struct Channel {
    float* plain;
    float* mirrored;  // or null
    Index3 size;
};

// `moments` are those of the whole volume's foreground. The box has two or more voxels along each axis.
void gather(const Volume& volume, const Box& box, const Moments& moments, Normalisation normalisation,
            const Channel& channel, int threads);

}  // namespace brats
