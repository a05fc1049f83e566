// The library that runs plans: libnvinfer or its lean kin, or TensorRT-RTX's, loaded at run time.
#pragma once

#include <NvInferRuntime.h>

#include <cstddef>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "owned.hpp"
#include "shared_object.hpp"

namespace brats::trt {

struct Version {
    int major;
    int minor;
    int patch;

    [[nodiscard]] std::string text() const;
};

// Of the headers that this was compiled with: they drive libraries of their own major only, since a new major lays out
// its virtual tables anew.
Version headers_version();

// "tensorrt" or "tensorrt-rtx", after the headers.
const char* headers_flavour();

// The file names that a library of the headers' major has, the whole runtime first.
std::vector<std::string> library_names();

struct LibraryOptions {
    int device = 0;
    std::string driver = "libcuda.so.1";
    bool host_code = false;  // let plans bring code for the host, as version-compatible ones do
};

class Library {
public:
    // A path; empty means the system's library. The device is demanded first: without one TensorRT hands out an invalid
    // pointer instead of a runtime. Throws EngineFault.
    Library(const std::string& path, const LibraryOptions& options);

    [[nodiscard]] const std::string& name() const { return object_.name(); }
    [[nodiscard]] Version version() const { return version_; }
    [[nodiscard]] const std::shared_ptr<const Device>& device() const { return device_; }

    // One at a time, from any thread; the device must be current. Throws EngineFault.
    OnDevice<nvinfer1::ICudaEngine> deserialise(std::span<const std::byte> plan);

private:
    std::shared_ptr<const Device> device_;
    SharedObject object_;
    Version version_;
    std::mutex mutex_;
    OnDevice<nvinfer1::IRuntime> runtime_;
};

}  // namespace brats::trt
