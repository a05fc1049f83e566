#include "scatter.hpp"

#include <algorithm>
#include <stdexcept>
#include <vector>

#include "parallel.hpp"
#include "resampling.hpp"
#include "row_kernels.hpp"
#include "strided_copy.hpp"
#include "summary.hpp"

namespace brats {
namespace {

constexpr std::int64_t rows_per_write = 64;  // rows that a task collects, so that writes fill cache lines

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
            summarise(row, depth, {box.lower[0] + start + i, box.lower[1] + y, box.lower[2]}, 2, summary);
            for (std::int64_t k = 0; k < depth; ++k) row[k] = values[row[k]];
        }
        std::uint8_t* to = labels.data + (box.lower[0] + start) * labels.strides[0] +
                           (box.lower[1] + y) * labels.strides[1] + box.lower[2] * labels.strides[2];
        copy_strided(block.data(), {depth, 0x7fffffff, 1}, to, labels.strides, {count, 1, depth});
    }
    return summary;
}

void check(const Probabilities& probabilities, const Box& box, const LabelMap& labels, int threads) {
    for (std::size_t axis = 0; axis < 3; ++axis) {
        if (box.lower[axis] < 0 || box.upper[axis] > labels.shape[axis])
            throw std::invalid_argument("the box reaches outside the label map");
        if (box.extent(axis) < 2) throw std::invalid_argument("the box is flat on an axis");
        if (probabilities.size[axis] < 2) throw std::invalid_argument("the probabilities are flat on an axis");
    }
    check_finite(probabilities, threads);
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

    const std::int64_t outside =
        labels.shape[0] * labels.shape[1] * labels.shape[2] - box.extent(0) * box.extent(1) * box.extent(2);
    return tally_of(planes, outside);
}

}  // namespace brats
