// The loops over a row that the stages spend their time in, compiled once for each instruction set and chosen
// at run time. Every variant gives the same bits: sums run in a fixed order, and nothing is contracted.
#pragma once

#include <cstdint>
#include <tuple>
#include <vector>

#include "arithmetic.cuh"

namespace brats {

// The types that a row may hold once it is contiguous and in native byte order.
using RowTypes = std::tuple<std::int8_t, std::uint8_t, std::int16_t, std::uint16_t, std::int32_t, std::uint32_t,
                            std::int64_t, std::uint64_t, float, double>;

// Rows longer than this are handed over in pieces: the integer sums of a piece cannot overflow.
inline constexpr std::int64_t longest_row = 4096;

// How a stored row becomes intensities for the network.
struct Intensity {
    bool normalise;  // the authors' z-score, else the value itself; background is 0 in both
    double mean;
    double inverse_std;
};

template <class T>
struct TypedRowKernels {
    Moments (*moments)(const T* row, std::int64_t n);
    std::int64_t (*nonfinite)(const T* row, std::int64_t n);
    bool (*any_foreground)(const T* row, std::int64_t n);
    void (*intensities)(const T* row, std::int64_t n, const Intensity& intensity, double* out);
    // out[i] = row[i], or 0 where that is not finite
    void (*finite_floats)(const T* row, std::int64_t n, float* out);
};

// Samples of a volume; strides are in samples.
struct FloatGrid {
    const float* values;
    std::int32_t extents[3];
    std::int32_t strides[3];
};

// Positions start + k * step, in voxels.
struct Line {
    double start[3];
    double step[3];
};

struct FloatRows4 {
    const float* rows[4];  // lower x lower y, lower x upper y, upper x lower y, upper x upper y
};

struct RowKernels {
    const char* name;

    std::tuple<TypedRowKernels<std::int8_t>, TypedRowKernels<std::uint8_t>, TypedRowKernels<std::int16_t>,
               TypedRowKernels<std::uint16_t>, TypedRowKernels<std::int32_t>, TypedRowKernels<std::uint32_t>,
               TypedRowKernels<std::int64_t>, TypedRowKernels<std::uint64_t>, TypedRowKernels<float>,
               TypedRowKernels<double>>
        typed;

    // out[k] = mix(in[lower[k]], in[lower[k] + 1], weight[k])
    void (*resample)(const double* in, const std::int32_t* lower, const double* weight, std::int64_t n, double* out);
    // out[k] = mix(lower[k], upper[k], weight)
    void (*blend)(const double* lower, const double* upper, double weight, std::int64_t n, double* out);
    // out[k] = (row[k] - mean) * inverse_std where row[k] is not 0, else 0
    void (*standardise)(const double* row, std::int64_t n, double mean, double inverse_std, double* out);
    void (*narrow)(const double* row, std::int64_t n, float* out);
    // out[k] += share * the four rows mixed by x and y
    void (*accumulate)(const FloatRows4& corners, double weight_x, double weight_y, double share, std::int64_t n,
                       double* out);
    // out[k] = values[the class whose resampled row is greatest at k, ties to the lower class]
    void (*argmax)(const double* const* classes, const std::int32_t* lower, const double* weight, std::int64_t n,
                   const std::uint8_t* values, std::uint8_t* out);

    // out[k] = the grid's trilinear value at position k of the line, 0 outside
    void (*along)(const FloatGrid& grid, const Line& line, std::int64_t n, float* out);

    // out[k] = the class that is greatest at position k of the line, of four that lie side by side in the grid; ties to
    // the lower, 0 outside
    void (*label_along)(const FloatGrid& grid, const Line& line, std::int64_t n, std::uint8_t* out);

    template <class T>
    [[nodiscard]] const TypedRowKernels<T>& of() const {
        return std::get<TypedRowKernels<T>>(typed);
    }
};

// The best variant for this processor.
const RowKernels& row_kernels();
// All variants that this processor runs, the best last.
std::vector<const RowKernels*> supported_row_kernels();

namespace baseline {
const RowKernels& table();
}
#ifdef BRATS_X86_VARIANTS
namespace avx2 {
const RowKernels& table();
}
namespace avx512 {
const RowKernels& table();
}
#endif

}  // namespace brats
