// Warp primitives: lanes wait until every lane that their mask names has come to the same call, then get their results.
#include <algorithm>
#include <bit>

#include "worker.hpp"

namespace emulator {
namespace {

constexpr uint64_t unspecified = 0xFFFFFFFFFFFFFFFFull;  // what a lane gets from one that brought nothing: a NaN

uint64_t combine(Collective kind, uint64_t a, uint64_t b) {
    const auto signed_a = static_cast<int32_t>(a), signed_b = static_cast<int32_t>(b);
    switch (kind) {
        case Collective::add: return static_cast<uint32_t>(a + b);
        case Collective::minimum: return std::min(a, b);
        case Collective::maximum: return std::max(a, b);
        case Collective::minimum_signed: return static_cast<uint32_t>(std::min(signed_a, signed_b));
        case Collective::maximum_signed: return static_cast<uint32_t>(std::max(signed_a, signed_b));
        case Collective::bit_and: return a & b;
        case Collective::bit_or: return a | b;
        default: return a ^ b;
    }
}

}  // namespace

/// Lets lanes go on whose call is complete; false where the warp has to wait for others.
bool Worker::resolve_collectives(Warp& own) {
    bool moved = false;
    for (uint32_t rest = own.collective; rest; rest &= rest - 1) {
        const uint32_t lane = std::countr_zero(rest);
        if (own.collective >> lane & 1) moved |= complete_collective(own, lane);
        if (failed) return false;
    }
    if (moved || answer_active_masks(own)) return true;
    if (!own.collective) return false;
    const Thread& waiting = threads[own.first + std::countr_zero(own.collective)];
    const uint32_t exists = own.lanes == 32 ? ~0u : (1u << own.lanes) - 1;
    uint32_t together = 0;
    for (uint32_t rest = own.collective; rest; rest &= rest - 1) {
        const Arrival& other = threads[own.first + std::countr_zero(rest)].arrival;
        const bool same = other.kind == waiting.arrival.kind && other.mask == waiting.arrival.mask &&
                          (!run->launch.checked || other.site == waiting.arrival.site);
        if (same) together |= rest & -rest;
    }
    const uint32_t missing = waiting.arrival.mask & exists & ~excused(own) & ~together;
    const uint32_t lane = missing ? std::countr_zero(missing) : waiting.lane;
    record_fault({FaultKind::missing_lane, waiting.arrival.site, own.first + lane},
                 "mask 0x%08x of lane %u names lane %u, which %s", waiting.arrival.mask, waiting.lane, lane,
                 own.done >> lane & 1 ? "has returned" : "waits at another call");
    return false;
}

bool Worker::complete_collective(Warp& own, uint32_t lane) {
    const Arrival& arrival = threads[own.first + lane].arrival;
    if (arrival.kind == Collective::active) return false;
    uint32_t arrived = 0;
    for (uint32_t rest = own.collective & arrival.mask; rest; rest &= rest - 1) {
        const Arrival& other = threads[own.first + std::countr_zero(rest)].arrival;
        const bool same = other.kind == arrival.kind && other.mask == arrival.mask &&
                          (!run->launch.checked || other.site == arrival.site);
        if (same) arrived |= rest & -rest;
    }
    const uint32_t exists = own.lanes == 32 ? ~0u : (1u << own.lanes) - 1;
    if (arrived != (arrival.mask & exists & ~excused(own))) return false;
    exchange(own, arrived);
    own.collective &= ~arrived;
    own.ready |= arrived;
    ++own.epoch;
    ++collectives;
    if (counting && arrived == (exists & ~own.done)) flush_counts();
    return true;
}

/// __activemask: when nothing else can move, the lanes that ask at one call are the active ones.
bool Worker::answer_active_masks(Warp& own) {
    bool moved = false;
    for (uint32_t rest = own.collective; rest; rest &= rest - 1) {
        const Arrival& arrival = threads[own.first + std::countr_zero(rest)].arrival;
        if (arrival.kind != Collective::active || !(own.collective & rest & -rest)) continue;
        uint32_t together = 0;
        for (uint32_t others = rest; others; others &= others - 1) {
            const Arrival& other = threads[own.first + std::countr_zero(others)].arrival;
            if (other.kind == Collective::active && other.site == arrival.site) together |= others & -others;
        }
        together &= own.collective;
        for (uint32_t others = together; others; others &= others - 1)
            threads[own.first + std::countr_zero(others)].arrival.result = together;
        own.collective &= ~together;
        own.ready |= together;
        moved = true;
    }
    return moved;
}

/// Computes every arrived lane's result.
void Worker::exchange(Warp& own, uint32_t arrived) {
    Thread* lanes = &threads[own.first];
    const Arrival& first = lanes[std::countr_zero(arrived)].arrival;
    uint32_t ballot = 0;
    uint64_t folded = first.value;
    for (uint32_t rest = arrived; rest; rest &= rest - 1) {
        const Arrival& arrival = lanes[std::countr_zero(rest)].arrival;
        if (arrival.value) ballot |= rest & -rest;
        if (first.kind >= Collective::add && &arrival != &first) folded = combine(first.kind, folded, arrival.value);
    }
    for (uint32_t rest = arrived; rest; rest &= rest - 1) {
        Thread& thread = lanes[std::countr_zero(rest)];
        Arrival& arrival = thread.arrival;
        uint32_t alike = 0;
        switch (arrival.kind) {
            case Collective::shuffle:
                if (arrived >> arrival.source & 1) {
                    arrival.result = lanes[arrival.source].arrival.value;
                    break;
                }
                arrival.result = unspecified;
                if (run->launch.checked && !allowed(FaultKind::inactive_lane))
                    record_fault({FaultKind::inactive_lane, arrival.site, thread.linear},
                                 "lane %u shuffles from lane %u, which takes no part (mask 0x%08x)", thread.lane,
                                 arrival.source, arrival.mask);
                break;
            case Collective::synchronise: break;
            case Collective::ballot: arrival.result = ballot; break;
            case Collective::any: arrival.result = ballot != 0; break;
            case Collective::all: arrival.result = ballot == arrived; break;
            case Collective::match_any:
            case Collective::match_all:
                for (uint32_t others = arrived; others; others &= others - 1)
                    if (lanes[std::countr_zero(others)].arrival.value == arrival.value) alike |= others & -others;
                arrival.result = arrival.kind == Collective::match_any || alike == arrived ? alike : 0;
                break;
            default: arrival.result = folded;
        }
    }
}

uint64_t collective(Collective kind, uint32_t mask, uint64_t value, uint32_t source, const void* site) {
    Thread& thread = current_thread();
    Worker& worker = *thread.worker;
    Warp& warp = *worker.warp;
    const uint32_t bit = 1u << thread.lane;
    warp.touched |= bit;
    thread.arrival = {kind, mask, source, value, 0, reinterpret_cast<uint64_t>(site)};
    if (!(mask & bit)) {
        worker.record_fault({FaultKind::missing_lane, thread.arrival.site, thread.linear},
                            "lane %u calls with mask 0x%08x, which does not name it", thread.lane, mask);
        worker.abandon();
    }
    warp.collective |= bit;
    worker.wait();
    return thread.arrival.result;
}

}  // namespace emulator
