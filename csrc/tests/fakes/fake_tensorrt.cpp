// Faults that a plan can ask for: engine, context, no-output, no-name, dynamic, host, format, address, enqueue,
// late (queues its work all the same), capture, breaks-capture, forgets (its output), warning.
#include "fake_tensorrt.hpp"

#include <bit>
#include <string_view>
#include <utility>

#include "fake_tensorrt_parts.hpp"

#ifndef FAKE_VERSION
#define FAKE_VERSION NV_TENSORRT_VERSION
#endif

namespace fake {
namespace {

constexpr std::string_view input_name = "data_crop";
constexpr std::string_view output_name = "softmax_lbl3";

using Severity = ILogger::Severity;

}  // namespace

Counts& counts() {
    static auto* const all = new Counts;
    return *all;
}

void demand_cuda() {
    if (fake_cuda_state().current == 0) ++counts().misuses;
}

ContextParts::ContextParts(Plan plan, Counted& engine, ILogger& logger)
    : plan_(std::move(plan)), engine_(engine), counted_(counts().contexts), logger_(logger) {
    ++engine_.children;
}

ContextParts::~ContextParts() { --engine_.children; }

void ContextParts::setDeviceMemoryV2(void* memory, std::int64_t nbytes) noexcept {
    scratch_ = memory;
    scratch_nbytes_ = nbytes;
}

bool ContextParts::setTensorAddress(const char* name, void* data) noexcept {
    demand_cuda();
    if (plan_.fault == "address" || reinterpret_cast<std::uintptr_t>(data) % 256 != 0) {
        return fail("IExecutionContext::setTensorAddress: given address is not 256-byte aligned");
    }
    if (name != input_name && name != output_name) return fail("setTensorAddress: no such tensor");
    (name == input_name ? input_ : output_) = data;
    return true;
}

bool ContextParts::fail(const char* words) {
    logger_.log(Severity::kERROR, words);
    return false;
}

bool ContextParts::enqueueV3(cudaStream_t stream) noexcept {
    if (busy_.exchange(true)) ++counts().misuses;
    demand_cuda();
    ++counts().enqueued;
    const bool capturing = is_capturing(stream);
    const bool ready = scratch_nbytes_ >= plan_.scratch && input_ != nullptr && output_ != nullptr;
    bool done = ready || fail("enqueueV3: a tensor or the device memory is not set");
    if (done && plan_.fault == "warning") logger_.log(Severity::kWARNING, "this is only a warning");
    if (done && (plan_.fault == "enqueue" || plan_.fault == "warning")) {
        done = plan_.fault == "enqueue" ? fail("enqueueV3: Cask convolution\n execution failed") : false;
    }
    if (done && capturing && (!ran_ || plan_.fault == "capture")) done = fail("enqueueV3: lazy work in a capture");
    if (done && capturing && plan_.fault == "breaks-capture") {
        CUdeviceptr memory = 0;
        static_cast<void>(cuMemAlloc(&memory, 256));
    }
    const auto work = [plan = plan_, scratch = scratch_, input = input_, output = output_](CUstream on) {
        for (const void* address :
             {static_cast<const void*>(scratch), static_cast<const void*>(input), static_cast<const void*>(output)}) {
            touch(on, reinterpret_cast<CUdeviceptr>(address));
        }
        if (plan.gate == "run" && fake_cuda_pass_gate() == 0) return;
        if (plan.fault != "forgets") run_network(plan, input, output);
        ++counts().runs;
    };
    if (done && !queue(stream, work)) done = fail("enqueueV3: the stream is not known");
    if (done && plan_.fault == "late") done = fail("enqueueV3: failed behind what is queued");
    if (done && profiler_ != nullptr) {
        profiler_->reportLayerTime("scores", 2.0F);
        profiler_->reportLayerTime("softmax", 1.0F);
    }
    ran_ = ran_ || (done && !capturing);
    busy_ = false;
    return done;
}

EngineParts::EngineParts(Plan plan, Counted& runtime, ILogger& logger)
    : plan_(std::move(plan)), runtime_(runtime), counted_(counts().engines), logger_(logger) {
    ++runtime_.children;
}

EngineParts::~EngineParts() { --runtime_.children; }

const char* EngineParts::getIOTensorName(std::int32_t index) const noexcept {
    if (plan_.fault == "no-name") return nullptr;
    return index == 0 ? input_name.data() : output_name.data();
}

TensorIOMode EngineParts::getTensorIOMode(const char* name) const noexcept {
    return name == input_name ? TensorIOMode::kINPUT : TensorIOMode::kOUTPUT;
}

TensorLocation EngineParts::getTensorLocation(const char* name) const noexcept {
    return plan_.fault == "host" && name == output_name ? TensorLocation::kHOST : TensorLocation::kDEVICE;
}

TensorFormat EngineParts::getTensorFormatV2(const char*, std::int32_t) const noexcept {
    return plan_.fault == "format" ? TensorFormat::kCHW32 : TensorFormat::kLINEAR;
}

DataType EngineParts::getTensorDataType(const char*) const noexcept {
    if (plan_.dtype == "fp8") return DataType::kFP8;
    if (plan_.dtype == "int8") return DataType::kINT8;
    return plan_.dtype == "float16" ? DataType::kHALF : DataType::kFLOAT;
}

Dims EngineParts::getTensorShape(const char*) const noexcept {
    return {5, {plan_.fault == "dynamic" ? -1 : 1, plan_.channels, plan_.size, plan_.middle(), plan_.size}};
}

std::int64_t EngineParts::getEngineStat(EngineStat stat) const noexcept {
    return stat == EngineStat::kSTRIPPED_WEIGHTS_SIZE ? plan_.stripped : 80;
}

IExecutionContext* EngineParts::createExecutionContext(ExecutionContextAllocationStrategy strategy) noexcept {
    demand_cuda();
    if (strategy != ExecutionContextAllocationStrategy::kUSER_MANAGED) ++counts().misuses;
    if (plan_.fault == "context" || (plan_.gate == "context" && fake_cuda_pass_gate() == 0)) {
        logger_.log(Severity::kINTERNAL_ERROR, "createExecutionContext: out of memory");
        return nullptr;
    }
    return new Object<IExecutionContext, ContextParts>(plan_, counted_, logger_);
}

RuntimeParts::RuntimeParts(ILogger& logger) : counted_(counts().runtimes), logger_(logger) {}

ICudaEngine* RuntimeParts::deserializeCudaEngine(const void* blob, std::size_t nbytes) noexcept {
    demand_cuda();
    const auto plan = parse({static_cast<const char*>(blob), nbytes});
    if (!plan) logger_.log(Severity::kERROR, "Serialization assertion magicTagRead == kMAGIC_TAG failed");
    if (!plan || plan->fault == "engine" || (plan->gate == "load" && fake_cuda_pass_gate() == 0)) return nullptr;
    return new Object<ICudaEngine, EngineParts>(*plan, counted_, logger_);
}

}  // namespace fake

FakeTensorRtState fake_tensorrt_state() {
    const fake::Counts& all = fake::counts();
    return {all.runtimes, all.engines, all.contexts, all.enqueued, all.runs, all.host_code, all.misuses};
}

extern "C" {

FAKE_EXPORT std::int32_t getInferLibVersion() noexcept { return FAKE_VERSION; }

// Without a device the real one hands out this very pointer.
FAKE_EXPORT void* createInferRuntime_INTERNAL(void* logger, std::int32_t version) noexcept {
    if (fake_cuda_state().contexts == 0) return std::bit_cast<void*>(std::uintptr_t{0x228});
#ifdef FAKE_RUNTIME  // a pointer to no object, given as a number
    static_cast<nvinfer1::ILogger*>(logger)->log(nvinfer1::ILogger::Severity::kERROR, "CUDA initialization failure");
    return std::bit_cast<void*>(std::uintptr_t{FAKE_RUNTIME});
#endif
    if (version != NV_TENSORRT_VERSION || FAKE_VERSION / 10000 != NV_TENSORRT_MAJOR) std::abort();
    fake::demand_cuda();
    return new fake::Object<nvinfer1::IRuntime, fake::RuntimeParts>(*static_cast<nvinfer1::ILogger*>(logger));
}
}
