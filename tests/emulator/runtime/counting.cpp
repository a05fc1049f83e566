// What a warp's accesses cost: distinct bytes, 32-byte sectors, wavefronts over the 32 banks of shared memory.
#include <algorithm>
#include <bit>

#include "worker.hpp"

namespace emulator {
namespace {

/// The accessed addresses in ascending order; returns how many.
uint32_t ascending(const WarpAccess& access, std::array<uint64_t, 32>& sorted) {
    uint32_t count = 0;
    bool in_order = true;
    for (uint32_t rest = access.lanes; rest; rest &= rest - 1) {
        sorted[count] = access.address[std::countr_zero(rest)];
        in_order &= count == 0 || sorted[count - 1] <= sorted[count];
        ++count;
    }
    if (!in_order) std::sort(sorted.begin(), sorted.begin() + count);
    return count;
}

/// Bytes that at least one lane accesses, of ascending addresses.
uint64_t distinct_bytes(const std::array<uint64_t, 32>& sorted, uint32_t lanes, uint32_t size) {
    uint64_t bytes = 0, covered = 0;
    for (uint32_t i = 0; i < lanes; ++i) {
        const uint64_t low = std::max(sorted[i], covered), high = sorted[i] + size;
        if (low >= high) continue;
        bytes += high - low;
        covered = high;
    }
    return bytes;
}

void count_shared(const WarpAccess& access, AccessCounts& counts) {
    std::array<uint64_t, 32> sorted;
    const uint32_t lanes = ascending(access, sorted);
    counts.bytes += distinct_bytes(sorted, lanes, access.size);
    ++counts.requests;
}

/// Wavefronts beyond the first of a group of lanes: the most distinct words that one bank has to give, less one.
uint64_t conflicts(const uint64_t* address, const uint32_t* present, uint32_t lanes, uint32_t size, uint64_t base) {
    std::array<std::array<uint64_t, 32>, 32> words;
    std::array<uint32_t, 32> depth{};
    uint32_t worst = 0;
    for (uint32_t i = 0; i < lanes; ++i) {
        const uint64_t start = address[present[i]] - base;
        for (uint64_t word = start >> 2; word <= (start + size - 1) >> 2; ++word) {
            auto& held = words[word & 31];
            uint32_t& count = depth[word & 31];
            if (std::find(held.begin(), held.begin() + count, word) != held.begin() + count || count == 32) continue;
            held[count++] = word;
            worst = std::max(worst, count);
        }
    }
    return worst ? worst - 1 : 0;
}

/// The hardware serves 8-byte accesses by half warps and 16-byte ones by quarter warps.
uint64_t bank_conflicts(const WarpAccess& access, uint64_t base) {
    const uint32_t together = access.size <= 4 ? 32 : access.size <= 8 ? 16 : 8;
    uint64_t total = 0;
    for (uint32_t first = 0; first < 32; first += together) {
        std::array<uint32_t, 32> present;
        uint32_t count = 0;
        for (uint32_t lane = first; lane < first + together; ++lane)
            if (access.lanes >> lane & 1) present[count++] = lane;
        total += conflicts(access.address.data(), present.data(), count, access.size, base);
    }
    return total;
}

}  // namespace

void Worker::count_global(const WarpAccess& accesses, Access access, uint32_t region) {
    BufferEntry& buffer = buffers[region];
    AccessCounts& counts = access == Access::read ? buffer.reads : buffer.writes;
    SectorMarks& marks = run->marks[region];
    std::array<uint64_t, 32> sorted;
    const uint32_t lanes = ascending(accesses, sorted);
    counts.bytes += distinct_bytes(sorted, lanes, accesses.size);
    uint64_t next = 0;  // the first sector that no earlier lane has touched
    for (uint32_t i = 0; i < lanes; ++i) {
        const uint64_t end = ((sorted[i] + accesses.size - 1) >> 5) + 1;
        for (next = std::max(next, sorted[i] >> 5); next < end; ++next) {
            ++counts.sectors;
            counts.distinct += marks.mark(next, access);
        }
    }
    ++counts.requests;
}

void Worker::count_atomic(const Site& entry, uint64_t address, uint32_t size) {
    if (entry.space != Space::buffer) {
        ++shared.atomics;
        return;
    }
    BufferEntry& buffer = buffers[entry.region];
    ++buffer.atomics;
    for (uint64_t sector = address >> 5; sector <= (address + size - 1) >> 5; ++sector)
        buffer.atomic_sectors += run->marks[entry.region].mark(sector, Access::atomic);
}

/// Counts what the lanes of the running warp did since they were last together.
void Worker::flush_counts() {
    for (Site* entry : sites.active) {
        const bool reads = entry->access == Access::read;
        for (uint32_t i = 0; i < entry->used; ++i) {
            const WarpAccess& access = entry->accesses[i];
            if (entry->space == Space::buffer) {
                count_global(access, entry->access, entry->region);
            } else {
                count_shared(access, reads ? shared.reads : shared.writes);
                shared.bank_conflicts += bank_conflicts(access, entry->low);
            }
        }
        entry->reset();
    }
    sites.active.clear();
}

}  // namespace emulator
