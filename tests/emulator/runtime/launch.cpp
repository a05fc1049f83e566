// A launch: workers take blocks until none is left or one is at fault.
#include <link.h>

#include <algorithm>
#include <cstring>
#include <thread>

#include "worker.hpp"

namespace emulator {
namespace {

struct ImageSearch {
    uint64_t address;
    std::vector<std::pair<uint64_t, uint64_t>>* segments;
};

int collect_segments(dl_phdr_info* info, size_t, void* data) {
    auto& search = *static_cast<ImageSearch*>(data);
    std::vector<std::pair<uint64_t, uint64_t>> segments;
    bool holds = false;
    for (int i = 0; i < info->dlpi_phnum; ++i) {
        if (info->dlpi_phdr[i].p_type != PT_LOAD) continue;
        const uint64_t low = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
        segments.emplace_back(low, low + info->dlpi_phdr[i].p_memsz);
        holds |= search.address >= low && search.address < segments.back().second;
    }
    if (holds) *search.segments = segments;
    return holds;
}

std::vector<std::unique_ptr<Worker>>& workers() {
    static std::vector<std::unique_ptr<Worker>> all;  // kept between launches for their fibers
    return all;
}

void merge(AccessCounts& into, const AccessCounts& from) {
    into.requests += from.requests;
    into.bytes += from.bytes;
    into.sectors += from.sectors;
    into.distinct += from.distinct;
}

void collect(Launch& launch, const Worker& worker) {
    for (size_t i = 0; i < launch.buffer_count; ++i) {
        merge(launch.buffers[i].reads, worker.buffers[i].reads);
        merge(launch.buffers[i].writes, worker.buffers[i].writes);
        launch.buffers[i].atomics += worker.buffers[i].atomics;
        launch.buffers[i].atomic_sectors += worker.buffers[i].atomic_sectors;
    }
    merge(launch.shared.reads, worker.shared.reads);
    merge(launch.shared.writes, worker.shared.writes);
    launch.shared.atomics += worker.shared.atomics;
    launch.shared.bank_conflicts += worker.shared.bank_conflicts;
    launch.barriers += worker.barriers;
    launch.collectives += worker.collectives;
    launch.counted_blocks += worker.counted_blocks;
}

/// Has this thread take subnormal operands and results for zero while it lives.
class Flushing {
public:
    explicit Flushing(bool wanted) : before(control()) {
        if (wanted) set_control(before | flush_bits);
    }
    ~Flushing() { set_control(before); }
    Flushing(const Flushing&) = delete;

private:
#if defined(__x86_64__)
    static constexpr uint64_t flush_bits = 0x8040;  // results, operands
    static uint64_t control() { return __builtin_ia32_stmxcsr(); }
    static void set_control(uint64_t bits) { __builtin_ia32_ldmxcsr(static_cast<uint32_t>(bits)); }
#elif defined(__aarch64__)
    static constexpr uint64_t flush_bits = 1ULL << 24;
    static uint64_t control() {
        uint64_t bits;
        asm volatile("mrs %0, fpcr" : "=r"(bits));
        return bits;
    }
    static void set_control(uint64_t bits) { asm volatile("msr fpcr, %0" : : "r"(bits)); }
#else
    static constexpr uint64_t flush_bits = 0;  // the interface refuses to flush elsewhere
    static uint64_t control() { return 0; }
    static void set_control(uint64_t) {}
#endif
    const uint64_t before;
};

}  // namespace

void Worker::prepare(Run& next) {
    run = &next;
    const Launch& launch = next.launch;
    block_dim = dim3(launch.block[0], launch.block[1], launch.block[2]);
    grid_dim = dim3(launch.grid[0], launch.grid[1], launch.grid[2]);
    threads.resize(next.block_threads);
    warps.resize((next.block_threads + 31) / 32);
    for (uint32_t i = 0; i < next.block_threads; ++i) {
        Thread& thread = threads[i];
        thread.index = {i % block_dim.x, i / block_dim.x % block_dim.y, i / block_dim.x / block_dim.y};
        thread.block_index = &block_index;
        thread.block_dim = &block_dim;
        thread.grid_dim = &grid_dim;
        thread.worker = this;
        thread.linear = i;
        thread.lane = i % 32;
        thread.warp = i / 32;
    }
    for (uint32_t i = 0; i < warps.size(); ++i) {
        warps[i] = {};
        warps[i].first = 32 * i;
        warps[i].lanes = std::min(32u, next.block_threads - 32 * i);
    }
    buffers.assign(launch.buffers, launch.buffers + launch.buffer_count);
    for (BufferEntry& buffer : buffers) buffer.reads = buffer.writes = {}, buffer.atomics = buffer.atomic_sectors = 0;
    shared = {};
    barriers = collectives = counted_blocks = 0;
    failed = false;
    pending.size = 0;
    sites.clear();
    shared_variables.clear();
    constexpr size_t margin = 4096;  // keeps what lies beyond it out of the program's reach
    dynamic_shared.assign(launch.shared_bytes + 2 * margin, 0);
    const auto base = reinterpret_cast<uint64_t>(dynamic_shared.data()) + margin;
    dynamic_base = reinterpret_cast<char*>((base + 127) / 128 * 128);
    if (launch.shared_bytes) expose(dynamic_base, launch.shared_bytes, "dynamic shared memory");
    next.first_interval[number] = interval + 1;
}

void Worker::run_blocks() {
    const Flushing flushing(run->launch.flushes);
    // A fiber is started anew in each launch: it must not outlive the operating-system thread that it began on.
    idle.clear();
    for (const auto& each : fibers) {
        each->fresh = true;
        idle.push_back(each.get());
    }
    fiber_idle = false;
    const uint64_t chunk = std::clamp<uint64_t>(run->blocks / (16 * run->launch.workers), 1, 64);
    while (!failed && !run->stopped) {
        const uint64_t first = run->next_block.fetch_add(chunk);
        if (first >= run->blocks) break;
        for (uint64_t block = first; block < std::min(first + chunk, run->blocks) && !failed && !run->stopped; ++block)
            run_block(block);
    }
    emulator_current = nullptr;
}

extern "C" void emulator_launch(Launch* launch) {
    static std::mutex one_at_a_time;
    const std::lock_guard lock(one_at_a_time);
    Run run(*launch);
    ImageSearch search{reinterpret_cast<uint64_t>(launch->call), &run.image};
    dl_iterate_phdr(collect_segments, &search);
    launch->workers = static_cast<uint32_t>(std::min<uint64_t>({launch->workers, run.blocks, 16}));
    run.first_interval = std::vector<std::atomic<uint64_t>>(launch->workers);
    for (uint64_t i = 0; launch->checked && i < launch->buffer_count; ++i)
        run.marks.emplace_back(launch->buffers[i].low, launch->buffers[i].high);
    while (workers().size() < launch->workers) workers().push_back(std::make_unique<Worker>(workers().size()));
    for (uint32_t i = 0; i < launch->workers; ++i) workers()[i]->prepare(run);
    std::vector<std::thread> others;
    for (uint32_t i = 1; i < launch->workers; ++i) others.emplace_back([i] { workers()[i]->run_blocks(); });
    workers()[0]->run_blocks();
    for (std::thread& other : others) other.join();
    for (uint32_t i = 0; i < launch->workers; ++i) collect(*launch, *workers()[i]);
}

uint32_t lane_number() { return current_thread().lane; }
uint3 thread_index() { return emulator_current->index; }
uint3 block_index() { return *emulator_current->block_index; }
dim3 block_dimensions() { return *emulator_current->block_dim; }
dim3 grid_dimensions() { return *emulator_current->grid_dim; }

}  // namespace emulator
