#pragma once

#include <stdexcept>

namespace brats::trt {

// The one exception of the runner: the engine, the runtime or the device is at fault. The message says what came, what
// was expected and what to do, with TensorRT's own words where it had any.
class EngineFault : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

}  // namespace brats::trt
