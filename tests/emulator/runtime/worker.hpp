// One operating-system thread that runs blocks: its fibers, the block it is in, and what it has seen of it.
//
// A warp's lanes run one after another until each has returned or waits. A fiber goes on to the next lane when a lane
// returns, so lanes that never wait share one stack and cost a call each.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "device.hpp"
#include "fiber.hpp"
#include "interface.hpp"
#include "sectors.hpp"
#include "sites.hpp"

namespace emulator {

struct Worker;

/// What a lane waits for in a warp primitive, and what it brings.
struct Arrival {
    Collective kind;
    uint32_t mask;
    uint32_t source;  // the lane that a shuffle reads
    uint64_t value;
    uint64_t result;
    uint64_t site;
};

struct Thread : ThreadView {
    Worker* worker;
    uint32_t linear, lane, warp;
    Fiber* fiber;
    Arrival arrival;
};

struct Warp {
    uint32_t first;       // its first thread
    uint32_t lanes;       // how many exist
    uint32_t next;        // the first lane that has not started
    uint32_t ready;       // masks of lanes from here on: may go on
    uint32_t collective;  // waits in a warp primitive
    uint32_t barrier;     // waits in __syncthreads
    uint32_t done;        // has returned
    uint32_t touched;     // has accessed memory, or met a barrier or a warp primitive
    uint32_t epoch;       // counts the warp primitives in which its lanes met
};

/// A plain write that is about to happen; what it changed is known at the thread's next event.
struct PendingWrite {
    uint64_t address = 0, site = 0, stamp = 0;
    uint64_t* words = nullptr;  // stamps to put once the value is in place; null for shared memory
    uint32_t size = 0;
    bool conflict = false;  // another thread wrote there, unordered
    FaultKind kind = FaultKind::none;
    uint32_t other = 0;  // the other thread, or no_thread
    int64_t buffer = -1;
    unsigned char before[16];
};

constexpr uint32_t no_thread = ~0u;

/// What the workers of one launch share.
struct Run {
    explicit Run(Launch& launch)
        : launch(launch),
          blocks(uint64_t{launch.grid[0]} * launch.grid[1] * launch.grid[2]),
          block_threads(launch.block[0] * launch.block[1] * launch.block[2]) {}

    Launch& launch;
    uint64_t blocks;
    uint32_t block_threads;
    std::atomic<uint64_t> next_block{0};
    std::atomic<bool> stopped{false};
    std::mutex fault_lock;
    std::vector<std::pair<uint64_t, uint64_t>> image;   // the program's own segments: constants
    std::vector<std::atomic<uint64_t>> first_interval;  // of each worker in this launch
    std::vector<SectorMarks> marks;                     // of each buffer
};

struct Worker {
    explicit Worker(uint32_t number) : number(number) {}

    void prepare(Run& run);
    void run_blocks();

    // The scheduler (scheduler.cpp).
    void run_block(uint64_t block);
    void run_warp(Warp& warp);
    void enter(Fiber& fiber);
    void start_lanes();
    void wait();
    bool release_barrier();
    bool resolve_collectives(Warp& warp);
    bool complete_collective(Warp& warp, uint32_t lane);
    bool answer_active_masks(Warp& warp);
    void exchange(Warp& warp, uint32_t arrived);
    uint32_t excused(const Warp& warp) const;

    // Faults (faults.cpp).
    struct Blame {
        FaultKind kind;
        uint64_t site = 0;
        uint32_t thread = no_thread;
        int64_t buffer = -1;
        int64_t offset = 0;
    };
    struct Suspect {
        Blame blame;
        std::string variable;
    };
    bool allowed(FaultKind kind) const { return run->launch.allowed >> static_cast<uint32_t>(kind) & 1; }
    void record_fault(const Blame& blame, const char* format, ...) __attribute__((format(printf, 3, 4)));
    [[noreturn]] void abandon();

    // What accesses mean (access.cpp, shared_access.cpp, counting.cpp).
    void access(uint64_t address, uint32_t size, Access access, uint64_t site, bool aligned);
    void locate(Site& entry, uint64_t address, uint32_t size, uint64_t site, Access access);
    void global_access(Site& entry, uint64_t address, uint32_t size, Access access);
    void shared_access(Site& entry, uint64_t address, uint32_t size, Access access);
    [[noreturn]] void race(uint64_t site, const SharedVariable& variable, uint64_t offset, const char* does,
                           const std::string& other, const char* did);
    void suspect_read(uint64_t site, const SharedVariable& variable, uint64_t offset);
    void judge_suspect();
    void defer_write(uint64_t address, uint32_t size, const Site& entry);
    void settle();
    void expose(void* base, size_t bytes, const char* name);
    void flush_counts();
    void count_global(const WarpAccess& accesses, Access access, uint32_t region);
    void count_atomic(const Site& entry, uint64_t address, uint32_t size);

    Run* run = nullptr;
    const uint32_t number;
    Context scheduler;
    Fiber* fiber = nullptr;  // the one that runs
    bool fiber_idle = false;
    bool failed = false;
    std::vector<std::unique_ptr<Fiber>> fibers;
    std::vector<Fiber*> idle;
    std::vector<Thread> threads;
    std::vector<Warp> warps;
    Warp* warp = nullptr;  // the one that runs
    uint3 block_index{};
    dim3 block_dim, grid_dim;
    std::vector<char> dynamic_shared;
    char* dynamic_base = nullptr;
    uint64_t interval = 1;        // counts barrier intervals, over all launches
    uint64_t block_interval = 1;  // the first of this block
    PendingWrite pending;
    std::optional<Suspect> suspect;  // the first read of unwritten shared memory since the last barrier
    std::vector<SharedVariable> shared_variables;
    SiteTable sites;
    bool counting = false;
    std::vector<BufferEntry> buffers;  // this worker's own counts
    SharedCounts shared{};
    uint64_t barriers = 0, collectives = 0, counted_blocks = 0;
};

inline Thread& current_thread() { return *static_cast<Thread*>(emulator_current); }

}  // namespace emulator
