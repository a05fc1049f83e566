// The arithmetic of the stages, element by element: what counts as foreground, how it is normalised, where an
// output sample lies in its input. The host stages and the CUDA kernels both take it from here, so that they cannot
// drift. It includes nothing: the run-time compiler of CUDA has no standard library.
#pragma once

// Inlined even without optimisation: a copy of its own, compiled for a wide instruction set, could be linked in
// for every processor.
#ifdef __CUDACC__
#define BRATS_INLINE __device__ __forceinline__ constexpr
#else
#define BRATS_INLINE [[gnu::always_inline]] constexpr
#endif

namespace brats {

using Int64 = long long;

// NaN and the infinities are the values that differ from themselves less themselves.
template <class T>
BRATS_INLINE bool is_finite(T value) {
    return value - value == T(0);
}

// Foreground is finite and above zero: NaN, infinities and negatives are background.
template <class T>
BRATS_INLINE bool is_foreground(T value) {
    return value > T(0) && is_finite(value);
}

// A z-score as the authors put it: clipped to five standard deviations, mapped to 0..1.
template <class Real>
BRATS_INLINE Real mapped(Real score) {
    const Real above = score < Real(-5) ? Real(-5) : score;
    const Real clipped = above > Real(5) ? Real(5) : above;
    return (clipped + Real(5)) * Real(0.1);
}

template <class Real>
BRATS_INLINE Real normalised(Real value, Real mean, Real inverse_std) {
    return mapped((value - mean) * inverse_std);
}

// Where an output sample lies in its input: between samples `lower` and `lower + 1`.
struct Tap {
    Int64 lower;
    double weight;  // of sample lower + 1
};

// End points aligned: sample k of `outputs` lies at k * (inputs - 1) / (outputs - 1). Needs two or more of each.
// The coordinate is clamped to the last sample, which rounding would otherwise overshoot for some sizes
// (scipy.ndimage.zoom zeroes the last plane there).
BRATS_INLINE Tap tap(Int64 k, Int64 inputs, Int64 outputs) {
    const double step = static_cast<double>(inputs - 1) / static_cast<double>(outputs - 1);
    const auto last = static_cast<double>(inputs - 1);
    const double position = static_cast<double>(k) * step;
    const double coordinate = position > last ? last : position;
    const auto floor = static_cast<Int64>(coordinate);
    const Int64 lower = floor > inputs - 2 ? inputs - 2 : floor;
    return {lower, coordinate - static_cast<double>(lower)};
}

template <class Real>
BRATS_INLINE Real mix(Real lower, Real upper, Real weight) {
    return lower * (Real(1) - weight) + upper * weight;
}

// Where a position on an axis of `extent` samples lies: between samples `lower` and `lower + 1`. Positions beyond the
// first and the last sample are theirs.
struct Corner {
    int lower;
    float weight;  // of sample lower + 1
};

BRATS_INLINE Corner corner_of(double position, int extent) {
    const auto last = static_cast<double>(extent - 1);
    const double above = position > 0.0 ? position : 0.0;  // NaN is 0 too
    const double coordinate = above > last ? last : above;
    const int floor = static_cast<int>(coordinate);
    const int lower = floor > extent - 2 ? (extent > 1 ? extent - 2 : 0) : floor;
    return {lower, static_cast<float>(coordinate - static_cast<double>(lower))};
}

// Whether a voxel holds a position: it reaches half a voxel beyond its centre.
BRATS_INLINE bool reaches(double position, int extent) {
    return position >= -0.5 && position < static_cast<double>(extent) - 0.5;
}

// Of the foreground: how many voxels, their mean, and the sum of squared deviations from it.
// Without initialisers, so that it may lie in shared memory; start from Moments{}.
struct Moments {
    Int64 count;
    double mean;
    double squares;
};

BRATS_INLINE double variance_of(const Moments& moments) {
    return moments.count > 0 ? moments.squares / static_cast<double>(moments.count) : 0.0;
}

// Merges in order, by the update of Chan, Golub and LeVeque (1979): stable in one pass.
BRATS_INLINE void merge(Moments& into, const Moments& more) {
    if (more.count == 0) return;
    const auto old_count = static_cast<double>(into.count);
    const auto new_count = static_cast<double>(more.count);
    const double total = old_count + new_count;
    const double shift = more.mean - into.mean;
    into.mean += shift * (new_count / total);
    into.squares += more.squares + shift * shift * (old_count * (new_count / total));
    into.count += more.count;
}

}  // namespace brats
