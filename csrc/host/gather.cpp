#include "gather.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <stdexcept>
#include <type_traits>
#include <vector>

#include "parallel.hpp"
#include "resampling.hpp"
#include "rows.hpp"
#include "strided_copy.hpp"
#include "team.hpp"

namespace brats {
namespace {

// Output planes a task makes before it writes them: sixteen floats fill a cache line where the slow axis of the
// volume is the fast axis of the channel.
constexpr std::int64_t planes_per_task = 16;
// Floats between the planes that are collected, so that sixteen planes of a power of two do not share a cache set.
constexpr std::int64_t plane_padding = 16;

// The volume's axes in memory order, cut to the box, and the resampling of each.
struct Geometry {
    Geometry(const Volume& volume, const Box& box, const Index3& size) : axes(axes_by_stride(volume.strides)) {
        origin = volume.data;
        for (std::size_t axis = 0; axis < 3; ++axis) origin += box.lower[axis] * volume.strides[axis];
        for (const std::int64_t axis : axes) {
            const auto a = static_cast<std::size_t>(axis);
            taps.emplace_back(box.extent(a), size[a]);
            strides.push_back(volume.strides[a]);
        }
    }

    [[nodiscard]] std::int64_t plane_size() const { return taps[0].outputs * taps[1].outputs; }

    Index3 axes;
    const std::byte* origin;
    std::vector<Taps> taps;  // fast, middle, slow
    std::vector<std::int64_t> strides;
};

// The two most recent of a sequence of rows or planes that is walked upwards: each is made once.
class Window {
public:
    explicit Window(std::int64_t length) {
        for (auto& slot : slots_) slot.values.resize(static_cast<std::size_t>(length));
    }

    template <class Make>
    const double* get(std::int64_t index, const Make& make) {
        Slot& slot = slots_[static_cast<std::size_t>(index % 2)];
        if (slot.index != index) {
            make(index, slot.values.data());
            slot.index = index;
        }
        return slot.values.data();
    }

    void clear() {
        for (auto& slot : slots_) slot.index = -1;
    }

private:
    struct Slot {
        std::int64_t index = -1;
        std::vector<double> values;
    };
    std::array<Slot, 2> slots_;
};

// Blends the window's entries at `tap`; an entry of no weight is not made.
template <class Make>
void blend_at(Window& window, const Tap& tap, std::int64_t n, const Make& make, double* out) {
    if (tap.weight == 0.0) {
        const double* only = window.get(tap.lower, make);
        std::copy(only, only + n, out);
        return;
    }
    const double* lower = window.get(tap.lower, make);
    const double* upper = window.get(tap.lower + 1, make);
    row_kernels().blend(lower, upper, tap.weight, n, out);
}

// Makes resampled planes of the box, at rising positions along its slow axis.
template <class Stored, class Value>
class PlaneSource {
public:
    PlaneSource(const Volume& volume, const Geometry& geometry, const Intensity& intensity)
        : geometry_(geometry),
          intensity_(intensity),
          reader_(volume, geometry.axes[0]),
          row_(static_cast<std::size_t>(geometry.taps[0].inputs)),
          rows_(geometry.taps[0].outputs),
          planes_(geometry.plane_size()) {}

    // The output plane k: outputs of the middle axis x outputs of the fast axis.
    void make(std::int64_t k, double* out) {
        blend_at(
            planes_, geometry_.taps[2].at(k), geometry_.plane_size(),
            [this](std::int64_t index, double* plane) { make_plane(index, plane); }, out);
    }

private:
    void make_plane(std::int64_t index, double* out) {
        const std::int64_t width = geometry_.taps[0].outputs;
        const std::byte* plane = geometry_.origin + index * geometry_.strides[2];
        rows_.clear();
        for (std::int64_t j = 0; j < geometry_.taps[1].outputs; ++j)
            blend_at(
                rows_, geometry_.taps[1].at(j), width,
                [&](std::int64_t row, double* made) { make_row(plane + row * geometry_.strides[1], made); },
                out + j * width);
    }

    void make_row(const std::byte* first, double* out) {
        const Taps& taps = geometry_.taps[0];
        const Value* stored = reader_.read(first, taps.inputs);
        row_kernels().of<Value>().intensities(stored, taps.inputs, intensity_, row_.data());
        row_kernels().resample(row_.data(), taps.lower.data(), taps.weight.data(), taps.outputs, out);
    }

