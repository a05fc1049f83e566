// Device arithmetic: bit operations, conversions with a rounding, fast and rounded versions of the mathematics.
//
// The fast versions (__expf, __fdividef ...) are the exact ones here.
#pragma once

#include "language.hpp"

#define __expf(x) expf(x)
#define __exp10f(x) exp10f(x)
#define __logf(x) logf(x)
#define __log2f(x) log2f(x)
#define __log10f(x) log10f(x)
#define __powf(x, y) powf(x, y)
#define __sinf(x) sinf(x)
#define __cosf(x) cosf(x)
#define __tanf(x) tanf(x)
#define __sincosf(x, s, c) sincosf(x, s, c)
#define rsqrtf(x) (1.0f / sqrtf(x))
#define rsqrt(x) (1.0 / sqrt(x))

namespace emulator {

/// A float as an integer of type I, saturating, not-a-number as 0: as the device converts.
template <class I, class F>
inline I saturate(F value) {
    if (value != value) return 0;
    if (value >= static_cast<F>(std::numeric_limits<I>::max())) return std::numeric_limits<I>::max();
    if (value <= static_cast<F>(std::numeric_limits<I>::min())) return std::numeric_limits<I>::min();
    return static_cast<I>(value);
}

/// The value itself, which no multiply-add may take in.
template <class T>
inline __attribute__((always_inline)) T apart(T value) {
#ifdef EMULATOR_FMAD
#ifdef __x86_64__
    asm("" : "+x"(value));
#else
    asm("" : "+w"(value));
#endif
#endif
    return value;
}

template <class To, class From>
inline To same_bits(From value) {
    static_assert(sizeof(To) == sizeof(From));
    return __builtin_bit_cast(To, value);
}

}  // namespace emulator

#define EMULATOR_CONVERSIONS(from, source, to, target)                                                       \
    inline target __##from##2##to##_rn(source v) { return ::emulator::saturate<target>(std::nearbyint(v)); } \
    inline target __##from##2##to##_rz(source v) { return ::emulator::saturate<target>(std::trunc(v)); }     \
    inline target __##from##2##to##_rd(source v) { return ::emulator::saturate<target>(std::floor(v)); }     \
    inline target __##from##2##to##_ru(source v) { return ::emulator::saturate<target>(std::ceil(v)); }
EMULATOR_CONVERSIONS(float, float, int, int)
EMULATOR_CONVERSIONS(float, float, uint, unsigned)
EMULATOR_CONVERSIONS(float, float, ll, long long)
EMULATOR_CONVERSIONS(float, float, ull, unsigned long long)
EMULATOR_CONVERSIONS(double, double, int, int)
EMULATOR_CONVERSIONS(double, double, uint, unsigned)
EMULATOR_CONVERSIONS(double, double, ll, long long)
EMULATOR_CONVERSIONS(double, double, ull, unsigned long long)
#undef EMULATOR_CONVERSIONS

inline float __int2float_rn(int v) { return static_cast<float>(v); }
inline float __uint2float_rn(unsigned v) { return static_cast<float>(v); }
inline float __ll2float_rn(long long v) { return static_cast<float>(v); }
inline float __ull2float_rn(unsigned long long v) { return static_cast<float>(v); }
inline float __double2float_rn(double v) { return static_cast<float>(v); }
inline double __int2double_rn(int v) { return v; }
inline double __ll2double_rn(long long v) { return static_cast<double>(v); }

inline int __float_as_int(float v) { return ::emulator::same_bits<int>(v); }
inline unsigned __float_as_uint(float v) { return ::emulator::same_bits<unsigned>(v); }
inline float __int_as_float(int v) { return ::emulator::same_bits<float>(v); }
inline float __uint_as_float(unsigned v) { return ::emulator::same_bits<float>(v); }
inline long long __double_as_longlong(double v) { return ::emulator::same_bits<long long>(v); }
inline double __longlong_as_double(long long v) { return ::emulator::same_bits<double>(v); }

