// Compiled once for each instruction set, into the namespace BRATS_VARIANT. Only plain loops and constexpr
// functions stand here: an inline function of the standard library, compiled for a wide instruction set and kept by the
// linker, would run on processors that lack it.
#include "row_kernels.hpp"

#include <type_traits>

#include "arithmetic.cuh"
#ifdef __AVX512F__
#include "neighbours.hpp"
#endif

#define BRATS_STRING(name) #name
#define BRATS_NAME_OF(name) BRATS_STRING(name)

namespace brats::BRATS_VARIANT {
namespace {

// Sums run in eight interleaved lanes, added up in order, so that each vector width gives the same bits.
constexpr int lanes = 8;

double total(const double (&sums)[lanes]) {
    double sum = 0.0;
    for (const double lane : sums) sum += lane;
    return sum;
}

// Up to 16 bits the sums are exact integers; squares of a longest_row stay below 2^44.
template <class T>
Moments moments_of_small_integers(const T* row, std::int64_t n) {
    std::int32_t count = 0;
    std::int32_t sum = 0;
    std::int64_t squares = 0;
    for (std::int64_t i = 0; i < n; ++i) {
        const std::int32_t value = is_foreground(row[i]) ? row[i] : 0;
        count += value > 0;
        sum += value;
        squares += static_cast<std::int64_t>(static_cast<std::uint32_t>(value) * static_cast<std::uint32_t>(value));
    }
    if (count == 0) return {};
    const std::int64_t scaled = squares * count - static_cast<std::int64_t>(sum) * sum;
    return {count, static_cast<double>(sum) / count, static_cast<double>(scaled) / count};
}

// Two passes over a row that stays in the cache: the mean first, so that the deviations do not cancel.
template <class T>
Moments moments_of_wide_values(const T* row, std::int64_t n) {
    double sums[lanes] = {};
    std::int64_t count = 0;
    const std::int64_t whole = n - n % lanes;
    for (std::int64_t i = 0; i < whole; i += lanes)
        for (int lane = 0; lane < lanes; ++lane) {
            const T value = row[i + lane];
            const bool inside = is_foreground(value);
            sums[lane] += inside ? static_cast<double>(value) : 0.0;
            count += inside;
        }
    for (std::int64_t i = whole; i < n; ++i)
        if (is_foreground(row[i])) {
            sums[i - whole] += static_cast<double>(row[i]);
            ++count;
        }
    if (count == 0) return {};

    const double mean = total(sums) / static_cast<double>(count);
    double squares[lanes] = {};
    for (std::int64_t i = 0; i < whole; i += lanes)
        for (int lane = 0; lane < lanes; ++lane) {
            const T value = row[i + lane];
            const double deviation = is_foreground(value) ? static_cast<double>(value) - mean : 0.0;
            squares[lane] += deviation * deviation;
        }
    for (std::int64_t i = whole; i < n; ++i)
        if (is_foreground(row[i])) {
            const double deviation = static_cast<double>(row[i]) - mean;
            squares[i - whole] += deviation * deviation;
        }
    return {count, mean, total(squares)};
}

template <class T>
Moments moments(const T* row, std::int64_t n) {
    if constexpr (std::is_integral_v<T> && sizeof(T) <= 2)
        return moments_of_small_integers(row, n);
    else
        return moments_of_wide_values(row, n);
}

template <class T>
std::int64_t nonfinite(const T* row, std::int64_t n) {
    std::int64_t count = 0;
    for (std::int64_t i = 0; i < n; ++i) count += !is_finite(row[i]);
    return count;
}

template <class T>
bool any_foreground(const T* row, std::int64_t n) {
    std::int64_t count = 0;
    for (std::int64_t i = 0; i < n; ++i) count += is_foreground(row[i]);
    return count > 0;
}

template <class T>
void intensities(const T* row, std::int64_t n, const Intensity& intensity, double* out) {
    const double mean = intensity.mean;
    const double inverse_std = intensity.inverse_std;
    if (intensity.normalise)
        for (std::int64_t i = 0; i < n; ++i) {
            const double mapped = normalised(static_cast<double>(row[i]), mean, inverse_std);
            out[i] = is_foreground(row[i]) ? mapped : 0.0;
        }
    else
        for (std::int64_t i = 0; i < n; ++i) out[i] = is_foreground(row[i]) ? static_cast<double>(row[i]) : 0.0;
}

void resample(const double* in, const std::int32_t* lower, const double* weight, std::int64_t n, double* out) {
    std::int64_t k = 0;
#ifdef __AVX512F__
    for (const std::int64_t readable = lower[n - 1] + 2; k + octet <= n && Neighbours::reach(lower + k); k += octet)
        _mm512_storeu_pd(out + k, Neighbours(lower + k, weight + k, readable).mixed(in));
#endif
    for (; k < n; ++k) out[k] = mix(in[lower[k]], in[lower[k] + 1], weight[k]);
}

void blend(const double* lower, const double* upper, double weight, std::int64_t n, double* out) {
    for (std::int64_t k = 0; k < n; ++k) out[k] = mix(lower[k], upper[k], weight);
}

void standardise(const double* row, std::int64_t n, double mean, double inverse_std, double* out) {
    for (std::int64_t k = 0; k < n; ++k) out[k] = row[k] != 0.0 ? (row[k] - mean) * inverse_std : 0.0;
}

void narrow(const double* row, std::int64_t n, float* out) {
    for (std::int64_t k = 0; k < n; ++k) out[k] = static_cast<float>(row[k]);
}

void accumulate(const FloatRows4& corners, double weight_x, double weight_y, double share, std::int64_t n,
                double* __restrict out) {
    const float* __restrict a = corners.rows[0];
    const float* __restrict b = corners.rows[1];
    const float* __restrict c = corners.rows[2];
    const float* __restrict d = corners.rows[3];
    for (std::int64_t k = 0; k < n; ++k) {
        const auto lower = mix<double>(a[k], b[k], weight_y);
        const auto upper = mix<double>(c[k], d[k], weight_y);
        out[k] += share * mix(lower, upper, weight_x);
    }
}

void argmax(const double* const* classes, const std::int32_t* lower, const double* weight, std::int64_t n,
            const std::uint8_t* values, std::uint8_t* __restrict out) {
    const double* __restrict c0 = classes[0];
    const double* __restrict c1 = classes[1];
    const double* __restrict c2 = classes[2];
    const double* __restrict c3 = classes[3];
    const std::int64_t v0 = values[0];
    const std::int64_t v1 = values[1];
    const std::int64_t v2 = values[2];
    const std::int64_t v3 = values[3];
    std::int64_t k = 0;
#ifdef __AVX512F__
    for (const std::int64_t readable = lower[n - 1] + 2; k + octet <= n && Neighbours::reach(lower + k); k += octet) {
        const Neighbours at(lower + k, weight + k, readable);
        __m512d best = at.mixed(c0);
        __m512i value = _mm512_set1_epi64(v0);
        const auto challenge = [&](const double* row, std::int64_t challenger) {
            const __m512d p = at.mixed(row);
            const __mmask8 above = _mm512_cmp_pd_mask(p, best, _CMP_GT_OQ);
            best = _mm512_mask_mov_pd(best, above, p);
            value = _mm512_mask_set1_epi64(value, above, challenger);
        };
        challenge(c1, v1);
        challenge(c2, v2);
        challenge(c3, v3);
        _mm_storel_epi64(reinterpret_cast<__m128i*>(out + k), _mm512_maskz_cvtepi64_epi8(0xff, value));
    }
#endif
    for (; k < n; ++k) {
        const std::int32_t at = lower[k];
        const double w = weight[k];
        const double p0 = mix(c0[at], c0[at + 1], w);
        const double p1 = mix(c1[at], c1[at + 1], w);
        const double p2 = mix(c2[at], c2[at + 1], w);
        const double p3 = mix(c3[at], c3[at + 1], w);
        const double best01 = p1 > p0 ? p1 : p0;
        const std::int64_t value01 = p1 > p0 ? v1 : v0;
        const double best23 = p3 > p2 ? p3 : p2;
        const std::int64_t value23 = p3 > p2 ? v3 : v2;
        out[k] = static_cast<std::uint8_t>(best23 > best01 ? value23 : value01);
    }
}

template <class T>
void finite_floats(const T* row, std::int64_t n, float* out) {
    for (std::int64_t i = 0; i < n; ++i) {
        const auto value = static_cast<float>(row[i]);  // which makes an infinity of a double that no float holds
        out[i] = is_finite(value) ? value : 0.0F;
    }
}

// Positions of a line that are worked on together, so that what is between the two loops stays in the cache.
constexpr std::int64_t stretch = 128;

struct Stretch {
    std::int32_t lower[stretch];  // the sample at the lower corner
    std::int32_t inside[stretch];
    float weights[3][stretch];  // of the upper corners
};

void locate(const FloatGrid& grid, const Line& line, std::int64_t first, std::int64_t n, Stretch& at) {
    for (std::int64_t k = 0; k < n; ++k) {
        at.lower[k] = 0;
        at.inside[k] = 1;
    }
    for (int axis = 0; axis < 3; ++axis) {
        const double start = line.start[axis];
        const double step = line.step[axis];
        const std::int32_t extent = grid.extents[axis];
        const std::int32_t stride = grid.strides[axis];
        float* __restrict weights = at.weights[axis];
        for (std::int64_t k = 0; k < n; ++k) {
            const double position = start + static_cast<double>(static_cast<std::int32_t>(first + k)) * step;
            const Corner corner = corner_of(position, extent);
            at.inside[k] &= static_cast<std::int32_t>(reaches(position, extent));
            at.lower[k] += corner.lower * stride;
            weights[k] = corner.weight;
        }
    }
}

void along(const FloatGrid& grid, const Line& line, std::int64_t n, float* out) {
    // An axis of one sample has no upper one; its weight is 0.
    const std::int32_t x = grid.extents[0] > 1 ? grid.strides[0] : 0;
    const std::int32_t y = grid.extents[1] > 1 ? grid.strides[1] : 0;
    const std::int32_t z = grid.extents[2] > 1 ? grid.strides[2] : 0;
    const float* __restrict values = grid.values;
    Stretch at{};
    for (std::int64_t first = 0; first < n; first += stretch) {
        const std::int64_t count = n - first < stretch ? n - first : stretch;
        locate(grid, line, first, count, at);
        float* __restrict to = out + first;
        for (std::int64_t k = 0; k < count; ++k) {
            const std::int32_t corner = at.lower[k];
            const float wz = at.weights[2][k];
            const float wy = at.weights[1][k];
            const float a = mix(values[corner], values[corner + z], wz);
            const float b = mix(values[corner + y], values[corner + y + z], wz);
            const float c = mix(values[corner + x], values[corner + x + z], wz);
            const float d = mix(values[corner + x + y], values[corner + x + y + z], wz);
            const float value = mix(mix(a, b, wy), mix(c, d, wy), at.weights[0][k]);
            to[k] = at.inside[k] != 0 ? value : 0.0F;
        }
    }
}

// The probabilities of four classes; a vector of the compiler's, whatever the processor has.
using Four [[gnu::vector_size(16)]] = float;

Four four_at(const float* values) {
    Four four;
    __builtin_memcpy(&four, values, sizeof(four));
    return four;
}

Four mixed(Four lower, Four upper, float weight) { return lower * (1.0F - weight) + upper * weight; }

std::uint8_t greatest(Four p) {
    const bool later = (p[2] > p[3] ? p[2] : p[3]) > (p[0] > p[1] ? p[0] : p[1]);
    return static_cast<std::uint8_t>(later ? (p[3] > p[2] ? 3 : 2) : (p[1] > p[0] ? 1 : 0));
}

void label_along(const FloatGrid& grid, const Line& line, std::int64_t n, std::uint8_t* out) {
    const std::int32_t x = grid.extents[0] > 1 ? grid.strides[0] : 0;
    const std::int32_t y = grid.extents[1] > 1 ? grid.strides[1] : 0;
    const std::int32_t z = grid.extents[2] > 1 ? grid.strides[2] : 0;
    Stretch at{};
    for (std::int64_t first = 0; first < n; first += stretch) {
        const std::int64_t count = n - first < stretch ? n - first : stretch;
        locate(grid, line, first, count, at);
        for (std::int64_t k = 0; k < count; ++k) {
            out[first + k] = 0;
            if (at.inside[k] == 0) continue;
            const float* corner = grid.values + at.lower[k];
            const float wz = at.weights[2][k];
            const float wy = at.weights[1][k];
            const Four a = mixed(four_at(corner), four_at(corner + z), wz);
            const Four b = mixed(four_at(corner + y), four_at(corner + y + z), wz);
            const Four c = mixed(four_at(corner + x), four_at(corner + x + z), wz);
            const Four d = mixed(four_at(corner + x + y), four_at(corner + x + y + z), wz);
            out[first + k] = greatest(mixed(mixed(a, b, wy), mixed(c, d, wy), at.weights[0][k]));
        }
    }
}

template <class T>
constexpr TypedRowKernels<T> typed() {
    return {moments<T>, nonfinite<T>, any_foreground<T>, intensities<T>, finite_floats<T>};
}

constexpr RowKernels kernels{
    BRATS_NAME_OF(BRATS_VARIANT),
    {typed<std::int8_t>(), typed<std::uint8_t>(), typed<std::int16_t>(), typed<std::uint16_t>(), typed<std::int32_t>(),
     typed<std::uint32_t>(), typed<std::int64_t>(), typed<std::uint64_t>(), typed<float>(), typed<double>()},
    resample,
    blend,
    standardise,
    narrow,
    accumulate,
    argmax,
    along,
    label_along};

}  // namespace

const RowKernels& table() { return kernels; }

}  // namespace brats::BRATS_VARIANT
