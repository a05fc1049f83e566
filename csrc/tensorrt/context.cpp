#include "context.hpp"

#include <bit>
#include <string>
#include <utility>

#include "fault.hpp"
#include "logger.hpp"

namespace brats::trt {
namespace {

constexpr CUdeviceptr alignment = 256;  // setTensorAddress asks for it

bool is_legacy(CUstream stream) { return stream == nullptr || stream == CU_STREAM_LEGACY; }

bool is_same(CUstream one, CUstream other) { return one == other || (is_legacy(one) && is_legacy(other)); }

std::shared_ptr<Scratch> scratch_for(const Engine& engine, std::shared_ptr<Scratch> shared) {
    if (!shared) return std::make_shared<Scratch>(engine.device(), engine.scratch_nbytes());
    if (&shared->device() != engine.device().get()) {
        throw EngineFault(
            "the memory to share is of a context of another library or device: load both engines with one "
            "library object");
    }
    if (shared->nbytes() < engine.scratch_nbytes()) {
        throw EngineFault("the memory to share has " + std::to_string(shared->nbytes()) + " bytes; the engine needs " +
                          std::to_string(engine.scratch_nbytes()) + ": make the larger engine's context first");
    }
    return shared;
}

void check_apart(const Tensor& one, CUdeviceptr first, const Tensor& other, CUdeviceptr second) {
    const bool apart = first + static_cast<CUdeviceptr>(one.nbytes) <= second ||
                       second + static_cast<CUdeviceptr>(other.nbytes) <= first;
    if (!apart)
        throw EngineFault("the tensors " + one.name + " and " + other.name + " overlap: give each its own memory");
}

// Takes the profiler off again, whatever happens.
class Attached {
public:
    Attached(nvinfer1::IExecutionContext& context, nvinfer1::IProfiler& profiler) : context_(context) {
        context_.setProfiler(&profiler);
    }
    ~Attached() { context_.setProfiler(nullptr); }

