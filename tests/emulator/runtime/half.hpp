// Half precision: storage and conversions in IEEE 754 binary16; arithmetic in float, rounded once.
#pragma once

#include "language.hpp"

namespace emulator {

inline uint16_t half_bits(float value) {
    const auto bits = __builtin_bit_cast(uint32_t, value);
    const auto sign = static_cast<uint16_t>(bits >> 16 & 0x8000u);
    const uint32_t magnitude = bits & 0x7FFFFFFFu;
    if (magnitude > 0x7F800000u) return 0x7FFF;                                  // the device's NaN
    if (magnitude >= 0x477FF000u) return static_cast<uint16_t>(sign | 0x7C00u);  // rounds to infinity
    if (magnitude < 0x38800000u) {                                               // subnormal: units of 2^-24
        const float units = __builtin_bit_cast(float, magnitude) * 16777216.0f;
        return static_cast<uint16_t>(sign | static_cast<uint16_t>(std::nearbyintf(units)));
    }
    const uint32_t rounded = magnitude + 0x0FFFu + (magnitude >> 13 & 1u);  // to nearest, ties to even
    return static_cast<uint16_t>(sign | (rounded - 0x38000000u) >> 13);
}

inline float half_value(uint16_t bits) {
    const uint32_t sign = static_cast<uint32_t>(bits & 0x8000u) << 16;
    const uint32_t magnitude = bits & 0x7FFFu;
    if (magnitude >= 0x7C00u) return __builtin_bit_cast(float, sign | 0x7F800000u | (magnitude & 0x3FFu) << 13);
    if (magnitude < 0x0400u) {
        const float value = static_cast<float>(magnitude) * (1.0f / 16777216.0f);
        return sign ? -value : value;
    }
    return __builtin_bit_cast(float, sign | ((magnitude << 13) + 0x38000000u));
}

}  // namespace emulator

struct __half {
    uint16_t bits;

    __half() = default;
    __half(float value) : bits(::emulator::half_bits(value)) {}
    __half(double value) : bits(::emulator::half_bits(static_cast<float>(value))) {}
    __half(int value) : bits(::emulator::half_bits(static_cast<float>(value))) {}
    operator float() const { return ::emulator::half_value(bits); }
    __half& operator+=(__half other) { return *this = __half(float(*this) + float(other)); }
    __half& operator-=(__half other) { return *this = __half(float(*this) - float(other)); }
    __half& operator*=(__half other) { return *this = __half(float(*this) * float(other)); }
    __half& operator/=(__half other) { return *this = __half(float(*this) / float(other)); }
};
using half = __half;

inline __half operator+(__half a, __half b) { return __half(float(a) + float(b)); }
inline __half operator-(__half a, __half b) { return __half(float(a) - float(b)); }
inline __half operator*(__half a, __half b) { return __half(float(a) * float(b)); }
inline __half operator/(__half a, __half b) { return __half(float(a) / float(b)); }
inline __half operator-(__half a) { return __half(-float(a)); }
inline bool operator==(__half a, __half b) { return float(a) == float(b); }
inline bool operator!=(__half a, __half b) { return float(a) != float(b); }
inline bool operator<(__half a, __half b) { return float(a) < float(b); }
inline bool operator>(__half a, __half b) { return float(a) > float(b); }
inline bool operator<=(__half a, __half b) { return float(a) <= float(b); }
inline bool operator>=(__half a, __half b) { return float(a) >= float(b); }

inline __half __float2half(float v) { return __half(v); }
inline __half __float2half_rn(float v) { return __half(v); }
inline __half __double2half(double v) { return __half(v); }
inline __half __int2half_rn(int v) { return __half(v); }
inline float __half2float(__half v) { return float(v); }
inline unsigned short __half_as_ushort(__half v) { return v.bits; }
inline short __half_as_short(__half v) { return static_cast<short>(v.bits); }
inline __half __ushort_as_half(unsigned short v) {
    __half result;
    result.bits = v;
    return result;
}
inline __half __hadd(__half a, __half b) { return a + b; }
inline __half __hsub(__half a, __half b) { return a - b; }
inline __half __hmul(__half a, __half b) { return a * b; }
inline __half __hdiv(__half a, __half b) { return a / b; }
inline __half __hfma(__half a, __half b, __half c) { return __half(fmaf(float(a), float(b), float(c))); }
inline bool __hgt(__half a, __half b) { return a > b; }
inline bool __hlt(__half a, __half b) { return a < b; }
inline bool __hisnan(__half a) { return std::isnan(float(a)); }
inline __half __hmax(__half a, __half b) { return __half(fmaxf(float(a), float(b))); }
inline __half __hmin(__half a, __half b) { return __half(fminf(float(a), float(b))); }

struct alignas(4) __half2 {
    __half x, y;
};
using half2 = __half2;
inline __half2 make_half2(__half x, __half y) { return {x, y}; }
inline __half2 __halves2half2(__half x, __half y) { return {x, y}; }
inline __half2 __floats2half2_rn(float x, float y) { return {__half(x), __half(y)}; }
inline __half2 __float22half2_rn(float2 v) { return {__half(v.x), __half(v.y)}; }
inline __half2 __float2half2_rn(float v) { return {__half(v), __half(v)}; }
inline float2 __half22float2(__half2 v) { return {float(v.x), float(v.y)}; }
inline __half __low2half(__half2 v) { return v.x; }
inline __half __high2half(__half2 v) { return v.y; }
inline float __low2float(__half2 v) { return float(v.x); }
inline float __high2float(__half2 v) { return float(v.y); }
