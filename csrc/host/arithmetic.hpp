// The arithmetic of the stages, element by element: what counts as foreground, how it is normalised, where an
// output sample lies in its input. Every implementation of a stage takes it from here, so that two cannot drift.
#pragma once

#include <cstdint>
#include <limits>

// Inlined even without optimisation: a copy of its own, compiled for a wide instruction set, could be linked in
// for every processor.
#define BRATS_INLINE [[gnu::always_inline]] constexpr

namespace brats {

// Foreground is finite and above zero: NaN, infinities and negatives are background.
template <class T>
BRATS_INLINE bool is_foreground(T value) {
    constexpr T greatest = std::numeric_limits<T>::max();
    return value > T(0) && value <= greatest;
}

// NaN fails every comparison, so both it and the infinities fall out of the range.
template <class T>
BRATS_INLINE bool is_finite(T value) {
    constexpr T least = std::numeric_limits<T>::lowest();
    constexpr T greatest = std::numeric_limits<T>::max();
    return value >= least && value <= greatest;
}

// The authors' z-score: clipped to five standard deviations, mapped to 0..1.
BRATS_INLINE double normalised(double value, double mean, double inverse_std) {
    const double score = (value - mean) * inverse_std;
    const double above = score < -5.0 ? -5.0 : score;
    const double clipped = above > 5.0 ? 5.0 : above;
    return (clipped + 5.0) * 0.1;
}

// Where an output sample lies in its input: between samples `lower` and `lower + 1`.
struct Tap {
    std::int64_t lower;
    double weight;  // of sample lower + 1
};

// End points aligned: sample k of `outputs` lies at k * (inputs - 1) / (outputs - 1). Needs two or more of each.
// The coordinate is clamped to the last sample, which rounding would otherwise overshoot for some sizes
// (scipy.ndimage.zoom zeroes the last plane there).
BRATS_INLINE Tap tap(std::int64_t k, std::int64_t inputs, std::int64_t outputs) {
    const double step = static_cast<double>(inputs - 1) / static_cast<double>(outputs - 1);
    const auto last = static_cast<double>(inputs - 1);
    const double position = static_cast<double>(k) * step;
    const double coordinate = position > last ? last : position;
    const auto floor = static_cast<std::int64_t>(coordinate);
    const std::int64_t lower = floor > inputs - 2 ? inputs - 2 : floor;
    return {lower, coordinate - static_cast<double>(lower)};
}

BRATS_INLINE double mix(double lower, double upper, double weight) { return lower * (1.0 - weight) + upper * weight; }

}  // namespace brats
