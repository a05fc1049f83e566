// Objects of the driver and of TensorRT, freed on their device.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "device.hpp"

namespace brats::trt {

template <class Handle>
class Owned {
public:
    using Destroy = CUresult (*)(Handle);

    Owned() = default;
    Owned(std::shared_ptr<const Device> device, Handle handle, Destroy destroy)
        : device_(std::move(device)), handle_(handle), destroy_(destroy) {}
    ~Owned() {
        if (device_) device_->dispose([this] { static_cast<void>(destroy_(handle_)); });
    }

    Owned(const Owned&) = delete;  // one owner
    Owned& operator=(const Owned&) = delete;
    Owned(Owned&& other) noexcept { swap(other); }
    Owned& operator=(Owned&& other) noexcept {
        Owned(std::move(other)).swap(*this);
        return *this;
    }

    explicit operator bool() const { return device_ != nullptr; }
    [[nodiscard]] Handle get() const { return handle_; }

private:
    void swap(Owned& other) noexcept {
        std::swap(device_, other.device_);
        std::swap(handle_, other.handle_);
        std::swap(destroy_, other.destroy_);
    }

    std::shared_ptr<const Device> device_;
    Handle handle_{};
    Destroy destroy_ = nullptr;
};

using DeviceMemory = Owned<CUdeviceptr>;
using Event = Owned<CUevent>;
using Graph = Owned<CUgraph>;
using Executable = Owned<CUgraphExec>;

// TensorRT's objects are deleted like any other, but with their device current.
struct DeleteOnDevice {
    std::shared_ptr<const Device> device;

    template <class Object>
    void operator()(Object* object) const noexcept {
        device->dispose([object] { delete object; });
    }
};

template <class Object>
using OnDevice = std::unique_ptr<Object, DeleteOnDevice>;

// The device must be current.
DeviceMemory allocate(const std::shared_ptr<const Device>& device, std::int64_t nbytes, const std::string& purpose);
Event make_event(const std::shared_ptr<const Device>& device);
Executable instantiate(const std::shared_ptr<const Device>& device, const Graph& graph);

}  // namespace brats::trt
