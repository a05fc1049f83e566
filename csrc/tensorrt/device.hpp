// One CUDA device, reached through its primary context, which CuPy, PyTorch and CUDA's runtime share.
#pragma once

#include <string>
#include <utility>

#include "driver.hpp"

namespace brats::trt {

struct ComputeCapability {
    int major;
    int minor;
};

class Device {
public:
    // Throws EngineFault where there is no such device.
    Device(const std::string& driver, int ordinal);
    ~Device();

    Device(const Device&) = delete;  // it holds the primary context once
    Device& operator=(const Device&) = delete;
    Device(Device&&) = delete;
    Device& operator=(Device&&) = delete;

    [[nodiscard]] const Driver& driver() const { return driver_; }
    [[nodiscard]] int ordinal() const { return ordinal_; }
    [[nodiscard]] const std::string& name() const { return name_; }
    [[nodiscard]] ComputeCapability capability() const { return capability_; }

    // Makes the device the calling thread's own, for a scope.
    class Current {
    public:
        explicit Current(const Device& device);
        ~Current();

        Current(const Current&) = delete;  // it pops what it pushed
        Current& operator=(const Current&) = delete;
        Current(Current&&) = delete;
        Current& operator=(Current&&) = delete;

    private:
        const Driver& driver_;
    };

    // For destructors: calls on the device, or not at all where the driver has gone, as at the end of a process.
    template <class Call>
    void dispose(Call&& call) const noexcept {
        if (driver_->push_context(context_) != CUDA_SUCCESS) return;
        std::forward<Call>(call)();
        pop();
    }

private:
    void pop() const noexcept;

    Driver driver_;
    int ordinal_;
    std::string name_;
    ComputeCapability capability_{};
    CUdevice handle_ = 0;
    CUcontext context_ = nullptr;
};

}  // namespace brats::trt
