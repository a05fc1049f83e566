#pragma once

#include <cstdint>
#include <functional>

namespace brats {

// The cores that this process may run on.
int usable_cores();

// How many threads `count` pieces of work are shared by, where up to `threads` were asked for (0: all usable cores).
int workers_for(std::int64_t count, int threads);

// Calls body(0) .. body(count - 1), each once, on as many threads as `workers_for` says. Which thread takes
// which index is not fixed, so a body must depend on its index alone. The first exception is rethrown once every thread
// has stopped.
void parallel_for(std::int64_t count, int threads, const std::function<void(std::int64_t)>& body);

}  // namespace brats
