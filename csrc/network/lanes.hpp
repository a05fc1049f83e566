// Vectors of float32 lanes, as wide as the instruction set that includes this, and the two kinds of words that they are
// fed with: a float32 channel, or two bfloat16 channels. Included by kernels.cpp only.
#pragma once

#include <cstdint>

#ifdef __AVX512BF16__
#include <immintrin.h>
#endif

// The variants' vectors never cross a function that is not inlined.
#pragma GCC diagnostic ignored "-Wpsabi"
#define BRATS_FLAT inline __attribute__((always_inline))

namespace brats::network::BRATS_VARIANT {
namespace {

#if defined(__AVX512F__)
constexpr int lanes = 16;
#elif defined(__AVX2__)
constexpr int lanes = 8;
#else
constexpr int lanes = 4;
#endif

// How many accumulators the registers hold: `widest_block` output channels by two vectors.
#if defined(__AVX512F__) || defined(__aarch64__)
constexpr int widest_block = 8;
#else
constexpr int widest_block = 4;
#endif

using Floats = float __attribute__((vector_size(lanes * 4)));
using Words = std::uint32_t __attribute__((vector_size(lanes * 4)));
using Integers = std::int32_t __attribute__((vector_size(lanes * 4)));

template <class Vector, class T>
BRATS_FLAT Vector load(const T* from) {
    Vector value;
    __builtin_memcpy(&value, from, sizeof(value));
    return value;
}

template <class Vector, class T>
BRATS_FLAT void store(T* to, Vector value) {
    __builtin_memcpy(to, &value, sizeof(value));
}

BRATS_FLAT Floats as_floats(Words words) {
    Floats value;
    __builtin_memcpy(&value, &words, sizeof(value));
    return value;
}

BRATS_FLAT Words as_words(Floats floats) {
    Words value;
    __builtin_memcpy(&value, &floats, sizeof(value));
    return value;
}

BRATS_FLAT Floats all(float value) { return Floats{} + value; }

BRATS_FLAT Floats greater(Floats a, Floats b) { return a > b ? a : b; }

BRATS_FLAT float sum(Floats value) {
    float total = 0.0F;
    for (int lane = 0; lane < lanes; ++lane) total += value[lane];
    return total;
}

// The lanes below `count` are kept, the others are 0.
BRATS_FLAT Words first_lanes(int count) {
    Integers index{};
    for (int lane = 0; lane < lanes; ++lane) index[lane] = lane;
    return (Words)(index < count);  // NOLINT(google-readability-casting): vectors have no other cast
}

// A word is one channel.
struct Single {
    static constexpr int channels = 1;
    struct Parts {
        Floats at[1];
    };
    static BRATS_FLAT Floats dot(Floats sum, Words a, std::uint32_t b) {
        return sum + as_floats(a) * as_floats(Words{} + b);
    }
    static BRATS_FLAT Parts split(Words words) { return {{as_floats(words)}}; }
    static BRATS_FLAT Words join(const Parts& parts) { return as_words(parts.at[0]); }
};

#ifdef __AVX512BF16__
// A word is two channels in bfloat16, the first in its lower half; products are summed in float32.
struct Pair {
    static constexpr int channels = 2;
    struct Parts {
        Floats at[2];
    };
    static BRATS_FLAT Floats dot(Floats sum, Words a, std::uint32_t b) {
        const Words wide = Words{} + b;
        return (Floats)_mm512_dpbf16_ps((__m512)sum, (__m512bh)a, (__m512bh)wide);
    }
    static BRATS_FLAT Parts split(Words words) { return {{as_floats(words << 16), as_floats(words & 0xffff0000U)}}; }
    static BRATS_FLAT Words rounded(Floats value) {
        using Halves = std::uint16_t __attribute__((vector_size(lanes * 2)));
        return __builtin_convertvector((Halves)_mm512_cvtneps_pbh((__m512)value), Words);
    }
    static BRATS_FLAT Words join(const Parts& parts) {
        return rounded(parts.at[0]) | rounded(parts.at[1]) << 16;
    }
};
#endif

}  // namespace
}  // namespace brats::network::BRATS_VARIANT
