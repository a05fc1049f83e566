#include "../host/align.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "../host/row_kernels.hpp"
#include "fixtures.hpp"

using namespace brats;

namespace {

constexpr AffineMap identity{{{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}}, {0, 0, 0}};
// A turn about an oblique axis, with scales and a shear.
constexpr AffineMap oblique{{{{0.61, -0.31, 0.12}, {0.27, 0.55, -0.2}, {-0.08, 0.33, 0.7}}}, {-1.3, 2.1, 0.4}};

// From the definition, in double: eight corners, the outermost samples half a voxel further.
template <class T>
double sample(fixtures::Head<T>& head, const AffineMap& map, const Index3& at) {
    std::array<double, 3> position{};
    for (std::size_t axis = 0; axis < 3; ++axis) {
        position[axis] = map.offset[axis];
        for (std::size_t other = 0; other < 3; ++other)
            position[axis] += map.matrix[axis][other] * static_cast<double>(at[other]);
        const auto extent = static_cast<double>(head.shape[axis]);
        if (position[axis] < -0.5 || position[axis] >= extent - 0.5) return 0.0;
        position[axis] = std::clamp(position[axis], 0.0, extent - 1.0);
    }
    double sum = 0.0;
    for (int corner = 0; corner < 8; ++corner) {
        double weight = 1.0;
        Index3 voxel{};
        for (std::size_t axis = 0; axis < 3; ++axis) {
            const double lower = std::floor(position[axis]);
            const bool upper = (corner >> axis & 1) != 0;
            weight *= upper ? position[axis] - lower : 1.0 - position[axis] + lower;
            voxel[axis] = std::min(head.shape[axis] - 1, static_cast<std::int64_t>(lower) + (upper ? 1 : 0));
        }
        const auto value = static_cast<double>(head(voxel[0], voxel[1], voxel[2]));
        sum += std::isfinite(value) ? weight * value : 0.0;
    }
    return sum;
}

std::vector<float> aligned(const Volume& volume, const AffineMap& map, const Index3& size, int threads = 2) {
    std::vector<float> out(static_cast<std::size_t>(size[0] * size[1] * size[2]), -1.0F);
    align(volume, map, {out.data(), size}, threads);
    return out;
}

}  // namespace

TEST_CASE("every voxel is the trilinear mix of the samples around it, in either memory order") {
    const Index3 size{11, 9, 140};
    auto head = fixtures::head<std::int16_t>({9, 8, 11}, {{0, 0, 0}, {9, 8, 11}});
    const auto stored = head.fortran();
    for (const Volume& volume : {head.view(), head.fortran_view(stored)}) {
        const auto found = aligned(volume, oblique, size);
        std::int64_t inside = 0;
        for (std::int64_t x = 0; x < size[0]; ++x)
            for (std::int64_t y = 0; y < size[1]; ++y)
                for (std::int64_t z = 0; z < size[2]; ++z) {
                    const double expected = sample(head, oblique, {x, y, z});
                    CHECK(found[fixtures::at(size, x, y, z)] == doctest::Approx(expected).epsilon(1e-5).scale(100));
                    inside += expected != 0.0;
                }
        CHECK(inside > 300);
    }
}

TEST_CASE("the identity leaves every voxel as it is, and a voxel reaches half a voxel out") {
    const Index3 size{5, 4, 6};
    auto head = fixtures::head<float>(size, {{0, 0, 0}, size});
    CHECK(aligned(head.view(), identity, size) == head.values);
    AffineMap shifted = identity;
    shifted.offset = {-0.5, 0, 0};
    CHECK(aligned(head.view(), shifted, size)[0] == head(0, 0, 0));
    shifted.offset = {-0.51, 0, 0};
    CHECK(aligned(head.view(), shifted, size)[0] == 0.0F);
    shifted.offset = {4.49, 0, 0};
    CHECK(aligned(head.view(), shifted, size)[0] == head(4, 0, 0));
    shifted.offset = {4.5, 0, 0};
    CHECK(aligned(head.view(), shifted, size)[0] == 0.0F);
}

TEST_CASE("a single slice is as thick as its voxel") {
    auto head = fixtures::head<std::int16_t>({6, 7, 1}, {{0, 0, 0}, {6, 7, 1}});
    AffineMap finer = identity;
    finer.matrix[2][2] = 0.2;
    finer.offset[2] = -0.4;
    const auto found = aligned(head.view(), finer, {6, 7, 5});
    for (std::int64_t z = 0; z < 5; ++z)
        CHECK(found[fixtures::at({6, 7, 5}, 3, 2, z)] == static_cast<float>(head(3, 2, 0)));
}

TEST_CASE("what is not finite is background") {
    auto head = fixtures::head<double>({4, 4, 4}, {{0, 0, 0}, {4, 4, 4}});
    head(1, 1, 1) = std::numeric_limits<double>::quiet_NaN();
    head(2, 2, 2) = 1e300;
    const auto found = aligned(head.view(), identity, {4, 4, 4});
    CHECK(found[fixtures::at({4, 4, 4}, 1, 1, 1)] == 0.0F);
    CHECK(found[fixtures::at({4, 4, 4}, 2, 2, 2)] == 0.0F);
    CHECK(found[fixtures::at({4, 4, 4}, 1, 2, 1)] == static_cast<float>(head(1, 2, 1)));
}

TEST_CASE("threads and instruction sets do not change a bit") {
    const Index3 size{7, 6, 300};
    const auto head = fixtures::head<std::int16_t>({19, 18, 21}, {{0, 0, 0}, {19, 18, 21}});
    CHECK(aligned(head.view(), oblique, size, 1) == aligned(head.view(), oblique, size, 3));

    std::vector<float> values(head.values.begin(), head.values.end());
    const FloatGrid grid{values.data(), {19, 18, 21}, {18 * 21, 21, 1}};
    const Line line{{1.7, -0.9, 3.2}, {0.031, 0.043, 0.027}};
    std::vector<std::vector<float>> found;
    for (const RowKernels* kernels : supported_row_kernels()) {
        found.emplace_back(301);
        kernels->along(grid, line, 301, found.back().data());
        CHECK(found.back() == found.front());
    }
}

TEST_CASE("what does not fit is refused") {
    const auto head = fixtures::head<std::int16_t>({4, 4, 4}, {{0, 0, 0}, {4, 4, 4}});
    AffineMap broken = identity;
    broken.matrix[1][2] = std::numeric_limits<double>::infinity();
    CHECK_THROWS_WITH_AS(aligned(head.view(), broken, {4, 4, 4}), "the map is not finite", std::invalid_argument);
    CHECK_THROWS_WITH_AS(aligned(head.view(), identity, {4, 0, 4}), "a grid is empty on an axis",
                         std::invalid_argument);
}
