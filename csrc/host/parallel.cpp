#include "parallel.hpp"

#include <algorithm>
#include <thread>

#include "team.hpp"

#ifdef __linux__
#include <sched.h>
#endif

namespace brats {

int usable_cores() {
#ifdef __linux__
    cpu_set_t cores;
    if (sched_getaffinity(0, sizeof(cores), &cores) == 0) return std::max(1, CPU_COUNT(&cores));
#endif
    return static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
}

int workers_for(std::int64_t count, int threads) {
    return static_cast<int>(std::clamp<std::int64_t>(count, 1, threads > 0 ? threads : usable_cores()));
}

void parallel_for(std::int64_t count, int threads, const std::function<void(std::int64_t)>& body) {
    Team team(workers_for(count, threads));
    team.run(count, [&](std::int64_t i, int) { body(i); });
}

}  // namespace brats
