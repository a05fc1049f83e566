#include "recordings.hpp"

#include <algorithm>

namespace brats::trt {

Recording* Recordings::find(const Addresses& addresses) {
    const auto found = std::ranges::find(latest_first_, addresses, &Recording::addresses);
    if (found == latest_first_.end()) return nullptr;
    latest_first_.splice(latest_first_.begin(), latest_first_, found);
    return &latest_first_.front();
}

void Recordings::add(const Addresses& addresses) {
    latest_first_.push_front({addresses, {}});
    if (latest_first_.size() > most) latest_first_.pop_back();
}

}  // namespace brats::trt
