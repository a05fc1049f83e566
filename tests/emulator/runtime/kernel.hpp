// What comes before and after a kernel source: the device language, and how a kernel is called and described.
#pragma once

#include "arithmetic.hpp"
#include "atomics.hpp"
#include "half.hpp"
#include "language.hpp"
#include "warp.hpp"

/// Where the linker puts the program's first byte: what source lines are looked up against.
extern "C" const char __ehdr_start __attribute__((visibility("hidden")));
extern "C" __attribute__((used)) inline const void* emulator_image_base() { return &__ehdr_start; }

namespace emulator {

template <class T>
constexpr char kind_of() {
    if (std::is_pointer_v<T>) return std::is_const_v<std::remove_pointer_t<T>> ? 'r' : 'w';
    if (std::is_same_v<T, bool>) return 'b';
    if (std::is_floating_point_v<T>) return 'f';
    if (std::is_integral_v<T> || std::is_enum_v<T>) return std::is_unsigned_v<T> ? 'u' : 'i';
    return 's';
}

struct Parameter {
    char kind;  // r and w: pointer to const and to writable; b, f, i, u: a number; s: a structure
    uint32_t bytes;
};

template <auto Kernel>
struct Entry;

template <class... Parameters, void (*Kernel)(Parameters...)>
struct Entry<Kernel> {
    static __attribute__((no_sanitize_thread)) void call(void** arguments) {
        call_with(arguments, std::index_sequence_for<Parameters...>());
    }

    static int describe(Parameter* out) {
        static const Parameter all[] = {{kind_of<Parameters>(), sizeof(Parameters)}..., {0, 0}};
        for (size_t i = 0; i < sizeof...(Parameters); ++i) out[i] = all[i];
        return sizeof...(Parameters);
    }

private:
    template <size_t... I>
    static __attribute__((no_sanitize_thread, always_inline)) void call_with(void** arguments,
                                                                             std::index_sequence<I...>) {
        Kernel(*static_cast<Parameters*>(arguments[I])...);
    }
};

}  // namespace emulator

#define EMULATOR_ENTRY(name)                                                                                  \
    extern "C" __attribute__((no_sanitize_thread)) void emulator_call_##name(void** arguments) {              \
        ::emulator::Entry<&::name>::call(arguments);                                                          \
    }                                                                                                         \
    extern "C" __attribute__((no_sanitize_thread)) int emulator_describe_##name(::emulator::Parameter* out) { \
        return ::emulator::Entry<&::name>::describe(out);                                                     \
    }
