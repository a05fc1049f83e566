// What the fake driver knows; private to it.
#pragma once

#include <bit>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "fake_cuda.hpp"

namespace fake {

// How far a stream's work has got, as each stream knows it: a vector clock.
using Clock = std::map<CUstream, std::int64_t>;

struct Stream {
    Clock clock;
    bool capturing = false;
    bool broken = false;    // a call during the capture was not allowed
    std::thread::id owner;  // of the capture
    std::vector<Work> captured;
};

struct Allocation {
    std::uint64_t nbytes = 0;
    std::unique_ptr<std::byte[]> memory;  // none where adopted
};

struct Access {
    CUstream stream;
    std::int64_t time;
};

struct Fault {
    int result;
    int which;
};

struct State {
    std::mutex mutex;
    std::condition_variable gate_moved;
    bool gate_open = true;
    int waiting = 0;
    bool hold_synchronise = false;
    int devices = 1;
    std::int64_t contexts = 0;
    std::map<CUdeviceptr, Allocation> allocations;
    std::map<CUevent, Clock> events;
    std::map<CUgraph, std::vector<Work>> graphs;
    std::map<CUgraphExec, std::vector<Work>> executables;
    std::map<CUstream, Stream> streams;
    std::map<CUdeviceptr, Access> accesses;  // the last to each address
    std::map<std::string, std::int64_t> calls;
    std::map<std::string, Fault> faults;
    std::uintptr_t next_handle = 0x1000;
    std::int64_t launches = 0;
    std::int64_t hazards = 0;
    std::int64_t misuses = 0;

    // The two streams that always exist, and those that were created; nullptr where there is none.
    Stream* find(CUstream stream);
};

State& state();

// Of the calling thread.
std::vector<CUcontext>& pushed();

// One call of the driver: holds the state's lock, counts, and finds the fault that was asked for.
class Call {
public:
    explicit Call(const char* function, bool needs_context = true);

    // What the call must return at once, or CUDA_SUCCESS.
    [[nodiscard]] CUresult fault() const { return fault_; }

    [[nodiscard]] CUresult misuse(CUresult result);

    template <class Handle>
    Handle new_handle() {
        return std::bit_cast<Handle>(state_.next_handle += 16);
    }

    State* operator->() { return &state_; }
    void unlock() { lock_.unlock(); }

private:
    State& state_;
    std::unique_lock<std::mutex> lock_;
    CUresult fault_ = CUDA_SUCCESS;
};

}  // namespace fake
