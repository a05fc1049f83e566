// Threads that stay, so that many short pieces of work do not pay for starting them.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace brats {

class Team {
public:
    // Of `members`, one is whoever calls `run`. Where the system has fewer threads to give, there are fewer.
    explicit Team(int members);
    Team(const Team&) = delete;
    Team& operator=(const Team&) = delete;
    Team(Team&&) = delete;
    Team& operator=(Team&&) = delete;
    ~Team();

    [[nodiscard]] int size() const { return static_cast<int>(others_.size()) + 1; }

    // Calls body(i, member) for each i below `count`, once. Which member takes which i is not fixed. The first
    // exception is rethrown once all have stopped. Not to be called by two threads at a time.
    void run(std::int64_t count, const std::function<void(std::int64_t, int)>& body);

private:
    void work(int member);
    void wait_for_work(int member);

    const std::function<void(std::int64_t, int)>* body_ = nullptr;
    std::int64_t count_ = 0;
    std::atomic<std::int64_t> next_{0};
    std::atomic<std::uint32_t> round_{0};
    std::atomic<int> busy_{0};
    std::atomic<bool> stopped_{false};
    std::exception_ptr failure_;
    std::mutex failure_mutex_;
    std::vector<std::thread> others_;
};

}  // namespace brats
