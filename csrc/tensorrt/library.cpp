#include "library.hpp"

#include <bit>
#include <cstdint>
#include <utility>

#include "fault.hpp"
#include "logger.hpp"

namespace brats::trt {
namespace {

#ifdef TRT_MAJOR_RTX
constexpr const char* flavour = "tensorrt-rtx";
constexpr const char* packages = "tensorrt-rtx-cu13";
constexpr Version least{NV_TENSORRT_MAJOR, 0, 0};
#else
constexpr const char* flavour = "tensorrt";
constexpr const char* packages = "tensorrt-cu13 (or tensorrt-cu12; tensorrt-lean-cu13 runs version-compatible plans)";
// Every function that is called is in the libraries from 10.14 on, whatever the headers.
constexpr Version least{NV_TENSORRT_MAJOR, NV_TENSORRT_MAJOR == 10 ? 14 : 0, 0};
#endif

Version version_from(std::int32_t number) { return {number / 10000, number / 100 % 100, number % 100}; }

std::string install() { return ": pip install '" + std::string(packages) + "', or name the library's path"; }

SharedObject open(const std::string& path) {
    if (!path.empty()) {
        try {
            return SharedObject(path);
        } catch (const EngineFault& fault) {
            throw EngineFault(std::string("TensorRT: ") + fault.what() + install());
        }
    }
    std::string reasons;
    for (const std::string& name : library_names()) {
        try {
            return SharedObject(name);
        } catch (const EngineFault& fault) {
            reasons += (reasons.empty() ? "" : "; ") + std::string(fault.what());
        }
    }
    throw EngineFault("no TensorRT library: " + reasons + install());
}

Version check_version(const SharedObject& object) {
    std::int32_t (*version)() noexcept = nullptr;
    object.bind(version, "getInferLibVersion");
    const Version found = version_from(version());
    const bool older = found.minor < least.minor || (found.minor == least.minor && found.patch < least.patch);
    if (found.major != least.major || older) {
        throw EngineFault(object.name() + " is TensorRT " + found.text() + "; this build of brats_trt drives " +
                          least.text() + " and later of major " + std::to_string(least.major) +
                          ": install such a library, or build brats_trt with the headers of " +
                          std::to_string(found.major));
    }
    return found;
}

// Where CUDA's runtime does not start inside TensorRT, its driver being too old, TensorRT 10 and 11 hand out 0x228. No
// object lies below the first pages, which are never mapped.
bool is_object(const void* pointer) {
    constexpr std::uintptr_t unmapped = 0x10000;
    return std::bit_cast<std::uintptr_t>(pointer) >= unmapped;
}

OnDevice<nvinfer1::IRuntime> make_runtime(const SharedObject& object, const std::shared_ptr<const Device>& device) {
    const Device::Current current(*device);
    void* (*create)(void*, std::int32_t) noexcept = nullptr;
    object.bind(create, "createInferRuntime_INTERNAL");
    const Logger::Since log;
    void* runtime = create(&Logger::instance(), static_cast<std::int32_t>(NV_TENSORRT_VERSION));
    if (!is_object(runtime)) {
        throw EngineFault(log.explain(object.name() + " gives no runtime on " + device->name() +
                                      ": update NVIDIA's driver, or install the TensorRT of an older CUDA"));
    }
    return {static_cast<nvinfer1::IRuntime*>(runtime), {device}};
}

}  // namespace

std::string Version::text() const {
    return std::to_string(major) + "." + std::to_string(minor) + "." + std::to_string(patch);
}

Version headers_version() { return {NV_TENSORRT_MAJOR, NV_TENSORRT_MINOR, NV_TENSORRT_PATCH}; }

const char* headers_flavour() { return flavour; }

std::vector<std::string> library_names() {
    const std::string major = std::to_string(NV_TENSORRT_MAJOR);
#ifdef TRT_MAJOR_RTX
    return {"libtensorrt_rtx.so." + major};
#else
    return {"libnvinfer.so." + major, "libnvinfer_lean.so." + major};
#endif
}

Library::Library(const std::string& path, const LibraryOptions& options)
    : device_(std::make_shared<const Device>(options.driver, options.device)),
      object_(open(path)),
      version_(check_version(object_)),
      runtime_(make_runtime(object_, device_)) {
#ifndef TRT_MAJOR_RTX  // whose plans have no code for the host
    runtime_->setEngineHostCodeAllowed(options.host_code);
#endif
}

OnDevice<nvinfer1::ICudaEngine> Library::deserialise(std::span<const std::byte> plan) {
    const std::scoped_lock lock(mutex_);
    const Logger::Since log;
    OnDevice<nvinfer1::ICudaEngine> engine(runtime_->deserializeCudaEngine(plan.data(), plan.size()), {device_});
    if (!engine) {
        throw EngineFault(log.explain("TensorRT " + version_.text() + " on " + device_->name() +
                                      " does not take the plan: build it with this version, on this kind of GPU"));
    }
    return engine;
}

}  // namespace brats::trt
