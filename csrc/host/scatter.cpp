#include "scatter.hpp"

#include <algorithm>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <vector>

#include "parallel.hpp"
#include "resampling.hpp"
#include "row_kernels.hpp"
#include "strided_copy.hpp"

namespace brats {
namespace {

constexpr std::int64_t rows_per_write = 64;  // rows that a task collects, so that writes fill cache lines

struct Summary {
    std::array<std::int64_t, classes> counts{};
    Index3 lower{std::numeric_limits<std::int64_t>::max(), std::numeric_limits<std::int64_t>::max(),
                 std::numeric_limits<std::int64_t>::max()};
    Index3 upper{0, 0, 0};

    void include(const Index3& voxel) {
        for (std::size_t axis = 0; axis < 3; ++axis) {
            lower[axis] = std::min(lower[axis], voxel[axis]);
            upper[axis] = std::max(upper[axis], voxel[axis] + 1);
        }
    }

    void merge(const Summary& more) {
        for (std::size_t c = 0; c < classes; ++c) counts[c] += more.counts[c];
        for (std::size_t axis = 0; axis < 3; ++axis) {
            lower[axis] = std::min(lower[axis], more.lower[axis]);
            upper[axis] = std::max(upper[axis], more.upper[axis]);
        }
    }
};

struct Resampling {
    Resampling(const Index3& size, const Box& box)
        : x(size[0], box.extent(0)), y(size[1], box.extent(1)), z(size[2], box.extent(2)) {}
    Taps x, y, z;
};

// The class of each voxel along axis 2, at one x and y.
class RowMaker {
public:
    RowMaker(const Probabilities& probabilities, const Resampling& resampling)
        : probabilities_(probabilities),
          resampling_(resampling),
          mixed_(classes * static_cast<std::size_t>(probabilities.size[2])) {}

    void make(std::int64_t x, std::int64_t y, std::uint8_t* out) {
        static constexpr LabelValues indices{0, 1, 2, 3};
        const Tap tap_x = resampling_.x.at(x);
        const Tap tap_y = resampling_.y.at(y);
        const std::int64_t depth = probabilities_.size[2];
        const double share = 1.0 / static_cast<double>(probabilities_.batch);
        std::array<const double*, classes> rows{};
        std::ranges::fill(mixed_, 0.0);
        for (std::size_t c = 0; c < classes; ++c) {
            double* row = mixed_.data() + static_cast<std::int64_t>(c) * depth;
            rows[c] = row;
            for (std::int64_t entry = 0; entry < probabilities_.batch; ++entry)
                row_kernels().accumulate(corners(entry, static_cast<std::int64_t>(c), tap_x.lower, tap_y.lower),
                                         tap_x.weight, tap_y.weight, share, depth, row);
        }
        const Taps& z = resampling_.z;
        row_kernels().argmax(rows.data(), z.lower.data(), z.weight.data(), z.outputs, indices.data(), out);
    }

private:
    [[nodiscard]] FloatRows4 corners(std::int64_t entry, std::int64_t c, std::int64_t x, std::int64_t y) const {
        const Index3& size = probabilities_.size;
        const std::int64_t mirror = size[1] - 1;
        const auto row = [&](std::int64_t at_x, std::int64_t at_y) {
            const std::int64_t stored_y = entry == 1 ? mirror - at_y : at_y;
            return probabilities_.data +
                   (((entry * static_cast<std::int64_t>(classes) + c) * size[0] + at_x) * size[1] + stored_y) * size[2];
        };
        return {{row(x, y), row(x, y + 1), row(x + 1, y), row(x + 1, y + 1)}};
    }

