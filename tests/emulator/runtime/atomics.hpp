// Atomic operations on global and shared memory.
#pragma once

#include "language.hpp"

namespace emulator {

/// Replaces *address by change(*address), whole, and returns what was there.
template <class T, class Change>
EMULATOR_INTRINSIC T replace(T* address, Change change) {
    using Bits = std::conditional_t<sizeof(T) == 8, uint64_t, std::conditional_t<sizeof(T) == 4, uint32_t, uint16_t>>;
    auto* bits = reinterpret_cast<Bits*>(address);
    Bits before = __atomic_load_n(bits, __ATOMIC_RELAXED);
    for (;;) {
        const T changed = change(__builtin_bit_cast(T, before));
        if (__atomic_compare_exchange_n(bits, &before, __builtin_bit_cast(Bits, changed), true, __ATOMIC_SEQ_CST,
                                        __ATOMIC_RELAXED))
            return __builtin_bit_cast(T, before);
    }
}

/// The type of a second operand: converted to the first's, as CUDA's overloads do.
template <class T>
using Operand = std::type_identity_t<T>;

}  // namespace emulator

#if EMULATOR_CHECKED
#define EMULATOR_NOTE(address) ::emulator::atomic_access(address, sizeof *(address), EMULATOR_SITE)
#else
#define EMULATOR_NOTE(address) void()
#endif

#define EMULATOR_ATOMIC(name, ...)                                                                   \
    template <class T>                                                                               \
    EMULATOR_INTRINSIC T name(T* address, ::emulator::Operand<T> value) {                            \
        EMULATOR_NOTE(address);                                                                      \
        __VA_ARGS__                                                                                  \
    }                                                                                                \
    template <class T>                                                                               \
    inline __attribute__((always_inline)) T name##_block(T* address, ::emulator::Operand<T> value) { \
        return name(address, value);                                                                 \
    }

EMULATOR_ATOMIC(atomicAdd,
                if constexpr (std::is_integral_v<T>) return __atomic_fetch_add(address, value, __ATOMIC_SEQ_CST);
                else return ::emulator::replace(address, [=](T old) { return static_cast<T>(old + value); });)
EMULATOR_ATOMIC(atomicSub, return __atomic_fetch_sub(address, value, __ATOMIC_SEQ_CST);)
EMULATOR_ATOMIC(atomicAnd, return __atomic_fetch_and(address, value, __ATOMIC_SEQ_CST);)
EMULATOR_ATOMIC(atomicOr, return __atomic_fetch_or(address, value, __ATOMIC_SEQ_CST);)
EMULATOR_ATOMIC(atomicXor, return __atomic_fetch_xor(address, value, __ATOMIC_SEQ_CST);)
EMULATOR_ATOMIC(atomicMin, return ::emulator::replace(address, [=](T old) { return value < old ? value : old; });)
EMULATOR_ATOMIC(atomicMax, return ::emulator::replace(address, [=](T old) { return old < value ? value : old; });)
EMULATOR_ATOMIC(atomicExch, return ::emulator::replace(address, [=](T) { return value; });)
EMULATOR_ATOMIC(atomicInc, return ::emulator::replace(address, [=](T old) { return old >= value ? T(0) : old + 1; });)
EMULATOR_ATOMIC(atomicDec,
                return ::emulator::replace(address, [=](T old) { return old == 0 || old > value ? value : old - 1; });)

template <class T>
EMULATOR_INTRINSIC T atomicCAS(T* address, ::emulator::Operand<T> compare, ::emulator::Operand<T> value) {
    EMULATOR_NOTE(address);
    T expected = compare;
    __atomic_compare_exchange_n(address, &expected, value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    return expected;
}
