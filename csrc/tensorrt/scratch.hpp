#pragma once

#include <cstdint>
#include <memory>
#include <mutex>

#include "owned.hpp"

namespace brats::trt {

// The device memory that a context computes in. Contexts that share it take turns: each run waits on the device for the
// one before, whatever streams they are on.
class Scratch {
public:
    // The device must be current. Throws EngineFault where there is too little memory.
    Scratch(const std::shared_ptr<const Device>& device, std::int64_t nbytes);

    [[nodiscard]] std::int64_t nbytes() const { return nbytes_; }
    [[nodiscard]] CUdeviceptr address() const { return memory_.get(); }
    [[nodiscard]] const Device& device() const { return *device_; }

    // The turn of one run on a stream, from its making to `end`. Throws EngineFault.
    class Turn {
    public:
        Turn(Scratch& scratch, CUstream stream);
        ~Turn();

        Turn(const Turn&) = delete;  // one run
        Turn& operator=(const Turn&) = delete;
        Turn(Turn&&) = delete;
        Turn& operator=(Turn&&) = delete;

        // Marks the stream's work up to here as what the next turn waits for.
        void end();

    private:
        std::unique_lock<std::mutex> lock_;
        Scratch& scratch_;
        CUstream stream_;
        bool ended_ = false;
    };

    // Until the last run has ended on the device. Throws EngineFault with what went wrong there.
    void synchronise();

    // The same for destructors.
    void settle() noexcept;

private:
    std::shared_ptr<const Device> device_;
    std::int64_t nbytes_;
    std::mutex mutex_;
    DeviceMemory memory_;
    Event last_;
};

}  // namespace brats::trt
