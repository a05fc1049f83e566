// The fake library's objects; private to it.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "fake_cuda.hpp"
#include "fake_network.hpp"
#include "unfaked.hpp"

namespace fake {

struct Counts {
    std::atomic<std::int64_t> runtimes = 0;
    std::atomic<std::int64_t> engines = 0;
    std::atomic<std::int64_t> contexts = 0;
    std::atomic<std::int64_t> enqueued = 0;
    std::atomic<std::int64_t> runs = 0;
    std::atomic<std::int64_t> host_code = 0;
    std::atomic<std::int64_t> misuses = 0;
};

Counts& counts();

// TensorRT needs a CUDA context in nearly every call.
void demand_cuda();

// An object counts itself in `live`, and its children in `children`.
class Counted {
public:
    explicit Counted(std::atomic<std::int64_t>& live) : live_(live) { ++live_; }
    ~Counted() {
        --live_;
        demand_cuda();
        if (children != 0) ++counts().misuses;
    }

    Counted(const Counted&) = delete;
    Counted& operator=(const Counted&) = delete;
    Counted(Counted&&) = delete;
    Counted& operator=(Counted&&) = delete;

    std::atomic<int> children = 0;

private:
    std::atomic<std::int64_t>& live_;
};

class ContextParts final : public UnfakedContext {
public:
    ContextParts(Plan plan, Counted& engine, ILogger& logger);
    ~ContextParts() override;

    ContextParts(const ContextParts&) = delete;
    ContextParts& operator=(const ContextParts&) = delete;
    ContextParts(ContextParts&&) = delete;
    ContextParts& operator=(ContextParts&&) = delete;

    void setProfiler(IProfiler* profiler) noexcept override { profiler_ = profiler; }
    void setDeviceMemoryV2(void* memory, std::int64_t nbytes) noexcept override;
    bool setTensorAddress(const char* name, void* data) noexcept override;
    bool enqueueV3(cudaStream_t stream) noexcept override;

private:
    bool fail(const char* words);

    Plan plan_;
    Counted& engine_;
    Counted counted_;
    ILogger& logger_;
    IProfiler* profiler_ = nullptr;
    void* scratch_ = nullptr;
    std::int64_t scratch_nbytes_ = 0;
    void* input_ = nullptr;
    void* output_ = nullptr;
    bool ran_ = false;
    std::atomic<bool> busy_ = false;
};

class EngineParts final : public UnfakedEngine {
public:
    EngineParts(Plan plan, Counted& runtime, ILogger& logger);
    ~EngineParts() override;

    EngineParts(const EngineParts&) = delete;
    EngineParts& operator=(const EngineParts&) = delete;
    EngineParts(EngineParts&&) = delete;
    EngineParts& operator=(EngineParts&&) = delete;

    std::int32_t getNbIOTensors() const noexcept override { return plan_.fault == "no-output" ? 1 : 2; }
    const char* getIOTensorName(std::int32_t index) const noexcept override;
    TensorIOMode getTensorIOMode(const char* name) const noexcept override;
    TensorLocation getTensorLocation(const char* name) const noexcept override;
    TensorFormat getTensorFormatV2(const char* name, std::int32_t profile) const noexcept override;
    DataType getTensorDataType(const char* name) const noexcept override;
    Dims getTensorShape(const char* name) const noexcept override;
    std::int64_t getDeviceMemorySizeV2() const noexcept override { return plan_.scratch; }
    bool isRefittable() const noexcept override { return plan_.refittable; }
    std::int64_t getEngineStat(EngineStat stat) const noexcept override;
    IExecutionContext* createExecutionContext(ExecutionContextAllocationStrategy strategy) noexcept override;

private:
    Plan plan_;
    Counted& runtime_;
    Counted counted_;
    ILogger& logger_;
};

class RuntimeParts final : public UnfakedRuntime {
public:
    explicit RuntimeParts(ILogger& logger);

    ICudaEngine* deserializeCudaEngine(const void* blob, std::size_t nbytes) noexcept override;
    void setEngineHostCodeAllowed(bool allowed) noexcept override { counts().host_code = allowed ? 1 : 0; }

private:
    Counted counted_;
    ILogger& logger_;
};

// The public classes forward to the parts that they hold.
template <class Public, class Parts>
class Object final : public Public {
public:
    template <class... Arguments>
    explicit Object(Arguments&&... arguments) : parts_(std::make_unique<Parts>(std::forward<Arguments>(arguments)...)) {
        this->mImpl = parts_.get();
    }

private:
    std::unique_ptr<Parts> parts_;
};

}  // namespace fake
