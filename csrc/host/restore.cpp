#include "restore.hpp"

#include <limits>
#include <stdexcept>
#include <vector>

#include "parallel.hpp"
#include "row_kernels.hpp"
#include "summary.hpp"

namespace brats {
namespace {

// The classes of each sample side by side, the mean of the mirrored pair: what lies around a position is then near it
// in memory too.
std::vector<float> side_by_side(const Probabilities& probabilities, int threads) {
    const Index3& size = probabilities.size;
    const std::int64_t samples = size[0] * size[1] * size[2];
    std::vector<float> out(static_cast<std::size_t>(samples) * classes);
    parallel_for(size[0], threads, [&](std::int64_t x) {
        for (std::size_t c = 0; c < classes; ++c) {
            const float* plain = probabilities.data + static_cast<std::int64_t>(c) * samples;
            const float* pair = plain + static_cast<std::int64_t>(classes) * samples;
            for (std::int64_t y = 0; y < size[1]; ++y) {
                const std::int64_t row = (x * size[1] + y) * size[2];
                const std::int64_t mirrored = (x * size[1] + size[1] - 1 - y) * size[2];
                float* to = out.data() + static_cast<std::size_t>(row) * classes + c;
                for (std::int64_t z = 0; z < size[2]; ++z)
                    to[z * static_cast<std::int64_t>(classes)] =
                        probabilities.batch == 1 ? plain[row + z] : (plain[row + z] + pair[mirrored + z]) * 0.5F;
            }
        }
    });
    return out;
}

FloatGrid grid_of(const std::vector<float>& values, const Index3& size) {
    FloatGrid grid{values.data(), {}, {}};
    auto stride = static_cast<std::int32_t>(classes);
    for (std::size_t axis = 3; axis-- > 0;) {
        grid.extents[axis] = static_cast<std::int32_t>(size[axis]);
        grid.strides[axis] = stride;
        stride *= grid.extents[axis];
    }
    return grid;
}

// Rows of the label map along its fastest axis.
class RowLabeller {
public:
    RowLabeller(const FloatGrid& grid, const AffineMap& map, const LabelValues& values, const LabelMap& labels)
        : grid_(grid), map_(map), values_(values), labels_(labels), axes_(axes_by_stride(labels.strides)) {}

    [[nodiscard]] std::int64_t planes() const { return labels_.shape[axis(2)]; }

    [[nodiscard]] Summary plane(std::int64_t index) const {
        const std::int64_t width = labels_.shape[axis(0)];
        std::vector<std::uint8_t> row(static_cast<std::size_t>(width));
        Summary summary;
        for (std::int64_t j = 0; j < labels_.shape[axis(1)]; ++j) {
            Index3 voxel{};
            voxel[axis(1)] = j;
            voxel[axis(2)] = index;
            row_kernels().label_along(grid_, line_from(voxel), width, row.data());
            summarise(row.data(), width, voxel, axis(0), summary);
            std::uint8_t* to = labels_.data + j * labels_.strides[axis(1)] + index * labels_.strides[axis(2)];
            for (std::int64_t i = 0; i < width; ++i)
                to[i * labels_.strides[axis(0)]] = values_[row[static_cast<std::size_t>(i)]];
        }
        return summary;
    }

private:
    [[nodiscard]] std::size_t axis(std::size_t place) const { return static_cast<std::size_t>(axes_[place]); }

    [[nodiscard]] Line line_from(const Index3& voxel) const {
        Line line{};
        for (std::size_t a = 0; a < 3; ++a) {
            line.start[a] = map_.offset[a];
            for (std::size_t column = 0; column < 3; ++column)
                line.start[a] += map_.matrix[a][column] * static_cast<double>(voxel[column]);
            line.step[a] = map_.matrix[a][axis(0)];
        }
        return line;
    }

    const FloatGrid& grid_;
    const AffineMap& map_;
    const LabelValues& values_;
    const LabelMap& labels_;
    Index3 axes_;
};

void check(const Probabilities& probabilities, const AffineMap& map, const LabelMap& labels) {
    auto floats = static_cast<std::int64_t>(classes);
    for (std::size_t axis = 0; axis < 3; ++axis) {
        if (labels.shape[axis] < 1 || probabilities.size[axis] < 1)
            throw std::invalid_argument("a grid is empty on an axis");
        if (floats > std::numeric_limits<std::int32_t>::max() / probabilities.size[axis])
            throw std::invalid_argument("the probabilities have 2^29 samples or more");
        floats *= probabilities.size[axis];
    }
    check_finite(map);
}

}  // namespace

Tally restore(const Probabilities& probabilities, const AffineMap& map, const LabelValues& values,
              const LabelMap& labels, int threads) {
    check(probabilities, map, labels);
    check_finite(probabilities, threads);
    const std::vector<float> samples = side_by_side(probabilities, threads);
    const FloatGrid grid = grid_of(samples, probabilities.size);
    const RowLabeller rows(grid, map, values, labels);
    std::vector<Summary> planes(static_cast<std::size_t>(rows.planes()));
    parallel_for(rows.planes(), threads, [&](std::int64_t k) { planes[static_cast<std::size_t>(k)] = rows.plane(k); });
    return tally_of(planes, 0);
}

}  // namespace brats
