// Accesses by call site: where a site's accesses fell, and which lanes made its n-th access together.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "device.hpp"

namespace emulator {

enum class Space : uint8_t { unknown, buffer, shared, constant };

/// Who wrote, read and atomically changed a byte of shared memory last: packed as in shared_access.cpp, 0 for nobody.
struct Cell {
    uint64_t write = 0, read = 0, atomic = 0;
};

struct SharedVariable {
    uint64_t low, high;
    std::string name;
    std::vector<Cell> cells;
};

/// One access of a warp: the lanes that made it and where.
struct WarpAccess {
    uint32_t lanes = 0;
    uint32_t size = 0;
    std::array<uint64_t, 32> address;
};

/// A call site in one memory region.
struct Site {
    uint64_t site = 0;
    uint64_t low = 0, high = 0;
    Space space = Space::unknown;
    Access access = Access::read;
    uint32_t region = 0;  // index among the buffers or the shared variables
    bool active = false;  // has accesses since the last flush
    std::array<uint32_t, 32> occurrences{};
    uint32_t used = 0;
    std::vector<WarpAccess> accesses;

    void add(uint32_t lane, uint64_t address, uint32_t size) {
        const uint32_t occurrence = occurrences[lane]++;
        if (occurrence >= used) {
            if (used == accesses.size()) accesses.emplace_back();
            accesses[used].lanes = 0;
            accesses[used++].size = size;
        }
        WarpAccess& warp_access = accesses[occurrence];
        warp_access.lanes |= 1u << lane;
        warp_access.address[lane] = address;
    }

    void reset() {
        occurrences.fill(0);
        used = 0;
        active = false;
    }
};

/// Open addressing; the entries of one site in several regions lie on one probe path.
class SiteTable {
public:
    SiteTable() { clear(); }

    void clear() {
        slots_.assign(256, nullptr);
        entries_.clear();
        active.clear();
    }

    /// The site's entry whose region holds the whole access; a new one, of unknown space, where there is none.
    Site& find(uint64_t site, uint64_t address, uint32_t size) {
        for (size_t slot = hash(site);; ++slot) {
            Site* entry = slots_[slot & (slots_.size() - 1)];
            if (!entry) return insert(site);
            if (entry->site == site && address >= entry->low && address + size <= entry->high) return *entry;
        }
    }

    std::vector<Site*> active;

private:
    static size_t hash(uint64_t site) { return (site * 0x9E3779B97F4A7C15ull) >> 40; }

    void place(Site* entry) {
        size_t slot = hash(entry->site);
        while (slots_[slot & (slots_.size() - 1)]) ++slot;
        slots_[slot & (slots_.size() - 1)] = entry;
    }

    Site& insert(uint64_t site) {
        if (2 * (entries_.size() + 1) > slots_.size()) {
            slots_.assign(2 * slots_.size(), nullptr);
            for (const auto& entry : entries_) place(entry.get());
        }
        entries_.push_back(std::make_unique<Site>());
        entries_.back()->site = site;
        place(entries_.back().get());
        return *entries_.back();
    }

    std::vector<Site*> slots_;
    std::vector<std::unique_ptr<Site>> entries_;
};

}  // namespace emulator