    const Geometry& geometry_;
    const Intensity& intensity_;
    RowReader<Stored, Value> reader_;
    std::vector<double> row_;
    Window rows_;
    Window planes_;
};

// Hands every output plane to one of the sinks that `make_sink` makes, one for each thread: those of a task in order,
// between begin(first, end) and finish().
template <class MakeSink>
void each_plane(const Volume& volume, const Geometry& geometry, const Intensity& intensity, int threads,
                const MakeSink& make_sink) {
    const std::int64_t planes = geometry.taps[2].outputs;
    const std::int64_t tasks = (planes + planes_per_task - 1) / planes_per_task;
    visit_rows(volume, [&]<class Stored, class Value>() {
        // What a thread needs again for each of its tasks: taken from the system anew, its pages would cost as much
        // as the planes.
        struct Desk {
            PlaneSource<Stored, Value> source;
            std::vector<double> plane;
            std::invoke_result_t<MakeSink> sink;
        };
        Team team(workers_for(tasks, threads));
        std::vector<std::unique_ptr<Desk>> desks(static_cast<std::size_t>(team.size()));
        team.run(tasks, [&](std::int64_t task, int member) {
            auto& desk = desks[static_cast<std::size_t>(member)];
            if (!desk)
                desk = std::make_unique<Desk>(PlaneSource<Stored, Value>(volume, geometry, intensity),
                                              std::vector<double>(static_cast<std::size_t>(geometry.plane_size())),
                                              make_sink());
            const std::int64_t first = task * planes_per_task;
            const std::int64_t end = std::min(planes, first + planes_per_task);
            desk->sink.begin(first, end);
            for (std::int64_t k = first; k < end; ++k) {
                desk->source.make(k, desk->plane.data());
                desk->sink.take(k, desk->plane.data());
            }
            desk->sink.finish();
        });
    });
}

// Collects a task's planes as floats and writes them into the channel together.
class ChannelSink {
public:
    ChannelSink(const Geometry& geometry, const Channel& channel, const Moments* standardise)
        : geometry_(geometry),
          channel_(channel),
          standardise_(standardise),
          pitch_(geometry.plane_size() + plane_padding),
          block_(static_cast<std::size_t>(std::min(planes_per_task, geometry.taps[2].outputs) * pitch_)) {
        extents_[axis(0)] = geometry.taps[0].outputs;
        extents_[axis(1)] = geometry.taps[1].outputs;
        from_[axis(0)] = 1;
        from_[axis(1)] = geometry.taps[0].outputs;
        from_[axis(2)] = pitch_;
    }

    void begin(std::int64_t first, std::int64_t end) {
        first_ = first;
        extents_[axis(2)] = end - first;
    }

    void take(std::int64_t k, double* plane) {
        const std::int64_t n = geometry_.plane_size();
        if (standardise_) {
            const double variance = variance_of(*standardise_);
            row_kernels().standardise(plane, n, standardise_->mean, 1.0 / std::sqrt(variance), plane);
        }
        row_kernels().narrow(plane, n, block_.data() + (k - first_) * pitch_);
    }

    void finish() const {
        const Index3 strides{channel_.size[1] * channel_.size[2], channel_.size[2], 1};
        const std::int64_t offset = first_ * strides[axis(2)];
        copy_strided(block_.data(), from_, channel_.plain + offset, strides, extents_);
        if (!channel_.mirrored) return;
        const Index3 mirrored{strides[0], -strides[1], strides[2]};
        const std::int64_t last_row = (channel_.size[1] - 1) * strides[1];
        copy_strided(block_.data(), from_, channel_.mirrored + last_row + first_ * mirrored[axis(2)], mirrored,
                     extents_);
    }

private:
    [[nodiscard]] std::size_t axis(std::size_t memory_order) const {
        return static_cast<std::size_t>(geometry_.axes[memory_order]);
    }

    const Geometry& geometry_;
    const Channel& channel_;
    const Moments* standardise_;
    std::int64_t first_ = 0;
    std::int64_t pitch_;
    std::vector<float> block_;
    Index3 extents_{};
    Index3 from_{};
};

// The moments of a plane's non-zero voxels, each plane in a place of its own so that they merge in order.
struct MomentsSink {
    std::vector<Moments>& planes;
    std::int64_t plane_size;

    void begin(std::int64_t, std::int64_t) const {}
    void take(std::int64_t k, const double* plane) {
        const auto& kernels = row_kernels().of<double>();
        for (std::int64_t start = 0; start < plane_size; start += longest_row)
            merge(planes[static_cast<std::size_t>(k)],
                  kernels.moments(plane + start, std::min(longest_row, plane_size - start)));
    }
    void finish() const {}
};

Moments moments_of_resampled(const Volume& volume, const Geometry& geometry, const Intensity& intensity, int threads) {
    std::vector<Moments> planes(static_cast<std::size_t>(geometry.taps[2].outputs));
    each_plane(volume, geometry, intensity, threads, [&] { return MomentsSink{planes, geometry.plane_size()}; });
    Moments all{};
    for (const Moments& plane : planes) merge(all, plane);
    return all;
}

void check(const Volume& volume, const Box& box, const Index3& size) {
    for (std::size_t axis = 0; axis < 3; ++axis) {
        if (box.lower[axis] < 0 || box.upper[axis] > volume.shape[axis])
            throw std::invalid_argument("the box reaches outside the volume");
        if (box.extent(axis) < 2) throw std::invalid_argument("the box is flat on an axis");
        if (size[axis] < 2) throw std::invalid_argument("the channel is flat on an axis");
    }
}

}  // namespace

void gather(const Volume& volume, const Box& box, const Moments& moments, Normalisation normalisation,
            const Channel& channel, int threads) {
    check(volume, box, channel.size);
    const Geometry geometry(volume, box, channel.size);
    Intensity intensity{false, 0.0, 0.0};
    Moments resampled{};
    const Moments* standardise = nullptr;
    if (normalisation == Normalisation::authors) {
        if (!(variance_of(moments) > 0.0)) throw std::invalid_argument("the foreground is constant");
        intensity = {true, moments.mean, 1.0 / std::sqrt(variance_of(moments))};
    } else {
        resampled = moments_of_resampled(volume, geometry, intensity, threads);
        if (!(variance_of(resampled) > 0.0)) throw std::invalid_argument("the foreground is constant");
        standardise = &resampled;
    }
    each_plane(volume, geometry, intensity, threads, [&] { return ChannelSink(geometry, channel, standardise); });
}

}  // namespace brats
