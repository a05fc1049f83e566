#include "team.hpp"

#include <system_error>

namespace brats {

Team::Team(int members) {
    try {
        for (int member = 1; member < members; ++member)
            others_.emplace_back([this, member] { wait_for_work(member); });
    } catch (const std::system_error&) {
        // The system has no more threads to give: those there are do the work.
    }
}

Team::~Team() {
    stopped_ = true;
    ++round_;
    round_.notify_all();
    for (std::thread& other : others_) other.join();
}

void Team::run(std::int64_t count, const std::function<void(std::int64_t, int)>& body) {
    body_ = &body;
    count_ = count;
    failure_ = nullptr;
    next_ = 0;
    busy_ = static_cast<int>(others_.size());
    ++round_;
    round_.notify_all();
    work(0);
    for (int busy = busy_; busy > 0; busy = busy_) busy_.wait(busy);
    if (failure_) std::rethrow_exception(failure_);
}

void Team::work(int member) {
    try {
        for (std::int64_t i = next_++; i < count_; i = next_++) (*body_)(i, member);
    } catch (...) {
        next_ = count_;
        const std::scoped_lock lock(failure_mutex_);
        if (!failure_) failure_ = std::current_exception();
    }
}

void Team::wait_for_work(int member) {
    std::uint32_t seen = 0;
    while (true) {
        round_.wait(seen);
        seen = round_;
        if (stopped_) return;
        work(member);
        if (--busy_ == 0) busy_.notify_all();
    }
}

}  // namespace brats
