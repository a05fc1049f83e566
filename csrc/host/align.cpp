#include "align.hpp"

#include <cmath>
#include <limits>
#include <stdexcept>
#include <vector>

#include "parallel.hpp"
#include "row_kernels.hpp"
#include "rows.hpp"

namespace brats {
namespace {

// The volume as finite floats, its axes in memory order: what the positions of a line are looked up in.
class Samples {
public:
    Samples(const Volume& volume, int threads) : axes_(axes_by_stride(volume.strides)) {
        const std::int64_t width = extent(volume, 0);
        const std::int64_t rows = extent(volume, 1);
        values_.resize(static_cast<std::size_t>(width * rows * extent(volume, 2)));
        visit_rows(volume, [&]<class Stored, class Value>() {
            parallel_for(extent(volume, 2), threads, [&](std::int64_t plane) {
                RowReader<Stored, Value> reader(volume, axes_[0]);
                for (std::int64_t row = 0; row < rows; ++row) {
                    const std::byte* first = volume.data + plane * stride(volume, 2) + row * stride(volume, 1);
                    float* out = values_.data() + (plane * rows + row) * width;
                    row_kernels().of<Value>().finite_floats(reader.read(first, width), width, out);
                }
            });
        });
        std::int32_t step = 1;
        for (std::size_t place = 0; place < 3; ++place) {
            const auto axis = static_cast<std::size_t>(axes_[place]);
            grid_.extents[axis] = static_cast<std::int32_t>(volume.shape[axis]);
            grid_.strides[axis] = step;
            step *= grid_.extents[axis];
        }
        grid_.values = values_.data();
    }

    [[nodiscard]] const FloatGrid& grid() const { return grid_; }

private:
    [[nodiscard]] std::int64_t extent(const Volume& volume, std::size_t place) const {
        return volume.shape[static_cast<std::size_t>(axes_[place])];
    }
    [[nodiscard]] std::int64_t stride(const Volume& volume, std::size_t place) const {
        return volume.strides[static_cast<std::size_t>(axes_[place])];
    }

    Index3 axes_;
    std::vector<float> values_;
    FloatGrid grid_{};
};

void check(const Volume& volume, const AffineMap& map, const FloatVolume& out) {
    std::int64_t voxels = 1;
    for (std::size_t axis = 0; axis < 3; ++axis) {
        if (volume.shape[axis] < 1 || out.size[axis] < 1) throw std::invalid_argument("a grid is empty on an axis");
        if (voxels > std::numeric_limits<std::int32_t>::max() / volume.shape[axis])
            throw std::invalid_argument("the volume has 2^31 voxels or more");
        voxels *= volume.shape[axis];
    }
    check_finite(map);
}

}  // namespace

void check_finite(const AffineMap& map) {
    for (std::size_t axis = 0; axis < 3; ++axis) {
        bool finite = std::isfinite(map.offset[axis]);
        for (const double entry : map.matrix[axis]) finite = finite && std::isfinite(entry);
        if (!finite) throw std::invalid_argument("the map is not finite");
    }
}

void align(const Volume& volume, const AffineMap& map, const FloatVolume& out, int threads) {
    check(volume, map, out);
    const Samples samples(volume, threads);
    parallel_for(out.size[0], threads, [&](std::int64_t x) {
        for (std::int64_t y = 0; y < out.size[1]; ++y) {
            Line line{};
            for (std::size_t axis = 0; axis < 3; ++axis) {
                const auto& row = map.matrix[axis];
                line.start[axis] = row[0] * static_cast<double>(x) + row[1] * static_cast<double>(y) + map.offset[axis];
                line.step[axis] = row[2];
            }
            row_kernels().along(samples.grid(), line, out.size[2], out.data + (x * out.size[1] + y) * out.size[2]);
        }
    });
}

}  // namespace brats
