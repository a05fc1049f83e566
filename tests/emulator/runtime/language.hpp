// CUDA's words for C++: qualifiers, built-in variables, barriers, fences.
#pragma once

// Standard headers come first: some of them use names that are macros below.
#include <algorithm>
#include <cfloat>
#include <climits>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <limits>
#include <type_traits>
#include <utility>

#include "device.hpp"

#define __CUDACC__ 1
#define __CUDA_ARCH__ 800
#define __global__ __attribute__((noinline))
#define __device__
#define __host__
#define __constant__
#define __managed__
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __grid_constant__
#define __align__(n) alignas(n)
#define __builtin_align__(n) alignas(n)
#define __restrict__ __restrict

#if EMULATOR_CHECKED
#define threadIdx (::emulator::thread_index())
#define blockIdx (::emulator::block_index())
#define blockDim (::emulator::block_dimensions())
#define gridDim (::emulator::grid_dimensions())
#else
#define threadIdx (emulator_current->index)
#define blockIdx (*emulator_current->block_index)
#define blockDim (*emulator_current->block_dim)
#define gridDim (*emulator_current->grid_dim)
#endif
constexpr int warpSize = 32;

#undef assert
#define assert(...) ((__VA_ARGS__) ? void() : ::emulator::failed_assertion(#__VA_ARGS__, ::emulator::here()))

// Not inlined where the runtime asks who called: its own body must not be instrumented, and its caller is the site.
#if EMULATOR_CHECKED
#define EMULATOR_INTRINSIC __attribute__((noinline, no_sanitize_thread))
#define EMULATOR_SITE __builtin_return_address(0)
#else
#define EMULATOR_INTRINSIC inline __attribute__((always_inline))
#define EMULATOR_SITE nullptr
#endif

namespace emulator {

__attribute__((noinline)) inline const void* here() { return __builtin_return_address(0); }

/// Makes a shared variable known to the runtime, and its address escape.
template <class Shared>
inline __attribute__((always_inline)) void expose(Shared& shared, size_t bytes, const char* name) {
#if EMULATOR_CHECKED
    expose_shared(&shared, bytes, name);
#else
    asm volatile("" : : "r"(&shared) : "memory");
    (void)bytes, (void)name;
#endif
}

#if EMULATOR_CHECKED
// The compiler instruments a copy only where it makes loads and stores of it.
EMULATOR_INTRINSIC void* copy_range(void* to, const void* from, size_t bytes) {
    if (!bytes) return to;
    range_access(from, bytes, Access::read, EMULATOR_SITE);
    range_access(to, bytes, Access::write, EMULATOR_SITE);
    return __builtin_memcpy(to, from, bytes);
}
EMULATOR_INTRINSIC void* fill_range(void* to, int value, size_t bytes) {
    if (bytes) range_access(to, bytes, Access::write, EMULATOR_SITE);
    return __builtin_memset(to, value, bytes);
}
#define memcpy(to, from, bytes)                                                       \
    (__builtin_constant_p(bytes) && (bytes) <= 16 ? __builtin_memcpy(to, from, bytes) \
                                                  : ::emulator::copy_range(to, from, bytes))
#define memset(to, value, bytes) ::emulator::fill_range(to, value, bytes)
#endif

}  // namespace emulator

EMULATOR_INTRINSIC void __syncthreads() { ::emulator::barrier(::emulator::Vote::none, true, EMULATOR_SITE); }
EMULATOR_INTRINSIC int __syncthreads_count(int predicate) {
    return static_cast<int>(::emulator::barrier(::emulator::Vote::count, predicate != 0, EMULATOR_SITE));
}
EMULATOR_INTRINSIC int __syncthreads_and(int predicate) {
    return static_cast<int>(::emulator::barrier(::emulator::Vote::all, predicate != 0, EMULATOR_SITE));
}
EMULATOR_INTRINSIC int __syncthreads_or(int predicate) {
    return static_cast<int>(::emulator::barrier(::emulator::Vote::any, predicate != 0, EMULATOR_SITE));
}
EMULATOR_INTRINSIC void __trap() { ::emulator::trap(EMULATOR_SITE); }

inline void __threadfence() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
inline void __threadfence_block() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
inline void __threadfence_system() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
inline void __nanosleep(unsigned) {}
inline long long clock64() { return static_cast<long long>(clock()); }

template <class T>
inline __attribute__((always_inline)) T __ldg(const T* p) {
    return *p;
}
template <class T>
inline __attribute__((always_inline)) T __ldcg(const T* p) {
    return *p;
}
template <class T>
inline __attribute__((always_inline)) T __ldca(const T* p) {
    return *p;
}
template <class T>
inline __attribute__((always_inline)) T __ldcs(const T* p) {
    return *p;
}
template <class T>
inline __attribute__((always_inline)) T __ldlu(const T* p) {
    return *p;
}
template <class T>
inline __attribute__((always_inline)) T __ldcv(const T* p) {
    return *p;
}
template <class T>
inline __attribute__((always_inline)) void __stwb(T* p, T v) {
    *p = v;
}
template <class T>
inline __attribute__((always_inline)) void __stcg(T* p, T v) {
    *p = v;
}
template <class T>
inline __attribute__((always_inline)) void __stcs(T* p, T v) {
    *p = v;
}
template <class T>
inline __attribute__((always_inline)) void __stwt(T* p, T v) {
    *p = v;
}
