// What a launch is given and what it gives back: the C structures that structures.py mirrors field by field.
#pragma once

#include <cstdint>

namespace emulator {

enum class FaultKind : uint32_t {
    none,
    out_of_bounds,
    misaligned,
    read_only,
    uninitialised,
    shared_race,
    global_race,
    barrier_divergence,
    missing_lane,
    inactive_lane,
    assertion,
    trap,
};

/// Which threads may have returned when the others meet at a barrier or a warp primitive.
enum class Exited : uint32_t { early, allowed, fault };

struct AccessCounts {
    uint64_t requests;  // accesses of a warp
    uint64_t bytes;     // distinct bytes, a warp access at a time
    uint64_t sectors;   // distinct 32-byte sectors, a warp access at a time
    uint64_t distinct;  // sectors of global memory, each once a launch
};

struct BufferEntry {
    uint64_t low, high;  // the valid addresses, half-open; entries are sorted and disjoint
    uint8_t* written;    // a flag a byte, or null where everything counts as written
    uint64_t* stamps;    // the last plain writer of each 4-byte word, or null
    uint64_t writable;
    AccessCounts reads, writes;
    uint64_t atomics;         // atomic operations of a thread
    uint64_t atomic_sectors;  // that they touched, each once a launch
};

struct SharedCounts {
    AccessCounts reads, writes;
    uint64_t atomics;
    uint64_t bank_conflicts;  // wavefronts beyond the first (8- and 16-byte accesses: beyond the unavoidable ones)
};

struct FaultEntry {
    FaultKind kind;
    uint32_t has_thread;
    uint32_t block[3], thread[3];
    uint64_t site;  // the address that the offending call returns to
    int64_t buffer, offset;
    char text[400];
};

struct Launch {
    void (*call)(void**);  // runs the kernel's body as one thread
    void** arguments;
    uint32_t grid[3], block[3];
    uint64_t shared_bytes;
    uint32_t workers;
    uint32_t checked;
    uint32_t count_every;  // count the accesses of one block in so many; 0 counts none
    Exited exited;
    uint64_t flushes;  // take subnormal numbers for zero
    uint64_t allowed;  // bit k: faults of kind k are let pass
    BufferEntry* buffers;
    uint64_t buffer_count;
    // What comes back.
    SharedCounts shared;
    uint64_t barriers, collectives, counted_blocks;
    FaultEntry fault;
};

}  // namespace emulator
