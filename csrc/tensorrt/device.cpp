#include "device.hpp"

#include <array>

#include "fault.hpp"

namespace brats::trt {

Device::Device(const std::string& driver, int ordinal) : driver_(driver), ordinal_(ordinal) {
    int devices = 0;
    driver_.check(driver_->device_count(&devices), "to count its devices");
    if (ordinal < 0 || ordinal >= devices) {
        throw EngineFault("CUDA device " + std::to_string(ordinal) + " was asked for; expected one from 0 to " +
                          std::to_string(devices - 1) + " (nvidia-smi lists them)");
    }
    driver_.check(driver_->device_get(&handle_, ordinal), "to open the device");
    std::array<char, 256> name{};
    driver_.check(driver_->device_name(name.data(), static_cast<int>(name.size()), handle_), "to name the device");
    name_ = name.data();
    driver_.check(driver_->device_attribute(&capability_.major, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, handle_),
                  "to tell the compute capability");
    driver_.check(driver_->device_attribute(&capability_.minor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, handle_),
                  "to tell the compute capability");
    driver_.check(driver_->retain_context(&context_, handle_), "to make a context on " + name_);
}

Device::~Device() { static_cast<void>(driver_->release_context(handle_)); }

void Device::pop() const noexcept {
    CUcontext popped = nullptr;
    static_cast<void>(driver_->pop_context(&popped));
}

Device::Current::Current(const Device& device) : driver_(device.driver_) {
    driver_.check(driver_->push_context(device.context_), "to use " + device.name_);
}

Device::Current::~Current() {
    CUcontext popped = nullptr;
    static_cast<void>(driver_->pop_context(&popped));
}

}  // namespace brats::trt
