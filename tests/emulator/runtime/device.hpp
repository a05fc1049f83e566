// What device code sees of the thread that runs it, and the calls it makes into the runtime.
#pragma once

#include <cstddef>
#include <cstdint>

#include "vectors.hpp"

namespace emulator {

enum class Access : uint32_t { read, write, atomic };

enum class Collective : uint32_t {
    synchronise,
    shuffle,
    ballot,
    any,
    all,
    active,
    match_any,
    match_all,
    add,
    minimum,
    maximum,
    minimum_signed,
    maximum_signed,
    bit_and,
    bit_or,
    bit_xor,
};

enum class Vote : uint32_t { none, count, all, any };

struct ThreadView {
    uint3 index;
    const uint3* block_index;
    const dim3* block_dim;
    const dim3* grid_dim;
};

uint32_t barrier(Vote vote, bool predicate, const void* site);
uint64_t collective(Collective kind, uint32_t mask, uint64_t value, uint32_t source, const void* site);
uint32_t lane_number();
void atomic_access(const volatile void* address, uint32_t size, const void* site);
void range_access(const volatile void* address, size_t bytes, Access access, const void* site);
void* dynamic_shared();
void expose_shared(void* base, size_t bytes, const char* name);
void failed_assertion(const char* text, const void* site);
void trap(const void* site);

// Constant for a thread, so the compiler may keep what it asked once.
[[gnu::const]] uint3 thread_index();
[[gnu::const]] uint3 block_index();
[[gnu::const]] dim3 block_dimensions();
[[gnu::const]] dim3 grid_dimensions();

}  // namespace emulator

extern "C" {
extern __thread emulator::ThreadView* emulator_current __attribute__((tls_model("initial-exec")));
}