    const Probabilities& probabilities_;
    const Resampling& resampling_;
    std::vector<double> mixed_;
};

void summarise(const std::uint8_t* row, std::int64_t n, Index3 voxel, Summary& summary) {
    std::array<std::int64_t, classes> counts{};
    for (std::int64_t k = 0; k < n; ++k) {
        counts[1] += row[k] == 1;
        counts[2] += row[k] == 2;
        counts[3] += row[k] == 3;
    }
    const std::int64_t tumour = counts[1] + counts[2] + counts[3];
    summary.counts[0] += n - tumour;
    for (std::size_t c = 1; c < classes; ++c) summary.counts[c] += counts[c];
    if (tumour == 0) return;
    const std::int64_t start = voxel[2];
    const auto inside = [](std::uint8_t c) { return c != 0; };
    voxel[2] = start + (std::find_if(row, row + n, inside) - row);
    summary.include(voxel);
    const auto* last = row + n - 1;
    while (!inside(*last)) --last;
    voxel[2] = start + (last - row);
    summary.include(voxel);
}

// Labels the plane y of the box.
Summary label_plane(const Probabilities& probabilities, const Resampling& resampling, const Box& box, std::int64_t y,
                    const LabelValues& values, const LabelMap& labels) {
    const std::int64_t width = resampling.x.outputs;
    const std::int64_t depth = resampling.z.outputs;
    RowMaker rows(probabilities, resampling);
    std::vector<std::uint8_t> block(static_cast<std::size_t>(rows_per_write * depth));
    Summary summary;
    for (std::int64_t start = 0; start < width; start += rows_per_write) {
        const std::int64_t count = std::min(rows_per_write, width - start);
        for (std::int64_t i = 0; i < count; ++i) {
            std::uint8_t* row = block.data() + i * depth;
            rows.make(start + i, y, row);
            summarise(row, depth, {box.lower[0] + start + i, box.lower[1] + y, box.lower[2]}, summary);
            for (std::int64_t k = 0; k < depth; ++k) row[k] = values[row[k]];
        }
        std::uint8_t* to = labels.data + (box.lower[0] + start) * labels.strides[0] +
                           (box.lower[1] + y) * labels.strides[1] + box.lower[2] * labels.strides[2];
        copy_strided(block.data(), {depth, 0x7fffffff, 1}, to, labels.strides, {count, 1, depth});
    }
    return summary;
}

void fill(const LabelMap& labels, std::uint8_t value, int threads) {
    const Index3 axes = axes_by_stride(labels.strides);
    const auto fast = static_cast<std::size_t>(axes[0]);
    const auto middle = static_cast<std::size_t>(axes[1]);
    const auto slow = static_cast<std::size_t>(axes[2]);
    parallel_for(labels.shape[slow], threads, [&](std::int64_t k) {
        for (std::int64_t j = 0; j < labels.shape[middle]; ++j) {
            std::uint8_t* row = labels.data + k * labels.strides[slow] + j * labels.strides[middle];
            if (labels.strides[fast] == 1)
                std::memset(row, value, static_cast<std::size_t>(labels.shape[fast]));
            else
                for (std::int64_t i = 0; i < labels.shape[fast]; ++i) row[i * labels.strides[fast]] = value;
        }
    });
}

void check(const Probabilities& probabilities, const Box& box, const LabelMap& labels, int threads) {
    for (std::size_t axis = 0; axis < 3; ++axis) {
        if (box.lower[axis] < 0 || box.upper[axis] > labels.shape[axis])
            throw std::invalid_argument("the box reaches outside the label map");
        if (box.extent(axis) < 2) throw std::invalid_argument("the box is flat on an axis");
        if (probabilities.size[axis] < 2) throw std::invalid_argument("the probabilities are flat on an axis");
    }
    const std::int64_t slabs = probabilities.batch * static_cast<std::int64_t>(classes) * probabilities.size[0];
    const std::int64_t slab = probabilities.size[1] * probabilities.size[2];
    parallel_for(slabs, threads, [&](std::int64_t i) {
        if (row_kernels().of<float>().nonfinite(probabilities.data + i * slab, slab) > 0)
            throw NotFinite("the network gave probabilities that are not finite");
    });
}

}  // namespace

Tally scatter(const Probabilities& probabilities, const Box& box, const LabelValues& values, const LabelMap& labels,
              int threads) {
    check(probabilities, box, labels, threads);
    fill(labels, values[0], threads);
    const Resampling resampling(probabilities.size, box);
    std::vector<Summary> planes(static_cast<std::size_t>(box.extent(1)));
    parallel_for(box.extent(1), threads, [&](std::int64_t y) {
        planes[static_cast<std::size_t>(y)] = label_plane(probabilities, resampling, box, y, values, labels);
    });

    Summary all;
    for (const Summary& plane : planes) all.merge(plane);
    const std::int64_t outside =
        labels.shape[0] * labels.shape[1] * labels.shape[2] - box.extent(0) * box.extent(1) * box.extent(2);
    Tally tally{all.counts, {{0, 0, 0}, {0, 0, 0}}};
    tally.counts[0] += outside;
    if (all.upper[0] > 0) tally.box = {all.lower, all.upper};
    return tally;
}

}  // namespace brats
