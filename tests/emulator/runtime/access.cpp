// One access of a thread: which memory it falls in, whether it may, and whether another thread is in the way.
#include <algorithm>
#include <cstring>

#include "worker.hpp"

namespace emulator {
namespace {

const char* verb(Access access) {
    return access == Access::read ? "read" : access == Access::write ? "write" : "atomic";
}

bool all_written(const uint8_t* flags, uint32_t size) {
    if (size == 4) {
        uint32_t word;
        std::memcpy(&word, flags, 4);
        return word == 0x01010101u;
    }
    return std::memchr(flags, 0, size) == nullptr;
}

// A stamp: byte mask of the word (4 bits), worker (4), barrier interval (30), warp epoch (16), thread (10).
uint64_t stamp_of(uint32_t worker, uint64_t interval, uint32_t epoch, uint32_t thread) {
    return uint64_t{worker & 15} << 56 | (interval & 0x3FFFFFFF) << 26 | uint64_t{epoch & 0xFFFF} << 10 | thread;
}

uint64_t byte_mask(uint64_t word, uint64_t address, uint32_t size) {
    uint64_t mask = 0;
    for (uint64_t byte = 0; byte < 4; ++byte)
        if (word * 4 + byte >= address && word * 4 + byte < address + size) mask |= 1u << byte;
    return mask;
}

}  // namespace

void Worker::access(uint64_t address, uint32_t size, Access access, uint64_t site, bool aligned) {
    if (address - reinterpret_cast<uint64_t>(fiber->low) < fiber->bytes) return;  // the thread's own local memory
    if (pending.size) settle();
    const Thread& thread = current_thread();
    Site& entry = sites.find(site, address, size);
    if (entry.space == Space::unknown) {
        entry.access = access;
        locate(entry, address, size, site, access);
    }
    if (entry.space == Space::constant) return;
    warp->touched |= 1u << thread.lane;
    if (aligned && (address & (size - 1))) {
        record_fault({FaultKind::misaligned, site, thread.linear},
                     "%s of %u bytes at an address that is %u past a multiple of %u", verb(access), size,
                     static_cast<uint32_t>(address & (size - 1)), size);
        abandon();
    }
    if (entry.space == Space::buffer)
        global_access(entry, address, size, access);
    else
        shared_access(entry, address, size, access);
    if (!counting) return;
    if (access == Access::atomic) return count_atomic(entry, address, size);
    if (!entry.active) {
        entry.active = true;
        sites.active.push_back(&entry);
    }
    entry.add(thread.lane, address, size);
}

/// Finds the region of an access that the site has not been seen in; a fault where there is none.
void Worker::locate(Site& entry, uint64_t address, uint32_t size, uint64_t site, Access access) {
    const auto settle_on = [&](Space space, uint64_t low, uint64_t high, size_t region) {
        entry.space = space;
        entry.low = low;
        entry.high = high;
        entry.region = static_cast<uint32_t>(region);
    };
    for (size_t i = 0; i < shared_variables.size(); ++i)
        if (address >= shared_variables[i].low && address + size <= shared_variables[i].high)
            return settle_on(Space::shared, shared_variables[i].low, shared_variables[i].high, i);
    const auto above = std::upper_bound(buffers.begin(), buffers.end(), address,
                                        [](uint64_t value, const BufferEntry& buffer) { return value < buffer.low; });
    if (above != buffers.begin() && address + size <= (above - 1)->high)
        return settle_on(Space::buffer, (above - 1)->low, (above - 1)->high, above - 1 - buffers.begin());
    for (const auto& [low, high] : run->image)
        if (address >= low && address + size <= high && access == Access::read)
            return settle_on(Space::constant, low, high, 0);
    const uint32_t thread = current_thread().linear;
    for (const SharedVariable& variable : shared_variables) {
        if (address + 256 < variable.low || address > variable.high + 4096) continue;
        const auto offset = static_cast<int64_t>(address - variable.low);
        record_fault({FaultKind::out_of_bounds, site, thread, -1, offset},
                     "%s of %u bytes at offset %lld of the shared variable '%s' of %llu bytes", verb(access), size,
                     static_cast<long long>(offset), variable.name.c_str(),
                     static_cast<unsigned long long>(variable.high - variable.low));
        abandon();
    }
    // The nearest buffer is the likely one: unmapped gaps lie between them.
    int64_t nearest = -1;
    uint64_t distance = ~0ull;
    for (size_t i = 0; i < buffers.size(); ++i) {
        const uint64_t gap = address < buffers[i].low ? buffers[i].low - address : address + size - buffers[i].high;
        if (gap < distance) {
            distance = gap;
            nearest = static_cast<int64_t>(i);
        }
    }
    const int64_t offset = nearest < 0 ? 0 : static_cast<int64_t>(address - buffers[nearest].low);
    record_fault({FaultKind::out_of_bounds, site, thread, nearest, offset}, "%s of %u bytes", verb(access), size);
    abandon();
}

void Worker::global_access(Site& entry, uint64_t address, uint32_t size, Access access) {
    BufferEntry& buffer = buffers[entry.region];
    const uint64_t offset = address - buffer.low;
    const auto blame = [&](FaultKind kind) {
        return Blame{kind, entry.site, current_thread().linear, entry.region, static_cast<int64_t>(offset)};
    };
    if (access != Access::write && buffer.written && !all_written(buffer.written + offset, size) &&
        !allowed(FaultKind::uninitialised)) {
        record_fault(blame(FaultKind::uninitialised), "%s of %u bytes", verb(access), size);
        abandon();
    }
    if (access == Access::read) return;
    if (!buffer.writable) {
        record_fault(blame(FaultKind::read_only), "%s of %u bytes", verb(access), size);
        abandon();
    }
    if (buffer.written) std::memset(buffer.written + offset, 1, size);
    if (access == Access::write && buffer.stamps) defer_write(address, size, entry);
}

/// Looks who wrote here before; whether the value changes is known only once it is written.
void Worker::defer_write(uint64_t address, uint32_t size, const Site& entry) {
    if (size > sizeof pending.before) return;
    const BufferEntry& buffer = buffers[entry.region];
    const Thread& thread = current_thread();
    uint64_t* words = buffer.stamps + ((address - buffer.low) >> 2);
    const uint64_t mine = stamp_of(number, interval, warp->epoch, thread.linear);
    pending.conflict = false;
    pending.other = no_thread;
    const uint64_t first = address >> 2, last = (address + size - 1) >> 2;
    for (uint64_t word = first; word <= last; ++word) {
        const uint64_t stamp = __atomic_load_n(words + (word - first), __ATOMIC_ACQUIRE);
        if (!(stamp >> 60 & byte_mask(word, address, size))) continue;
        const uint64_t theirs = stamp & ~(15ull << 60);
        if (theirs == mine || (theirs & 0x3FF) == thread.linear) {
            if ((theirs ^ mine) >> 26 == 0) continue;  // the same thread of the same block
        }
        const uint64_t worker = theirs >> 56, when = theirs >> 26 & 0x3FFFFFFF;
        if (worker >= run->first_interval.size() || when < run->first_interval[worker]) continue;  // an older launch
        if (worker == number && when >= block_interval) {
            if (when != interval) continue;  // a barrier lies between
            const bool same_warp = (theirs & 0x3FF) / 32 == thread.warp;
            if (same_warp && (theirs >> 10 & 0xFFFF) != (warp->epoch & 0xFFFF)) continue;
            pending.other = theirs & 0x3FF;
        }
        pending.conflict = true;
    }
    pending.words = words;
    pending.stamp = mine;
    pending.address = address;
    pending.size = size;
    pending.site = entry.site;
    pending.buffer = entry.region;
    pending.kind = FaultKind::global_race;
    if (pending.conflict) std::memcpy(pending.before, reinterpret_cast<const void*>(address), size);
}

/// Judges the thread's last write now that its value is in place.
void Worker::settle() {
    const uint32_t size = pending.size;
    const uint64_t address = pending.address;
    pending.size = 0;
    if (pending.words) {
        const uint64_t first = address >> 2, last = (address + size - 1) >> 2;
        for (uint64_t word = first; word <= last; ++word)
            __atomic_store_n(pending.words + (word - first), pending.stamp | byte_mask(word, address, size) << 60,
                             __ATOMIC_RELEASE);
    }
    if (!pending.conflict || allowed(pending.kind) ||
        std::memcmp(pending.before, reinterpret_cast<const void*>(address), size) == 0)
        return;
    const Thread& thread = current_thread();
    const bool shared = pending.kind == FaultKind::shared_race;
    const char* name = "";
    uint64_t low = shared ? 0 : buffers[pending.buffer].low;
    for (const SharedVariable& variable : shared_variables)
        if (shared && address >= variable.low && address < variable.high) {
            low = variable.low;
            name = variable.name.c_str();
        }
    const Blame blame{pending.kind, pending.site, thread.linear, shared ? -1 : pending.buffer,
                      static_cast<int64_t>(address - low)};
    if (pending.other == no_thread)
        record_fault(blame, "%s%s%s: write of another value than %s wrote",
                     shared ? "shared variable '" : "global memory", name, shared ? "'" : "",
                     shared ? "other threads" : "a thread of another block");
    else
        record_fault(blame,
                     "%s%s%s: write of another value than thread %u of this block wrote, with nothing between that "
                     "orders them",
                     shared ? "shared variable '" : "global memory", name, shared ? "'" : "", pending.other);
    abandon();
}

void atomic_access(const volatile void* address, uint32_t size, const void* site) {
    Thread& thread = current_thread();
    thread.worker->access(reinterpret_cast<uint64_t>(address), size, Access::atomic, reinterpret_cast<uint64_t>(site),
                          true);
}

void range_access(const volatile void* address, size_t bytes, Access access, const void* site) {
    Thread& thread = current_thread();
    thread.worker->access(reinterpret_cast<uint64_t>(address), static_cast<uint32_t>(bytes), access,
                          reinterpret_cast<uint64_t>(site), false);
}

}  // namespace emulator
