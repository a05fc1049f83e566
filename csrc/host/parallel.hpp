#pragma once

#include <cstdint>
#include <functional>

namespace brats {

// Calls body(0) .. body(count - 1), each once, on up to `threads` threads (0: all cores that this process may
// use). Which thread takes which index is not fixed, so a body must depend on its index alone. The first
// exception is rethrown once every thread has stopped.
void parallel_for(std::int64_t count, int threads, const std::function<void(std::int64_t)>& body);

}  // namespace brats
