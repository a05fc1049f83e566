#include "parallel.hpp"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace brats {

void parallel_for(std::int64_t count, int threads, const std::function<void(std::int64_t)>& body) {
    const std::int64_t cores = std::max(1U, std::thread::hardware_concurrency());
    const std::int64_t workers = std::min(count, threads > 0 ? threads : cores);

    std::atomic<std::int64_t> next{0};
    std::exception_ptr failure;
    std::mutex failure_mutex;
    const auto work = [&] {
        try {
            for (std::int64_t i = next++; i < count; i = next++) body(i);
        } catch (...) {
            next = count;
            const std::scoped_lock lock(failure_mutex);
            if (!failure) failure = std::current_exception();
        }
    };
    {
        std::vector<std::jthread> helpers;
        for (std::int64_t i = 1; i < workers; ++i) helpers.emplace_back(work);
        work();
    }
    if (failure) std::rethrow_exception(failure);
}

}  // namespace brats
