// A deserialised plan: its tensors by name, and the contexts that run it.
#pragma once

#include <NvInferRuntime.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "library.hpp"

namespace brats::trt {

// An input or output, dense in C order on the device.
struct Tensor {
    std::string name;
    std::string dtype;  // as NumPy calls it: "float16", "float32"
    std::vector<std::int64_t> shape;
    std::int64_t nbytes;
    bool input;
};

// Such as "float16 (1, 4, 128, 128, 128)".
std::string describe(const std::string& dtype, const std::vector<std::int64_t>& shape);

class Engine {
public:
    // Throws EngineFault where TensorRT refuses the plan, or where it cannot run as it is: stripped of its weights, of
    // shapes that are not fixed, with tensors on the host or in another layout than C order.
    Engine(std::shared_ptr<Library> library, std::span<const std::byte> plan);

    [[nodiscard]] const std::shared_ptr<Library>& library() const { return library_; }
    [[nodiscard]] const std::shared_ptr<const Device>& device() const { return library_->device(); }

    // In the engine's order.
    [[nodiscard]] const std::vector<Tensor>& tensors() const { return tensors_; }

    // Device memory that a context needs beside its tensors.
    [[nodiscard]] std::int64_t scratch_nbytes() const { return scratch_nbytes_; }

    [[nodiscard]] bool refittable() const { return refittable_; }

    // Without device memory of its own; the device must be current. Throws EngineFault.
    OnDevice<nvinfer1::IExecutionContext> make_context();

private:
    void inspect();

    std::shared_ptr<Library> library_;
    std::mutex mutex_;
    OnDevice<nvinfer1::ICudaEngine> engine_;
    std::vector<Tensor> tensors_;
    std::int64_t scratch_nbytes_ = 0;
    bool refittable_ = false;
};

}  // namespace brats::trt
