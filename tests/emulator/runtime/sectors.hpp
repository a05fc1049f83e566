// Which sectors of a buffer a launch has touched so far: what memory has to give or take at least.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>

#include "device.hpp"

namespace emulator {

class SectorMarks {
public:
    /// Of the addresses from `low` to below `high`. The marks take no memory until they are set.
    SectorMarks(uint64_t low, uint64_t high)
        : first_(low >> 5), kinds_(static_cast<uint8_t*>(std::calloc(((high + 31) >> 5) - first_ + 1, 1))) {}

    /// True for one caller of all workers: the first to mark this sector with this kind of access.
    bool mark(uint64_t sector, Access access) {
        uint8_t* kinds = kinds_.get() + (sector - first_);
        const auto bit = static_cast<uint8_t>(1u << static_cast<uint32_t>(access));
        if (__atomic_load_n(kinds, __ATOMIC_RELAXED) & bit) return false;
        return !(__atomic_fetch_or(kinds, bit, __ATOMIC_RELAXED) & bit);
    }

private:
    struct Free {
        void operator()(void* memory) const { std::free(memory); }
    };

    uint64_t first_;  // number of the first sector
    std::unique_ptr<uint8_t[], Free> kinds_;
};

}  // namespace emulator
