#include "../host/gather.hpp"

#include <doctest/doctest.h>

#include <stdexcept>

#include "arithmetic.cuh"
#include "fixtures.hpp"

using namespace brats;

namespace {

const Index3 shape{9, 8, 11};
const Box box{{1, 2, 3}, {8, 8, 10}};
const Moments moments{1, 60.0, 900.0};

// Eight corners at once, from the definition.
template <class T>
double sample(fixtures::Head<T>& head, const Index3& size, const Index3& k) {
    double sum = 0.0;
    for (int corner = 0; corner < 8; ++corner) {
        double weight = 1.0;
        Index3 voxel{};
        for (std::size_t axis = 0; axis < 3; ++axis) {
            const Tap at = tap(k[axis], box.extent(axis), size[axis]);
            const bool upper = (corner >> axis & 1) != 0;
            voxel[axis] = box.lower[axis] + at.lower + (upper ? 1 : 0);
            weight *= upper ? at.weight : 1.0 - at.weight;
        }
        const auto value = static_cast<double>(head(voxel[0], voxel[1], voxel[2]));
        sum += weight * (value > 0 ? normalised(value, moments.mean, 1.0 / 30.0) : 0.0);
    }
    return sum;
}

}  // namespace

TEST_CASE("every sample is the trilinear mix of its corners, in either memory order and for both entries") {
    const Index3 size{5, 16, 20};
    auto head = fixtures::head<std::int16_t>(shape, {{1, 2, 3}, {9, 8, 11}});
    const auto stored = head.fortran();
    const auto voxels = static_cast<std::size_t>(size[0] * size[1] * size[2]);
    for (const Volume& volume : {head.view(), head.fortran_view(stored)}) {
        std::vector<float> plain(voxels, -1.0F);
        std::vector<float> mirrored(voxels, -1.0F);
        gather(volume, box, moments, Normalisation::authors, {plain.data(), mirrored.data(), size}, 2);
        for (std::int64_t x = 0; x < size[0]; ++x)
            for (std::int64_t y = 0; y < size[1]; ++y)
                for (std::int64_t z = 0; z < size[2]; ++z) {
                    const double expected = sample(head, size, {x, y, z});
                    CHECK(plain[fixtures::at(size, x, y, z)] == doctest::Approx(expected).epsilon(1e-6));
                    CHECK(mirrored[fixtures::at(size, x, size[1] - 1 - y, z)] == plain[fixtures::at(size, x, y, z)]);
                }
    }
}

TEST_CASE("the card's normalisation leaves zero mean and unit variance over what is not zero") {
    const Index3 size{12, 12, 12};
    const auto head = fixtures::head<float>(shape, {{1, 2, 3}, {9, 8, 11}});
    std::vector<float> out(static_cast<std::size_t>(size[0] * size[1] * size[2]));
    gather(head.view(), box, {}, Normalisation::card, {out.data(), nullptr, size}, 2);
    double sum = 0.0;
    double squares = 0.0;
    double count = 0.0;
    for (const float value : out)
        if (value != 0.0F) {
            sum += value;
            squares += static_cast<double>(value) * value;
            ++count;
        }
    CHECK(sum / count == doctest::Approx(0.0).epsilon(1e-6));
    CHECK(squares / count == doctest::Approx(1.0).epsilon(1e-6));
}

TEST_CASE("a box that is flat, reaches outside or holds a constant is refused") {
    const auto head = fixtures::head<float>(shape, {{0, 0, 0}, shape});
    std::vector<float> out(8);
    const Channel channel{out.data(), nullptr, {2, 2, 2}};
    const auto run = [&](const Box& bad, const Moments& given) {
        gather(head.view(), bad, given, Normalisation::authors, channel, 1);
    };
    CHECK_THROWS_AS(run({{1, 2, 3}, {2, 8, 10}}, moments), std::invalid_argument);
    CHECK_THROWS_AS(run({{1, 2, 3}, {10, 8, 10}}, moments), std::invalid_argument);
    CHECK_THROWS_AS(run({{-1, 2, 3}, {8, 8, 10}}, moments), std::invalid_argument);
    CHECK_THROWS_AS(run(box, Moments{1, 5.0, 0.0}), std::invalid_argument);
}
