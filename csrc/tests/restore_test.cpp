#include "../host/restore.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <limits>
#include <stdexcept>

#include "../host/row_kernels.hpp"

using namespace brats;

namespace {

// Four classes of which each is certain in one corner region of the grid.
std::vector<float> corners(const Index3& size) {
    const std::int64_t samples = size[0] * size[1] * size[2];
    std::vector<float> values(static_cast<std::size_t>(4 * samples), 0.0F);
    for (std::int64_t i = 0; i < samples; ++i) {
        const std::int64_t c = 2 * (i / (size[1] * size[2]) >= size[0] / 2) + (i % size[2] >= size[2] / 2);
        values[static_cast<std::size_t>(c * samples + i)] = 1.0F;
    }
    return values;
}

constexpr AffineMap identity{{{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}}, {0, 0, 0}};

}  // namespace

TEST_CASE("each voxel has the class that is greatest there, and what lies outside is background") {
    const Index3 size{4, 3, 6};
    const auto values = corners(size);
    std::vector<std::uint8_t> labels(96, 7);
    const LabelMap map{labels.data(), {4, 3, 8}, {24, 8, 1}};
    const Tally tally = restore({values.data(), 1, size}, identity, {10, 11, 12, 14}, map, 2);
    for (std::size_t x = 0; x < 4; ++x)
        for (std::size_t z = 0; z < 8; ++z) {
            const std::uint8_t expected = z >= 6 ? 10 : x < 2 ? (z < 3 ? 10 : 11) : (z < 3 ? 12 : 14);
            CHECK(labels[x * 24 + z] == expected);
        }
    CHECK(tally.counts == std::array<std::int64_t, 4>{42, 18, 18, 18});
    CHECK(tally.box.lower == Index3{0, 0, 0});
    CHECK(tally.box.upper == Index3{4, 3, 6});
}

TEST_CASE("label maps are written whatever their strides are") {
    const Index3 size{4, 3, 6};
    const auto values = corners(size);
    std::vector<std::uint8_t> rows(72);
    std::vector<std::uint8_t> columns(72);
    restore({values.data(), 1, size}, identity, {0, 1, 2, 4}, {rows.data(), size, {18, 6, 1}}, 1);
    restore({values.data(), 1, size}, identity, {0, 1, 2, 4}, {columns.data() + 71, size, {-1, -4, -12}}, 2);
    for (std::size_t x = 0; x < 4; ++x)
        for (std::size_t y = 0; y < 3; ++y)
            for (std::size_t z = 0; z < 6; ++z) CHECK(rows[x * 18 + y * 6 + z] == columns[71 - x - y * 4 - z * 12]);
}

TEST_CASE("every instruction set gives the same labels") {
    std::vector<float> values(840);
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i * 7919 % 1013) / 1013.0F;
    const FloatGrid grid{values.data(), {5, 6, 7}, {6 * 7 * 4, 7 * 4, 4}};
    const Line line{{-0.7, 5.2, 0.1}, {0.021, -0.019, 0.024}};
    std::vector<std::uint8_t> first;
    for (const RowKernels* kernels : supported_row_kernels()) {
        std::vector<std::uint8_t> found(261, 9);
        kernels->label_along(grid, line, 261, found.data());
        if (first.empty()) first = found;
        CHECK(found == first);
    }
    CHECK(*std::ranges::max_element(first) == 3);
}

TEST_CASE("what cannot be labelled is refused") {
    std::vector<float> values(4, 0.25F);
    std::vector<std::uint8_t> labels(1);
    const LabelMap map{labels.data(), {1, 1, 1}, {1, 1, 1}};
    values[2] = std::numeric_limits<float>::quiet_NaN();
    CHECK_THROWS_AS(restore({values.data(), 1, {1, 1, 1}}, identity, {0, 1, 2, 4}, map, 1), NotFinite);
    CHECK_THROWS_AS(restore({values.data(), 1, {1, 1, 0}}, identity, {0, 1, 2, 4}, map, 1), std::invalid_argument);
}
