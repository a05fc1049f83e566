// Vectors of float32 lanes, as wide as the instruction set that includes this, and the two kinds of words that they are
// fed with: a float32 channel, or two bfloat16 channels. Included by kernels.cpp only.
#pragma once

#include <cstdint>

#ifdef __x86_64__
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

// Past the caches, for what is not read soon; `to` is on a vector's boundary.
BRATS_FLAT void stream(std::uint32_t* to, Words words) {
#if defined(__AVX512F__)
    _mm512_stream_si512((__m512i*)to, (__m512i)words);
#elif defined(__AVX2__)
    _mm256_stream_si256((__m256i*)to, (__m256i)words);
#else
    store(to, words);
#endif
}

// After the last `stream` of what other threads are to read.
BRATS_FLAT void finish_streams() {
#ifdef __AVX2__
    _mm_sfence();
#endif
}

// Asks for what is read soon, though not at once. The address need not be there.
BRATS_FLAT void prefetch(const std::uint32_t* words) { __builtin_prefetch(words, 0, 2); }

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

// Where one of them is not a number, `b`. The masks of all ones only spare the compiler's warnings of undefined lanes.
BRATS_FLAT Floats greater(Floats a, Floats b) {
#if defined(__AVX512F__)
    return (Floats)_mm512_maskz_max_ps(0xffff, (__m512)a, (__m512)b);
#elif defined(__AVX2__)
    return (Floats)_mm256_max_ps((__m256)a, (__m256)b);
#else
    return a > b ? a : b;
#endif
}

// Where `a` is not a number, neither is this.
BRATS_FLAT Floats greatest(Floats a, Floats b) { return a != a ? a : greater(a, b); }

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
    static BRATS_FLAT Words join(const Parts& parts) {
        // All of the first channel, then all of the second; and then in turn.
        const auto halves = (__m512i)_mm512_cvtne2ps_pbh((__m512)parts.at[1], (__m512)parts.at[0]);
        Words in_turn{};
        for (int lane = 0; lane < lanes; ++lane)
            in_turn[lane] = static_cast<std::uint32_t>(lane | (lane + lanes) << 16);
        return (Words)_mm512_maskz_permutexvar_epi16(0xffffffffU, (__m512i)in_turn, halves);
    }
};
#endif

}  // namespace
}  // namespace brats::network::BRATS_VARIANT
