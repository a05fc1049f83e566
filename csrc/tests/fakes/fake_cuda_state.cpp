#include "fake_cuda_state.hpp"

#include <chrono>

namespace fake {

// Never destroyed: objects of other libraries may call until the process has ended.
State& state() {
    static auto* const all = new State;
    return *all;
}

std::vector<CUcontext>& pushed() {
    thread_local std::vector<CUcontext> stack;
    return stack;
}

Stream* State::find(CUstream stream) {
    const bool always = stream == nullptr || stream == CU_STREAM_LEGACY || stream == CU_STREAM_PER_THREAD;
    if (always) return &streams[stream == nullptr ? CU_STREAM_LEGACY : stream];
    const auto found = streams.find(stream);
    return found == streams.end() ? nullptr : &found->second;
}

Call::Call(const char* function, bool needs_context) : state_(state()), lock_(state_.mutex) {
    ++state_.calls[function];
    const auto planned = state_.faults.find(function);
    if (planned != state_.faults.end() && --planned->second.which == 0) {
        fault_ = static_cast<CUresult>(planned->second.result);
        state_.faults.erase(planned);
    } else if (needs_context && pushed().empty()) {
        fault_ = misuse(CUDA_ERROR_INVALID_CONTEXT);
    }
}

CUresult Call::misuse(CUresult result) {
    ++state_.misuses;
    return result;
}

bool queue(CUstream stream, Work work) {
    State& all = state();
    {
        const std::scoped_lock lock(all.mutex);
        Stream* const found = all.find(stream);
        if (found == nullptr || pushed().empty()) {
            ++all.misuses;
            return false;
        }
        if (found->capturing) {
            found->captured.push_back(std::move(work));
            return true;
        }
    }
    work(stream == nullptr ? CU_STREAM_LEGACY : stream);
    return true;
}

void touch(CUstream stream, CUdeviceptr address) {
    State& all = state();
    const std::scoped_lock lock(all.mutex);
    Stream* const found = all.find(stream);
    if (found == nullptr) return;
    const auto last = all.accesses.find(address);
    if (last != all.accesses.end() && last->second.stream != stream &&
        found->clock[last->second.stream] < last->second.time) {
        ++all.hazards;
    }
    all.accesses[address] = {stream, ++found->clock[stream]};
}

bool is_capturing(CUstream stream) {
    State& all = state();
    const std::scoped_lock lock(all.mutex);
    const Stream* const found = all.find(stream);
    return found != nullptr && found->capturing;
}

}  // namespace fake

using fake::state;

FakeCudaState fake_cuda_state() {
    fake::State& all = state();
    const std::scoped_lock lock(all.mutex);
    std::int64_t bytes = 0;
    std::int64_t allocations = 0;
    for (const auto& [address, allocation] : all.allocations) {
        if (!allocation.memory) continue;
        bytes += static_cast<std::int64_t>(allocation.nbytes);
        ++allocations;
    }
    std::int64_t streams = 0;
    for (const auto& [handle, stream] : all.streams) streams += handle > CU_STREAM_PER_THREAD ? 1 : 0;
    const auto count = [](const auto& map) { return static_cast<std::int64_t>(map.size()); };
    return {all.contexts,
            static_cast<std::int64_t>(fake::pushed().size()),
            allocations,
            bytes,
            count(all.events),
            count(all.graphs),
            count(all.executables),
            streams,
            all.launches,
            all.hazards,
            all.misuses};
}

void fake_cuda_reset() {
    fake::State& all = state();
    const std::scoped_lock lock(all.mutex);
    all.devices = 1;
    all.gate_open = true;
    all.accesses.clear();
    all.calls.clear();
    all.faults.clear();
    all.launches = all.hazards = all.misuses = 0;
}

void fake_cuda_set_devices(int devices) {
    const std::scoped_lock lock(state().mutex);
    state().devices = devices;
}

void fake_cuda_fail(const char* function, int result, int which) {
    const std::scoped_lock lock(state().mutex);
    if (which > 0) {
        state().faults[function] = {result, which};
    } else {
        state().faults.erase(function);
    }
}

std::int64_t fake_cuda_calls(const char* function) {
    const std::scoped_lock lock(state().mutex);
    return state().calls[function];
}

void fake_cuda_adopt(std::uint64_t address, std::uint64_t nbytes) {
    const std::scoped_lock lock(state().mutex);
    state().allocations.insert_or_assign(address, fake::Allocation{nbytes, nullptr});
}

void fake_cuda_set_gate(int open) {
    const std::scoped_lock lock(state().mutex);
    state().gate_open = open != 0;
    state().gate_moved.notify_all();
}

int fake_cuda_pass_gate() {
    fake::State& all = state();
    std::unique_lock lock(all.mutex);
    ++all.waiting;
    const bool passed = all.gate_moved.wait_for(lock, std::chrono::seconds(20), [&] { return all.gate_open; });
    --all.waiting;
    return passed ? 1 : 0;
}

void fake_cuda_hold_synchronise() {
    const std::scoped_lock lock(state().mutex);
    state().hold_synchronise = true;
}

int fake_cuda_waiting() {
    const std::scoped_lock lock(state().mutex);
    return state().waiting;
}