    Attached(const Attached&) = delete;  // for one scope
    Attached& operator=(const Attached&) = delete;
    Attached(Attached&&) = delete;
    Attached& operator=(Attached&&) = delete;

private:
    nvinfer1::IExecutionContext& context_;
};

}  // namespace

Context::Context(std::shared_ptr<Engine> engine, const ContextOptions& options, std::shared_ptr<Scratch> shared)
    : engine_(std::move(engine)), options_(options) {
    const Device::Current current(*engine_->device());
    scratch_ = scratch_for(*engine_, std::move(shared));
    ready_ = make_event(engine_->device());
    context_ = engine_->make_context();
    context_->setDeviceMemoryV2(std::bit_cast<void*>(scratch_->address()), scratch_->nbytes());
}

Context::~Context() { scratch_->settle(); }

void Context::enqueue(std::span<const Placement> placements, CUstream stream) {
    const auto entered = enter();
    const Device::Current current(*engine_->device());
    const Addresses addresses = check(placements, stream);
    Scratch::Turn turn(*scratch_, stream);
    wait_for(placements, stream);
    poison(addresses, stream);
    run_or_launch(addresses, stream);
    turn.end();
}

void Context::profile(std::span<const Placement> placements, CUstream stream, nvinfer1::IProfiler& profiler) {
    const auto entered = enter();
    const Device::Current current(*engine_->device());
    const Addresses addresses = check(placements, stream);
    Scratch::Turn turn(*scratch_, stream);
    wait_for(placements, stream);
    poison(addresses, stream);
    {
        const Attached attached(*context_, profiler);
        run(addresses, stream);
    }
    turn.end();
    const Driver& driver = engine_->device()->driver();
    driver.check(driver->synchronise_stream(stream), "in the profiled run");
}

std::unique_lock<std::mutex> Context::enter() const {
    std::unique_lock lock(busy_, std::try_to_lock);
    if (!lock) throw EngineFault("another thread is in this context: make one context for each worker");
    return lock;
}

Addresses Context::check(std::span<const Placement> placements, CUstream stream) {
    if (placements.size() != engine_->tensors().size()) {
        throw EngineFault("got addresses for " + std::to_string(placements.size()) + " tensors; the engine has " +
                          std::to_string(engine_->tensors().size()));
    }
    if (options_.graph && is_legacy(stream)) {
        throw EngineFault("the legacy default stream cannot be captured: give a stream of your own, or graph=False");
    }
    const Driver& driver = engine_->device()->driver();
    CUstreamCaptureStatus status = CU_STREAM_CAPTURE_STATUS_NONE;
    driver.check(driver->is_capturing(stream, &status), "to look at the stream");
    if (status != CU_STREAM_CAPTURE_STATUS_NONE) {
        throw EngineFault("the stream is being captured by somebody else: enqueue when the capture has ended");
    }
    Addresses addresses;
    for (const Placement& placement : placements) addresses.push_back(placement.address);
    if (recordings_.find(addresses) == nullptr) check_new(addresses);
    return addresses;
}

void Context::check_new(const Addresses& addresses) const {
    const Device& device = *engine_->device();
    const auto& tensors = engine_->tensors();
    for (std::size_t i = 0; i < tensors.size(); ++i) {
        int ordinal = -1;
        const CUresult result =
            device.driver()->pointer_attribute(&ordinal, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, addresses[i]);
        if (result != CUDA_SUCCESS || ordinal != device.ordinal()) {
            throw EngineFault("the address of " + tensors[i].name + " is not memory of CUDA device " +
                              std::to_string(device.ordinal()) + " (" +
                              (result == CUDA_SUCCESS ? "but of device " + std::to_string(ordinal)
                                                      : device.driver().describe(result)) +
                              "): copy the array to that device");
        }
        if (addresses[i] % alignment != 0) {
            throw EngineFault("the address of " + tensors[i].name + " is not a multiple of " +
                              std::to_string(alignment) + " bytes, as TensorRT needs it: copy the array");
        }
        for (std::size_t j = 0; j < i; ++j) check_apart(tensors[j], addresses[j], tensors[i], addresses[i]);
    }
}

// The event may be recorded again at once: a wait is for what it marked when the wait was queued.
void Context::wait_for(std::span<const Placement> placements, CUstream stream) {
    const Driver& driver = engine_->device()->driver();
    for (const Placement& placement : placements) {
        if (!placement.has_stream || is_same(placement.stream, stream)) continue;
        driver.check(driver->record(ready_.get(), placement.stream), "to mark the array's stream");
        driver.check(driver->wait(stream, ready_.get(), 0), "to wait for the array's stream");
    }
}

// All bits set are a NaN in every floating-point type.
void Context::poison(const Addresses& addresses, CUstream stream) {
    if (!options_.poison) return;
    const Driver& driver = engine_->device()->driver();
    const auto& tensors = engine_->tensors();
    for (std::size_t i = 0; i < tensors.size(); ++i) {
        if (tensors[i].input) continue;
        driver.check(driver->fill(addresses[i], 0xFF, static_cast<std::size_t>(tensors[i].nbytes), stream),
                     "to poison the output " + tensors[i].name);
    }
}

void Context::run(const Addresses& addresses, CUstream stream) {
    const Logger::Since log;
    const auto& tensors = engine_->tensors();
    for (std::size_t i = 0; i < tensors.size(); ++i) {
        if (!context_->setTensorAddress(tensors[i].name.c_str(), std::bit_cast<void*>(addresses[i]))) {
            throw EngineFault(log.explain("TensorRT refuses the address of " + tensors[i].name));
        }
    }
    if (!context_->enqueueV3(stream)) {
        throw EngineFault(log.explain("TensorRT failed to queue the engine on " + engine_->device()->name() +
                                      ": what the output holds is not a result"));
    }
}

// Lazy work of the first run would break a capture, so a set of addresses is run once before it is captured.
void Context::run_or_launch(const Addresses& addresses, CUstream stream) {
    Recording* recording = recordings_.find(addresses);
    if (!options_.graph || recording == nullptr) {
        run(addresses, stream);
        if (recording == nullptr) recordings_.add(addresses);
        return;
    }
    if (!recording->graph) {
        recording->graph = capture(addresses, stream);
        ++captures_;
    }
    const Driver& driver = engine_->device()->driver();
    driver.check(driver->launch(recording->graph.get(), stream), "to launch the engine's graph");
}

// Only calls of this thread are watched meanwhile: others may allocate.
Executable Context::capture(const Addresses& addresses, CUstream stream) {
    const auto& device = engine_->device();
    const Driver& driver = device->driver();
    driver.check(driver->begin_capture(stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL), "to begin a capture");
    std::string fault;
    try {
        run(addresses, stream);
    } catch (const EngineFault& raised) {
        fault = raised.what();
    }
    CUgraph captured = nullptr;
    const CUresult result = driver->end_capture(stream, &captured);
    const Graph graph = captured == nullptr ? Graph() : Graph(device, captured, driver->destroy_graph);
    if (!fault.empty()) throw EngineFault("the engine's graph cannot be captured; use graph=False: " + fault);
    driver.check(result, "to capture the engine's graph; use graph=False");
    return instantiate(device, graph);
}

}  // namespace brats::trt
