// Shared memory: what was never written in this block, and who is in whose way between two barriers.
#include <algorithm>
#include <cstring>
#include <utility>

#include "worker.hpp"

namespace emulator {
namespace {

// A party to a cell: interval (32 bits), warp (6), lane (6), warp epoch (20). `several` stands for more than one.
constexpr uint32_t several = 63;
constexpr uint32_t epoch_mask = 0xFFFFF;

struct Position {
    uint64_t interval;
    uint32_t warp, lane, epoch;
};

uint64_t pack(const Position& at) {
    return at.interval << 32 | uint64_t{at.warp} << 26 | uint64_t{at.lane} << 20 | at.epoch;
}

Position unpack(uint64_t party) {
    return {party >> 32, static_cast<uint32_t>(party >> 26 & 63), static_cast<uint32_t>(party >> 20 & 63),
            static_cast<uint32_t>(party & epoch_mask)};
}

/// True where the party is another thread and nothing orders its access before this one.
bool unordered(uint64_t party, const Position& now) {
    const Position then = unpack(party);
    if (then.interval != now.interval) return false;
    if (then.warp != now.warp) return true;
    return then.epoch == now.epoch && then.lane != now.lane;
}

/// The party that stands for what it was and this thread.
uint64_t joined(uint64_t party, const Position& now) {
    const Position then = unpack(party);
    Position both = now;
    if (then.interval == now.interval) {
        if (then.warp != now.warp)
            both.warp = both.lane = several;
        else if (then.epoch == now.epoch && then.lane != now.lane)
            both.lane = several;
    }
    return pack(both);
}

/// The party's number in its block, or no_thread where it is more than one.
uint32_t thread_of(uint64_t party) {
    const Position then = unpack(party);
    return then.lane == several ? no_thread : 32 * then.warp + then.lane;
}

std::string called(uint64_t party) {
    const uint32_t thread = thread_of(party);
    return thread == no_thread ? "other threads" : "thread " + std::to_string(thread);
}

}  // namespace

void Worker::shared_access(Site& entry, uint64_t address, uint32_t size, Access access) {
    SharedVariable& variable = shared_variables[entry.region];
    const Thread& thread = current_thread();
    const Position now{interval & 0xFFFFFFFF, thread.warp, thread.lane, warp->epoch & epoch_mask};
    const uint64_t offset = address - variable.low;
    const bool judge = !allowed(FaultKind::shared_race);
    uint64_t rival = 0;  // wrote here, and is a race only if this write changes the value
    for (uint32_t byte = 0; byte < size; ++byte) {
        Cell& cell = variable.cells[offset + byte];
        const bool written = std::max(cell.write, cell.atomic) >> 32 >= block_interval;
        if (access != Access::write && !written) suspect_read(entry.site, variable, offset);
        const bool changes = access != Access::read;
        if (judge && unordered(cell.write, now)) {
            if (access != Access::write)
                race(entry.site, variable, offset, changes ? "changes what" : "reads what", called(cell.write),
                     "wrote");
            rival = cell.write;
        }
        if (judge && changes && unordered(cell.read, now))
            race(entry.site, variable, offset, "writes what", called(cell.read), "read");
        if (judge && access != Access::atomic && unordered(cell.atomic, now))
            race(entry.site, variable, offset, changes ? "writes what" : "reads what", called(cell.atomic),
                 "changed atomically");
        uint64_t& party = !changes ? cell.read : access == Access::write ? cell.write : cell.atomic;
        party = joined(party, now);
    }
    if (!rival || size > sizeof pending.before) return;
    pending.address = address;
    pending.size = size;
    pending.site = entry.site;
    pending.words = nullptr;
    pending.conflict = true;
    pending.other = thread_of(rival);
    pending.kind = FaultKind::shared_race;
    std::memcpy(pending.before, reinterpret_cast<const void*>(address), size);
}

void Worker::race(uint64_t site, const SharedVariable& variable, uint64_t offset, const char* does,
                  const std::string& other, const char* did) {
    record_fault({FaultKind::shared_race, site, current_thread().linear, -1, static_cast<int64_t>(offset)},
                 "shared variable '%s' at offset %llu: this thread %s %s %s with nothing between that orders them",
                 variable.name.c_str(), static_cast<unsigned long long>(offset), does, other.c_str(), did);
    abandon();
}

/// A read of what nobody wrote in this block. If another thread writes it before the next barrier, the fault is that
/// race; otherwise this read.
void Worker::suspect_read(uint64_t site, const SharedVariable& variable, uint64_t offset) {
    if (suspect || allowed(FaultKind::uninitialised)) return;
    suspect = {{FaultKind::uninitialised, site, current_thread().linear, -1, static_cast<int64_t>(offset)},
               variable.name};
}

void Worker::judge_suspect() {
    if (!suspect || failed) return;
    const Suspect found = *std::exchange(suspect, std::nullopt);
    record_fault(found.blame, "shared variable '%s' at offset %llu: nothing was written there in this block",
                 found.variable.c_str(), static_cast<unsigned long long>(found.blame.offset));
}

void Worker::expose(void* base, size_t bytes, const char* name) {
    const auto low = reinterpret_cast<uint64_t>(base);
    for (const SharedVariable& variable : shared_variables)
        if (variable.low == low) return;
    shared_variables.push_back({low, low + bytes, name, std::vector<Cell>(bytes)});
}

void expose_shared(void* base, size_t bytes, const char* name) { current_thread().worker->expose(base, bytes, name); }

void* dynamic_shared() { return current_thread().worker->dynamic_base; }

}  // namespace emulator
