#include "../host/scatter.hpp"

#include <doctest/doctest.h>

#include <limits>
#include <stdexcept>

#include "fixtures.hpp"

using namespace brats;

namespace {

const Index3 size{6, 6, 6};
const LabelValues values{0, 1, 2, 4};
constexpr std::size_t voxels = 216;

// Class c in the octant-like slab x == slab, background elsewhere.
std::vector<float> slab(std::int64_t x, std::size_t c, bool mirrored = false) {
    std::vector<float> made(classes * voxels);
    for (std::int64_t i = 0; i < 6; ++i)
        for (std::int64_t y = 0; y < 6; ++y)
            for (std::int64_t z = 0; z < 6; ++z) {
                const bool inside = i == x && (mirrored ? y >= 3 : y < 3);
                made[(inside ? c : 0) * voxels + fixtures::at(size, i, y, z)] = 1.0F;
            }
    return made;
}

struct Labels {
    Index3 shape{8, 8, 8};
    std::vector<std::uint8_t> stored = std::vector<std::uint8_t>(512, 9);
    bool fortran = false;

    LabelMap map() { return {stored.data(), shape, fortran ? Index3{1, 8, 64} : Index3{64, 8, 1}}; }
    [[nodiscard]] int at(std::int64_t x, std::int64_t y, std::int64_t z) const {
        return stored[static_cast<std::size_t>(fortran ? x + 8 * y + 64 * z : 64 * x + 8 * y + z)];
    }
};

const Box same{{1, 1, 1}, {7, 7, 7}};

}  // namespace

TEST_CASE("at the network's own size labels are its classes, in either memory order") {
    const auto probabilities = slab(2, 3);
    for (const bool fortran : {false, true}) {
        Labels labels;
        labels.fortran = fortran;
        const Tally tally = scatter({probabilities.data(), 1, size}, same, values, labels.map(), 2);
        for (std::int64_t x = 0; x < 8; ++x)
            for (std::int64_t y = 0; y < 8; ++y)
                for (std::int64_t z = 0; z < 8; ++z) {
                    const bool inside = x == 3 && y >= 1 && y < 4 && z >= 1 && z < 7;
                    CHECK(labels.at(x, y, z) == (inside ? 4 : 0));
                }
        CHECK(tally.counts == std::array<std::int64_t, classes>{512 - 18, 0, 0, 18});
        CHECK(tally.box.lower == Index3{3, 1, 1});
        CHECK(tally.box.upper == Index3{4, 4, 7});
    }
}

TEST_CASE("the mirrored entry is turned back before the mean") {
    auto pair = slab(2, 3);
    const auto second = slab(2, 3, true);
    pair.insert(pair.end(), second.begin(), second.end());
    Labels once;
    Labels both;
    scatter({pair.data(), 1, size}, same, values, once.map(), 1);
    scatter({pair.data(), 2, size}, same, values, both.map(), 1);
    CHECK(once.stored == both.stored);
}

TEST_CASE("ties go to the lower class") {
    const std::vector<float> even(classes * voxels, 0.25F);
    Labels labels;
    const Tally tally = scatter({even.data(), 1, size}, same, {7, 1, 2, 4}, labels.map(), 1);
    CHECK(tally.counts[0] == 512);
    CHECK(tally.box.upper == Index3{0, 0, 0});
    for (const std::uint8_t label : labels.stored) CHECK(label == 7);
}

TEST_CASE("probabilities that are not finite are refused") {
    auto probabilities = slab(1, 1);
    probabilities[500] = std::numeric_limits<float>::quiet_NaN();
    Labels labels;
    CHECK_THROWS_AS(scatter({probabilities.data(), 1, size}, same, values, labels.map(), 2), NotFinite);
}
