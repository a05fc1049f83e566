// Warp primitives: shuffles, votes, matches, reductions.
#pragma once

#include "language.hpp"

namespace emulator {

template <class T>
inline uint64_t to_bits(T value) {
    static_assert(sizeof(T) <= 8 && std::is_trivially_copyable_v<T>);
    if constexpr (sizeof(T) == 8)
        return __builtin_bit_cast(uint64_t, value);
    else if constexpr (sizeof(T) == 4)
        return __builtin_bit_cast(uint32_t, value);
    else if constexpr (sizeof(T) == 2)
        return __builtin_bit_cast(uint16_t, value);
    else
        return __builtin_bit_cast(uint8_t, value);
}

template <class T>
inline T from_bits(uint64_t bits) {
    if constexpr (sizeof(T) == 8)
        return __builtin_bit_cast(T, bits);
    else if constexpr (sizeof(T) == 4)
        return __builtin_bit_cast(T, static_cast<uint32_t>(bits));
    else if constexpr (sizeof(T) == 2)
        return __builtin_bit_cast(T, static_cast<uint16_t>(bits));
    else
        return __builtin_bit_cast(T, static_cast<uint8_t>(bits));
}

template <class T>
inline T shuffle(unsigned mask, T value, unsigned source, const void* site) {
    return from_bits<T>(collective(Collective::shuffle, mask, to_bits(value), source, site));
}

}  // namespace emulator

template <class T>
EMULATOR_INTRINSIC T __shfl_sync(unsigned mask, T value, int source, int width = 32) {
    const unsigned lane = ::emulator::lane_number(), segment = static_cast<unsigned>(width);
    const unsigned from = (lane & ~(segment - 1)) | (static_cast<unsigned>(source) & (segment - 1));
    return ::emulator::shuffle(mask, value, from, EMULATOR_SITE);
}

template <class T>
EMULATOR_INTRINSIC T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32) {
    const unsigned lane = ::emulator::lane_number(), within = lane & (static_cast<unsigned>(width) - 1);
    return ::emulator::shuffle(mask, value, within < delta ? lane : lane - delta, EMULATOR_SITE);
}

template <class T>
EMULATOR_INTRINSIC T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32) {
    const unsigned lane = ::emulator::lane_number(), within = lane & (static_cast<unsigned>(width) - 1);
    return ::emulator::shuffle(mask, value, within + delta >= static_cast<unsigned>(width) ? lane : lane + delta,
                               EMULATOR_SITE);
}

template <class T>
EMULATOR_INTRINSIC T __shfl_xor_sync(unsigned mask, T value, int bits, int width = 32) {
    const unsigned lane = ::emulator::lane_number(), from = lane ^ static_cast<unsigned>(bits);
    const unsigned end = (lane & ~(static_cast<unsigned>(width) - 1)) + static_cast<unsigned>(width);
    return ::emulator::shuffle(mask, value, from < end ? from : lane, EMULATOR_SITE);
}

#define EMULATOR_COLLECTIVE(type, kind, value) \
    return static_cast<type>(::emulator::collective(::emulator::Collective::kind, mask, value, 0, EMULATOR_SITE))

EMULATOR_INTRINSIC void __syncwarp(unsigned mask = 0xFFFFFFFFu) {
    ::emulator::collective(::emulator::Collective::synchronise, mask, 0, 0, EMULATOR_SITE);
}
EMULATOR_INTRINSIC unsigned __ballot_sync(unsigned mask, int predicate) {
    EMULATOR_COLLECTIVE(unsigned, ballot, predicate != 0);
}
EMULATOR_INTRINSIC int __any_sync(unsigned mask, int predicate) { EMULATOR_COLLECTIVE(int, any, predicate != 0); }
EMULATOR_INTRINSIC int __all_sync(unsigned mask, int predicate) { EMULATOR_COLLECTIVE(int, all, predicate != 0); }
// Not inlined in any mode: the lanes that are active together are those that come from one call.
__attribute__((noinline, no_sanitize_thread)) inline unsigned __activemask() {
    return static_cast<unsigned>(
        ::emulator::collective(::emulator::Collective::active, 0xFFFFFFFFu, 0, 0, __builtin_return_address(0)));
}
template <class T>
EMULATOR_INTRINSIC unsigned __match_any_sync(unsigned mask, T value) {
    EMULATOR_COLLECTIVE(unsigned, match_any, ::emulator::to_bits(value));
}
template <class T>
EMULATOR_INTRINSIC unsigned __match_all_sync(unsigned mask, T value, int* same) {
    const auto alike = static_cast<unsigned>(
        ::emulator::collective(::emulator::Collective::match_all, mask, ::emulator::to_bits(value), 0, EMULATOR_SITE));
    *same = alike != 0;
    return alike;
}

#define EMULATOR_REDUCTION(name, type, kind)                                    \
    EMULATOR_INTRINSIC type __reduce_##name##_sync(unsigned mask, type value) { \
        EMULATOR_COLLECTIVE(type, kind, static_cast<uint32_t>(value));          \
    }
EMULATOR_REDUCTION(add, int, add)
EMULATOR_REDUCTION(add, unsigned, add)
EMULATOR_REDUCTION(min, int, minimum_signed)
EMULATOR_REDUCTION(min, unsigned, minimum)
EMULATOR_REDUCTION(max, int, maximum_signed)
EMULATOR_REDUCTION(max, unsigned, maximum)
EMULATOR_REDUCTION(and, unsigned, bit_and)
EMULATOR_REDUCTION(or, unsigned, bit_or)
EMULATOR_REDUCTION(xor, unsigned, bit_xor)
#undef EMULATOR_REDUCTION
