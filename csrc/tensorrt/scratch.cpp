#include "scratch.hpp"

#include <algorithm>

namespace brats::trt {

// A context needs an address even where it needs no memory.
Scratch::Scratch(const std::shared_ptr<const Device>& device, std::int64_t nbytes)
    : device_(device),
      nbytes_(std::max<std::int64_t>(nbytes, 256)),
      memory_(allocate(device, nbytes_, "an execution context")),
      last_(make_event(device)) {}

Scratch::Turn::Turn(Scratch& scratch, CUstream stream) : lock_(scratch.mutex_), scratch_(scratch), stream_(stream) {
    const Driver& driver = scratch.device_->driver();
    driver.check(driver->wait(stream, scratch.last_.get(), 0), "to wait for the run before");
}

// A run that failed may have queued work before it did.
Scratch::Turn::~Turn() {
    if (!ended_) static_cast<void>(scratch_.device_->driver()->record(scratch_.last_.get(), stream_));
}

void Scratch::Turn::end() {
    ended_ = true;
    const Driver& driver = scratch_.device_->driver();
    driver.check(driver->record(scratch_.last_.get(), stream_), "to mark the end of the run");
}

// Without the lock: an event may be waited for while it is recorded anew, and a wait must not hold up other threads.
void Scratch::synchronise() {
    const Device::Current current(*device_);
    const Driver& driver = device_->driver();
    driver.check(driver->synchronise_event(last_.get()), "in the engine's run");
}

void Scratch::settle() noexcept {
    device_->dispose([this] { static_cast<void>(device_->driver()->synchronise_event(last_.get())); });
}

}  // namespace brats::trt
