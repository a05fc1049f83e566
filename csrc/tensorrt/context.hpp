// One worker's way to run an engine: asynchronous, on the caller's stream, by a CUDA graph from the second run on.
#pragma once

#include <NvInferRuntime.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>

#include "engine.hpp"
#include "recordings.hpp"
#include "scratch.hpp"

namespace brats::trt {

#ifdef NDEBUG
constexpr bool poisons_by_default = false;
#else
constexpr bool poisons_by_default = true;
#endif

struct ContextOptions {
    bool graph = true;
    bool poison = poisons_by_default;  // fill outputs with NaN before each run
};

// Where a tensor lies, and the stream that its owner fills or reads it on, where that is known.
struct Placement {
    CUdeviceptr address = 0;
    bool has_stream = false;
    CUstream stream = nullptr;
};

class Context {
public:
    // `shared` is the memory of another context, taken in turns; without it the context has its own. Throws
    // EngineFault.
    Context(std::shared_ptr<Engine> engine, const ContextOptions& options, std::shared_ptr<Scratch> shared = nullptr);
    ~Context();

    Context(const Context&) = delete;  // it owns what is in flight
    Context& operator=(const Context&) = delete;
    Context(Context&&) = delete;
    Context& operator=(Context&&) = delete;

    [[nodiscard]] const std::shared_ptr<Engine>& engine() const { return engine_; }
    [[nodiscard]] const std::shared_ptr<Scratch>& scratch() const { return scratch_; }

    // How many graphs were captured so far.
    [[nodiscard]] std::int64_t captures() const { return captures_; }

    // Queues one run on `stream`, behind the streams of the placements, which are in the engine's order; returns before
    // it has run. The memory must live until then. Throws EngineFault, also where another thread is in this context.
    void enqueue(std::span<const Placement> placements, CUstream stream);

    // Runs once and reports each layer's time; waits for the stream. Never by a graph, which hides its layers.
    void profile(std::span<const Placement> placements, CUstream stream, nvinfer1::IProfiler& profiler);

    // Until the last run has ended on the device. Throws EngineFault with what went wrong there.
    void synchronise() const { scratch_->synchronise(); }

private:
    [[nodiscard]] std::unique_lock<std::mutex> enter() const;
    [[nodiscard]] Addresses check(std::span<const Placement> placements, CUstream stream);
    void check_new(const Addresses& addresses) const;
    void wait_for(std::span<const Placement> placements, CUstream stream);
    void poison(const Addresses& addresses, CUstream stream);
    void run(const Addresses& addresses, CUstream stream);
    void run_or_launch(const Addresses& addresses, CUstream stream);
    [[nodiscard]] Executable capture(const Addresses& addresses, CUstream stream);

    std::shared_ptr<Engine> engine_;
    ContextOptions options_;
    std::shared_ptr<Scratch> scratch_;
    mutable std::mutex busy_;
    Event ready_;
    OnDevice<nvinfer1::IExecutionContext> context_;
    Recordings recordings_;
    std::atomic<std::int64_t> captures_ = 0;
};

}  // namespace brats::trt
