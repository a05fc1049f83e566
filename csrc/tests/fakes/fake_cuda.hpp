// A libcuda.so.1 of host memory and inline streams: what is queued runs at once, or goes into the graph that its stream
// is capturing. It counts what lives, fails where it is told to, and finds work that is not ordered between streams.
//
// The functions below steer it; those that are plain C can be called through ctypes too.
#pragma once

#include <cuda.h>

#include <cstdint>
#include <functional>

#if defined(__GNUC__)
#define FAKE_EXPORT __attribute__((visibility("default")))
#endif

namespace fake {

// Work is told the stream that it runs on: that which launches the graph, for captured work.
using Work = std::function<void(CUstream)>;

// What a real library does by launching kernels. False where no context is current or the stream is unknown.
FAKE_EXPORT bool queue(CUstream stream, Work work);

// Said by work of each address that it reads or writes, so that accesses from streams that do not wait for each other
// are found.
FAKE_EXPORT void touch(CUstream stream, CUdeviceptr address);

FAKE_EXPORT bool is_capturing(CUstream stream);

}  // namespace fake

extern "C" {

struct FakeCudaState {
    std::int64_t contexts;  // retained primary contexts
    std::int64_t current;   // contexts that the calling thread has pushed and not popped
    std::int64_t allocations;
    std::int64_t bytes;
    std::int64_t events;
    std::int64_t graphs;
    std::int64_t executables;
    std::int64_t streams;
    std::int64_t launches;  // of graphs, since the last reset
    std::int64_t hazards;   // accesses that no wait puts in order, since the last reset
    std::int64_t misuses;   // calls on what does not exist, or without a context, since the last reset
};

FAKE_EXPORT FakeCudaState fake_cuda_state();

// Forgets faults, calls, hazards and misuses; one device of 1 GiB.
FAKE_EXPORT void fake_cuda_reset();

FAKE_EXPORT void fake_cuda_set_devices(int devices);

// The `which`th next call of a function, counted from 1, fails with `result`; 0 means none.
FAKE_EXPORT void fake_cuda_fail(const char* function, int result, int which);

// Calls of a function since the last reset.
FAKE_EXPORT std::int64_t fake_cuda_calls(const char* function);

// Lets host memory pass for memory of device 0.
FAKE_EXPORT void fake_cuda_adopt(std::uint64_t address, std::uint64_t nbytes);

// Work that a closed gate holds up goes on when it is opened; false where it was not within 20 s.
FAKE_EXPORT void fake_cuda_set_gate(int open);
FAKE_EXPORT int fake_cuda_pass_gate();
FAKE_EXPORT int fake_cuda_waiting();  // threads at the gate

// The next cuEventSynchronize waits at the gate.
FAKE_EXPORT void fake_cuda_hold_synchronise();
}
