// Intensities -> z-scores.
//
// Build with -DCARD=1 for the card's normalisation, which comes after resampling, else the authors', which comes
// before.
#pragma once

#include "common.cuh"

namespace brats {

#if defined(CARD) && CARD
constexpr bool card = true;
#else
constexpr bool card = false;
#endif

// Whether a float holds every value of a type.
template <class Value>
constexpr bool fits_float = sizeof(Value) <= 2;
template <>
constexpr bool fits_float<float> = true;

template <class Value>
constexpr bool is_float = false;
template <>
constexpr bool is_float<float> = true;

// Z-scores with float32's precision however far the mean lies from zero: what a float holds loses a mean in two parts,
// of 24 bits each; wider values and scaled ones are taken in double. So are floats whose deviation lies near an end of
// their range, where -ftz would take the differences or the reciprocal for zero.
struct Scorer {
    __device__ __forceinline__ explicit Scorer(const Moments& moments)
        : mean(moments.mean),
          inverse_std(1.0 / sqrt(variance_of(moments))),
          mean_high(static_cast<float>(mean)),
          mean_low(static_cast<float>(mean - static_cast<double>(mean_high))),
          inverse_std_float(static_cast<float>(inverse_std)) {}

    template <class Value>
    __device__ __forceinline__ float score(Value value) const {
        if constexpr (fits_float<Value>) {
            if (!is_float<Value> || is_amid_floats())
                return ((static_cast<float>(value) - mean_high) - mean_low) * inverse_std_float;
        }
        return static_cast<float>((as_double(value) - mean) * inverse_std);
    }

    // For a deviation from 2^-100, of which a flush takes 2^-26 at most, to 2^120.
    __device__ __forceinline__ bool is_amid_floats() const {
        return inverse_std_float >= 0x1p-120F && inverse_std_float <= 0x1p100F;
    }

    double mean;
    double inverse_std;
    float mean_high;
    float mean_low;
    float inverse_std_float;
};

}  // namespace brats