inline float __fadd_rn(float a, float b) { return ::emulator::apart(a) + ::emulator::apart(b); }
inline float __fsub_rn(float a, float b) { return ::emulator::apart(a) - ::emulator::apart(b); }
inline float __fmul_rn(float a, float b) { return ::emulator::apart(a * b); }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __fdividef(float a, float b) { return a / b; }
inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
inline float __fsqrt_rn(float a) { return sqrtf(a); }
inline float __frcp_rn(float a) { return 1.0f / a; }
inline float __frsqrt_rn(float a) { return 1.0f / sqrtf(a); }
inline float __saturatef(float a) { return a > 0.0f ? (a < 1.0f ? a : 1.0f) : 0.0f; }
inline double __dadd_rn(double a, double b) { return ::emulator::apart(a) + ::emulator::apart(b); }
inline double __dsub_rn(double a, double b) { return ::emulator::apart(a) - ::emulator::apart(b); }
inline double __dmul_rn(double a, double b) { return ::emulator::apart(a * b); }
inline double __ddiv_rn(double a, double b) { return a / b; }
inline double __fma_rn(double a, double b, double c) { return fma(a, b, c); }
inline double __dsqrt_rn(double a) { return sqrt(a); }

inline int __popc(unsigned v) { return __builtin_popcount(v); }
inline int __popcll(unsigned long long v) { return __builtin_popcountll(v); }
inline int __clz(int v) { return v ? __builtin_clz(static_cast<unsigned>(v)) : 32; }
inline int __clzll(long long v) { return v ? __builtin_clzll(static_cast<unsigned long long>(v)) : 64; }
inline int __ffs(int v) { return __builtin_ffs(v); }
inline int __ffsll(long long v) { return __builtin_ffsll(v); }
inline unsigned __brev(unsigned v) {
    unsigned reversed = 0;
    for (int bit = 0; bit < 32; ++bit) reversed |= (v >> bit & 1u) << (31 - bit);
    return reversed;
}
inline int __mul24(int a, int b) { return ((a << 8) >> 8) * ((b << 8) >> 8); }
inline unsigned __umul24(unsigned a, unsigned b) { return (a & 0xFFFFFFu) * (b & 0xFFFFFFu); }
inline int __mulhi(int a, int b) { return static_cast<int>((static_cast<long long>(a) * b) >> 32); }
inline unsigned __umulhi(unsigned a, unsigned b) {
    return static_cast<unsigned>((static_cast<unsigned long long>(a) * b) >> 32);
}
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
    return static_cast<unsigned long long>((static_cast<unsigned __int128>(a) * b) >> 64);
}
inline unsigned __byte_perm(unsigned low, unsigned high, unsigned selector) {
    const unsigned long long bytes = static_cast<unsigned long long>(high) << 32 | low;
    unsigned result = 0;
    for (int i = 0; i < 4; ++i) {
        const unsigned pick = selector >> (4 * i) & 15u;
        unsigned byte = static_cast<unsigned>(bytes >> (8 * (pick & 7u))) & 255u;
        if (pick & 8u) byte = byte & 128u ? 255u : 0u;  // the byte's sign, spread
        result |= byte << (8 * i);
    }
    return result;
}
inline unsigned __funnelshift_l(unsigned low, unsigned high, unsigned shift) {
    return static_cast<unsigned>((static_cast<unsigned long long>(high) << 32 | low) >> (32 - (shift & 31u)));
}
inline unsigned __funnelshift_r(unsigned low, unsigned high, unsigned shift) {
    return static_cast<unsigned>((static_cast<unsigned long long>(high) << 32 | low) >> (shift & 31u));
}

// min and max of any two arithmetic types, by value. fmin's rule for a not-a-number operand.
template <class A, class B, class = std::enable_if_t<std::is_arithmetic_v<A> && std::is_arithmetic_v<B>>>
inline std::common_type_t<A, B> min(A a, B b) {
    using C = std::common_type_t<A, B>;
    if constexpr (std::is_floating_point_v<C>)
        return std::fmin(static_cast<C>(a), static_cast<C>(b));
    else
        return static_cast<C>(b) < static_cast<C>(a) ? static_cast<C>(b) : static_cast<C>(a);
}
template <class A, class B, class = std::enable_if_t<std::is_arithmetic_v<A> && std::is_arithmetic_v<B>>>
inline std::common_type_t<A, B> max(A a, B b) {
    using C = std::common_type_t<A, B>;
    if constexpr (std::is_floating_point_v<C>)
        return std::fmax(static_cast<C>(a), static_cast<C>(b));
    else
        return static_cast<C>(a) < static_cast<C>(b) ? static_cast<C>(b) : static_cast<C>(a);
}
