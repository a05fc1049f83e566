// The first fault of a launch, and leaving a block that has one.
#include <cstdarg>
#include <cstdio>
#include <cstring>

#include "worker.hpp"

namespace emulator {

void Worker::record_fault(const Blame& blame, const char* format, ...) {
    if (blame.kind != FaultKind::shared_race) judge_suspect();  // what a thread did with what it read is its outcome
    failed = true;
    const std::lock_guard lock(run->fault_lock);
    FaultEntry& fault = run->launch.fault;
    run->stopped = true;
    if (fault.kind != FaultKind::none) return;
    fault.kind = blame.kind;
    fault.site = blame.site;
    fault.buffer = blame.buffer;
    fault.offset = blame.offset;
    fault.has_thread = blame.thread != no_thread;
    const uint3 block = block_index;
    std::memcpy(fault.block, &block, sizeof block);
    if (fault.has_thread) std::memcpy(fault.thread, &threads[blame.thread].index, sizeof fault.thread);
    va_list values;
    va_start(values, format);
    std::vsnprintf(fault.text, sizeof fault.text, format, values);
    va_end(values);
}

/// Leaves the faulty thread for good; the worker gives its block up.
void Worker::abandon() {
    pending.size = 0;
    switch_context(fiber->context, scheduler);
    __builtin_unreachable();
}

void failed_assertion(const char* text, const void* site) {
    Thread& thread = current_thread();
    thread.worker->record_fault({FaultKind::assertion, reinterpret_cast<uint64_t>(site), thread.linear},
                                "assert(%s) does not hold", text);
    thread.worker->abandon();
}

void trap(const void* site) {
    Thread& thread = current_thread();
    thread.worker->record_fault({FaultKind::trap, reinterpret_cast<uint64_t>(site), thread.linear},
                                "__trap was called");
    thread.worker->abandon();
}

}  // namespace emulator
