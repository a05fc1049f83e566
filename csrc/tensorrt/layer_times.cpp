#include "layer_times.hpp"

#include <map>

#include "fault.hpp"

namespace brats::trt {
namespace {

class Sums final : public nvinfer1::IProfiler {
public:
    explicit Sums(double runs) : runs_(runs) {}

    void reportLayerTime(const char* name, float ms) noexcept override {
        const auto [entry, added] = index_.try_emplace(name, times_.size());
        if (added) times_.emplace_back(name, 0.0);
        times_[entry->second].second += static_cast<double>(ms) / runs_;
    }

    [[nodiscard]] const LayerTimes& times() const { return times_; }

private:
    double runs_;
    std::map<std::string, std::size_t> index_;
    LayerTimes times_;
};

}  // namespace

LayerTimes layer_times(Context& context, std::span<const Placement> placements, CUstream stream, int runs) {
    if (runs < 1) throw EngineFault("expected 1 run or more, got " + std::to_string(runs));
    Sums sums(runs);
    for (int run = 0; run < runs; ++run) context.profile(placements, stream, sums);
    return sums.times();
}

}  // namespace brats::trt
