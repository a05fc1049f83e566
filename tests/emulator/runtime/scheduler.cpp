// Runs the warps of a block from one wait to the next.
#include <bit>

#include "worker.hpp"

__thread emulator::ThreadView* emulator_current __attribute__((tls_model("initial-exec"))) = nullptr;

namespace emulator {
namespace {

constexpr size_t stack_bytes = 256 * 1024;

void fiber_entry() {
    // The worker is asked for anew each time: a fiber outlives the block that started it.
    for (;;) {
        Worker& worker = *current_thread().worker;
        worker.start_lanes();
        worker.fiber_idle = true;
        switch_context(worker.fiber->context, worker.scheduler);
    }
}

}  // namespace

void Worker::enter(Fiber& next) {
    fiber = &next;
    if (next.fresh) next.restart(fiber_entry);
    switch_context(scheduler, next.context);
    if (fiber_idle) {
        fiber_idle = false;
        idle.push_back(fiber);
    }
}

void Worker::start_lanes() {
    Launch& launch = run->launch;
    while (warp->next < warp->lanes) {
        Warp& own = *warp;
        Thread& thread = threads[own.first + own.next++];
        thread.fiber = fiber;
        emulator_current = &thread;
        launch.call(launch.arguments);
        if (pending.size) settle();
        own.done |= 1u << thread.lane;
    }
}

/// Leaves the running lane until the scheduler enters its fiber again.
void Worker::wait() {
    if (pending.size) settle();
    switch_context(fiber->context, scheduler);
}

void Worker::run_warp(Warp& own) {
    warp = &own;
    while (!failed) {
        if (own.next < own.lanes) {
            emulator_current = &threads[own.first];
            if (idle.empty()) {
                fibers.push_back(std::make_unique<Fiber>(stack_bytes, fibers.size()));
                idle.push_back(fibers.back().get());
            }
            Fiber& next = *idle.back();
            idle.pop_back();
            enter(next);
        } else if (own.ready) {
            Thread& thread = threads[own.first + std::countr_zero(own.ready)];
            own.ready &= own.ready - 1;
            emulator_current = &thread;
            enter(*thread.fiber);
        } else if (!resolve_collectives(own)) {
            break;
        }
    }
    emulator_current = nullptr;
    if (counting && !failed) flush_counts();
}

void Worker::run_block(uint64_t block) {
    const Launch& launch = run->launch;
    block_index = {static_cast<uint32_t>(block % launch.grid[0]),
                   static_cast<uint32_t>(block / launch.grid[0] % launch.grid[1]),
                   static_cast<uint32_t>(block / launch.grid[0] / launch.grid[1])};
    block_interval = ++interval;
    counting = launch.checked && launch.count_every && block % launch.count_every == 0;
    counted_blocks += counting;
    for (Warp& each : warps)
        each.next = each.ready = each.collective = each.barrier = each.done = each.touched = each.epoch = 0;
    do {
        for (Warp& each : warps)
            if (!failed) run_warp(each);
        judge_suspect();
    } while (!failed && release_barrier());
    suspect.reset();
    ++interval;
}

/// Lets the waiting threads go on; false where none waits. Called when no lane can move.
bool Worker::release_barrier() {
    const Thread* first = nullptr;
    for (const Warp& each : warps)
        if (each.barrier && !first) first = &threads[each.first + std::countr_zero(each.barrier)];
    if (!first) return false;
    uint64_t count = 0, live = 0;
    for (const Warp& each : warps) {
        if (const uint32_t missing = each.done & ~excused(each)) {
            record_fault({FaultKind::barrier_divergence, first->arrival.site, each.first + std::countr_zero(missing)},
                         "this thread returned and never reached the __syncthreads where thread %u waits",
                         first->linear);
            return false;
        }
        for (uint32_t rest = each.barrier; rest; rest &= rest - 1) {
            const Thread& thread = threads[each.first + std::countr_zero(rest)];
            if (run->launch.checked && thread.arrival.site != first->arrival.site) {
                record_fault({FaultKind::barrier_divergence, thread.arrival.site, thread.linear},
                             "this thread waits at another __syncthreads than thread %u of its block", first->linear);
                return false;
            }
            count += thread.arrival.value;
            ++live;
        }
    }
    for (Warp& each : warps) {
        for (uint32_t rest = each.barrier; rest; rest &= rest - 1) {
            Arrival& arrival = threads[each.first + std::countr_zero(rest)].arrival;
            const auto vote = static_cast<Vote>(arrival.mask);
            arrival.result = vote == Vote::count ? count : vote == Vote::all ? count == live : count > 0;
        }
        each.ready = each.barrier;
        each.barrier = 0;
    }
    ++barriers;
    ++interval;
    return true;
}

/// The lanes that have returned and need not arrive any more.
uint32_t Worker::excused(const Warp& own) const {
    switch (run->launch.checked ? run->launch.exited : Exited::allowed) {
        case Exited::allowed: return own.done;
        case Exited::early: return own.done & ~own.touched;
        default: return 0;
    }
}

uint32_t barrier(Vote vote, bool predicate, const void* site) {
    Thread& thread = current_thread();
    Worker& worker = *thread.worker;
    Warp& warp = *worker.warp;
    thread.arrival = {Collective::synchronise,         static_cast<uint32_t>(vote), 0, predicate, 0,
                      reinterpret_cast<uint64_t>(site)};
    warp.barrier |= 1u << thread.lane;
    warp.touched |= 1u << thread.lane;
    worker.wait();
    return static_cast<uint32_t>(thread.arrival.result);
}

}  // namespace emulator
