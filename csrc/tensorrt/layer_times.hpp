#pragma once

#include <string>
#include <utility>
#include <vector>

#include "context.hpp"

namespace brats::trt {

// Milliseconds of each layer, in the order of their reports; the mean over `runs`.
using LayerTimes = std::vector<std::pair<std::string, double>>;

// Profiles a context from outside: nothing of it stays with the context. Throws EngineFault.
LayerTimes layer_times(Context& context, std::span<const Placement> placements, CUstream stream, int runs);

}  // namespace brats::trt
