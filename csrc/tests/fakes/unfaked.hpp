// TensorRT 10.14's virtual interfaces with nothing behind them: a fake overrides what the runner calls, and any other
// call ends the test.
#pragma once

#include <NvInferRuntime.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

namespace fake {

[[noreturn]] inline void unfaked(const char* function) {
    std::fprintf(stderr, "the fake TensorRT does not fake %s\n", function);
    std::abort();
}

#define UNFAKED(...) \
    __VA_ARGS__ noexcept override { ::fake::unfaked(#__VA_ARGS__); }

// clang-format off
using namespace nvinfer1;  // the signatures as the headers have them

class UnfakedRuntime : public apiv::VRuntime {
public:
    UNFAKED(IRuntime* getPImpl())
    UNFAKED(ICudaEngine* deserializeCudaEngine(void const*, std::size_t))
    UNFAKED(ICudaEngine* deserializeCudaEngine(IStreamReader&))
    UNFAKED(void setDLACore(int32_t))
    UNFAKED(int32_t getDLACore() const)
    UNFAKED(int32_t getNbDLACores() const)
    UNFAKED(void setGpuAllocator(IGpuAllocator*))
    UNFAKED(void setErrorRecorder(IErrorRecorder*))
    UNFAKED(IErrorRecorder* getErrorRecorder() const)
    UNFAKED(ILogger* getLogger() const)
    UNFAKED(bool setMaxThreads(int32_t))
    UNFAKED(int32_t getMaxThreads() const)
    UNFAKED(void setTemporaryDirectory(char const*))
    UNFAKED(char const* getTemporaryDirectory() const)
    UNFAKED(void setTempfileControlFlags(TempfileControlFlags))
    UNFAKED(TempfileControlFlags getTempfileControlFlags() const)
    UNFAKED(IPluginRegistry& getPluginRegistry())
    UNFAKED(void setPluginRegistryParent(IPluginRegistry*))
    UNFAKED(IRuntime* loadRuntime(char const*))
    UNFAKED(void setEngineHostCodeAllowed(bool))
    UNFAKED(bool getEngineHostCodeAllowed() const)
    UNFAKED(ICudaEngine* deserializeCudaEngineV2(IStreamReaderV2&))
};

class UnfakedEngine : public apiv::VCudaEngine {
public:
    UNFAKED(ICudaEngine* getPImpl())
    UNFAKED(int32_t getNbLayers() const)
    UNFAKED(IHostMemory* serialize() const)
    UNFAKED(IExecutionContext* createExecutionContext(ExecutionContextAllocationStrategy))
    UNFAKED(IExecutionContext* createExecutionContextWithoutDeviceMemory())
    UNFAKED(std::size_t getDeviceMemorySize() const)
    UNFAKED(bool isRefittable() const)
    UNFAKED(char const* getName() const)
    UNFAKED(int32_t getNbOptimizationProfiles() const)
    UNFAKED(int32_t const* getProfileTensorValues(char const*, int32_t, OptProfileSelector) const)
    UNFAKED(EngineCapability getEngineCapability() const)
    UNFAKED(void setErrorRecorder(IErrorRecorder*))
    UNFAKED(IErrorRecorder* getErrorRecorder() const)
    UNFAKED(bool hasImplicitBatchDimension() const)
    UNFAKED(TacticSources getTacticSources() const)
    UNFAKED(ProfilingVerbosity getProfilingVerbosity() const)
    UNFAKED(IEngineInspector* createEngineInspector() const)
    UNFAKED(Dims getTensorShape(char const*) const)
    UNFAKED(DataType getTensorDataType(char const*) const)
    UNFAKED(TensorLocation getTensorLocation(char const*) const)
    UNFAKED(bool isShapeInferenceIO(char const*) const)
    UNFAKED(TensorIOMode getTensorIOMode(char const*) const)
    UNFAKED(int32_t getTensorBytesPerComponent(char const*) const)
    UNFAKED(int32_t getTensorComponentsPerElement(char const*) const)
    UNFAKED(TensorFormat getTensorFormat(char const*) const)
    UNFAKED(char const* getTensorFormatDesc(char const*) const)
    UNFAKED(int32_t getTensorVectorizedDim(char const*) const)
    UNFAKED(Dims getProfileShape(char const*, int32_t, OptProfileSelector) const)
    UNFAKED(int32_t getNbIOTensors() const)
    UNFAKED(char const* getIOTensorName(int32_t) const)
    UNFAKED(HardwareCompatibilityLevel getHardwareCompatibilityLevel() const)
    UNFAKED(int32_t getNbAuxStreams() const)
    UNFAKED(int32_t getTensorBytesPerComponentV2(char const*, int32_t) const)
    UNFAKED(int32_t getTensorComponentsPerElementV2(char const*, int32_t) const)
    UNFAKED(TensorFormat getTensorFormatV2(char const*, int32_t) const)
    UNFAKED(char const* getTensorFormatDescV2(char const*, int32_t) const)
    UNFAKED(int32_t getTensorVectorizedDimV2(char const*, int32_t) const)
    UNFAKED(ISerializationConfig* createSerializationConfig())
    UNFAKED(IHostMemory* serializeWithConfig(ISerializationConfig&) const)
    UNFAKED(std::size_t getDeviceMemorySizeForProfile(int32_t) const)
    UNFAKED(IRefitter* createRefitter(ILogger&))
    UNFAKED(bool setWeightStreamingBudget(int64_t))
    UNFAKED(int64_t getWeightStreamingBudget() const)
    UNFAKED(int64_t getMinimumWeightStreamingBudget() const)
    UNFAKED(int64_t getStreamableWeightsSize() const)
    UNFAKED(bool isDebugTensor(char const*) const)
    UNFAKED(bool setWeightStreamingBudgetV2(int64_t))
    UNFAKED(int64_t getWeightStreamingBudgetV2() const)
    UNFAKED(int64_t getWeightStreamingAutomaticBudget() const)
    UNFAKED(int64_t getWeightStreamingScratchMemorySize() const)
    UNFAKED(int64_t getDeviceMemorySizeV2() const)
    UNFAKED(int64_t getDeviceMemorySizeForProfileV2(int32_t) const)
    UNFAKED(int64_t const* getProfileTensorValuesV2(char const*, int32_t, OptProfileSelector) const)
    UNFAKED(IExecutionContext* createExecutionContextWithRuntimeConfig(IRuntimeConfig*))
    UNFAKED(IRuntimeConfig* createRuntimeConfig())
    UNFAKED(int64_t getEngineStat(EngineStat) const)
};

class UnfakedContext : public apiv::VExecutionContext {
public:
    UNFAKED(IExecutionContext* getPImpl())
    UNFAKED(void setDebugSync(bool))
    UNFAKED(bool getDebugSync() const)
    UNFAKED(void setProfiler(IProfiler*))
    UNFAKED(IProfiler* getProfiler() const)
    UNFAKED(ICudaEngine const& getEngine() const)
    UNFAKED(void setName(char const*))
    UNFAKED(char const* getName() const)
    UNFAKED(void setDeviceMemory(void*))
    UNFAKED(int32_t getOptimizationProfile() const)
    UNFAKED(bool allInputDimensionsSpecified() const)
    UNFAKED(bool allInputShapesSpecified() const)
    UNFAKED(void setErrorRecorder(IErrorRecorder*))
    UNFAKED(IErrorRecorder* getErrorRecorder() const)
    UNFAKED(bool executeV2(void* const*))
    UNFAKED(bool setOptimizationProfileAsync(int32_t, cudaStream_t))
    UNFAKED(void setEnqueueEmitsProfile(bool))
    UNFAKED(bool getEnqueueEmitsProfile() const)
    UNFAKED(bool reportToProfiler() const)
    UNFAKED(bool setInputShape(char const*, Dims const&))
    UNFAKED(Dims getTensorShape(char const*) const)
    UNFAKED(Dims getTensorStrides(char const*) const)
    UNFAKED(bool setTensorAddress(char const*, void*))
    UNFAKED(void const* getTensorAddress(char const*) const)
    UNFAKED(bool setInputTensorAddress(char const*, void const*))
    UNFAKED(bool setOutputTensorAddress(char const*, void*))
    UNFAKED(int32_t inferShapes(int32_t, char const**))
    UNFAKED(bool setInputConsumedEvent(cudaEvent_t))
    UNFAKED(cudaEvent_t getInputConsumedEvent() const)
    UNFAKED(void* getOutputTensorAddress(char const*) const)
    UNFAKED(bool setOutputAllocator(char const*, IOutputAllocator*))
    UNFAKED(IOutputAllocator* getOutputAllocator(char const*))
    UNFAKED(int64_t getMaxOutputSize(char const*) const)
    UNFAKED(bool setTemporaryStorageAllocator(IGpuAllocator*))
    UNFAKED(IGpuAllocator* getTemporaryStorageAllocator() const)
    UNFAKED(bool enqueueV3(cudaStream_t))
    UNFAKED(void setPersistentCacheLimit(std::size_t))
    UNFAKED(std::size_t getPersistentCacheLimit() const)
    UNFAKED(bool setNvtxVerbosity(ProfilingVerbosity))
    UNFAKED(ProfilingVerbosity getNvtxVerbosity() const)
    UNFAKED(void setAuxStreams(cudaStream_t*, int32_t))
    UNFAKED(bool setDebugListener(IDebugListener*))
    UNFAKED(IDebugListener* getDebugListener())
    UNFAKED(bool setTensorDebugState(char const*, bool))
    UNFAKED(bool getDebugState(char const*) const)
    UNFAKED(bool setAllTensorsDebugState(bool))
    UNFAKED(std::size_t updateDeviceMemorySizeForShapes())
    UNFAKED(void setDeviceMemoryV2(void*, int64_t))
    UNFAKED(IRuntimeConfig* getRuntimeConfig() const)
    UNFAKED(bool setUnfusedTensorsDebugState(bool))
    UNFAKED(bool getUnfusedTensorsDebugState() const)
};

// clang-format on

#undef UNFAKED

}  // namespace fake
