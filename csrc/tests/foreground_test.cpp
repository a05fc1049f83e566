#include "../host/foreground.hpp"

#include <doctest/doctest.h>

#include <limits>

#include "fixtures.hpp"

using namespace brats;

TEST_CASE("the box is tight and the moments are those of the foreground, in either memory order") {
    const Box box{{2, 0, 5}, {9, 7, 11}};
    const auto head = fixtures::head<std::int16_t>({10, 7, 12}, box);
    const auto plain = fixtures::plain_moments(head.values);
    const auto stored = head.fortran();
    for (const Volume& volume : {head.view(), head.fortran_view(stored)}) {
        const Foreground found = foreground(volume, 2);
        CHECK(found.box.lower == box.lower);
        CHECK(found.box.upper == box.upper);
        CHECK(static_cast<double>(found.moments.count) == plain.count);
        CHECK(found.moments.mean == doctest::Approx(plain.mean).epsilon(1e-14));
        CHECK(variance_of(found.moments) == doctest::Approx(plain.variance).epsilon(1e-13));
    }
}

TEST_CASE("the number of threads does not change a bit") {
    auto head = fixtures::head<double>({31, 17, 23}, {{0, 0, 0}, {31, 17, 23}});
    for (double& value : head.values) value = value / 7.0 + 1e6;
    const Foreground one = foreground(head.view(), 1);
    for (const int threads : {2, 3, 8}) {
        const Foreground many = foreground(head.view(), threads);
        CHECK(many.moments.mean == one.moments.mean);
        CHECK(many.moments.squares == one.moments.squares);
    }
}

TEST_CASE("a large mean does not cancel the variance") {
    const fixtures::Head<double> head{{1, 1, 4}, {1e9 + 4, 1e9 + 7, 1e9 + 13, 1e9 + 16}};
    CHECK(variance_of(foreground(head.view(), 1).moments) == doctest::Approx(22.5).epsilon(1e-12));
}

TEST_CASE("rows longer than a kernel takes are summed in pieces") {
    fixtures::Head<std::uint8_t> head{{1, 1, 10000}, std::vector<std::uint8_t>(10000, 255)};
    head.values[9999] = 1;
    const Foreground found = foreground(head.view(), 1);
    CHECK(found.moments.count == 10000);
    CHECK(found.moments.mean == doctest::Approx(255.0 - 254.0 / 10000));
    CHECK(found.box.upper[2] == 10000);
}

TEST_CASE("NaN and infinities are background and counted") {
    constexpr float infinity = std::numeric_limits<float>::infinity();
    const float nan = std::numeric_limits<float>::quiet_NaN();
    const fixtures::Head<float> head{{1, 1, 6}, {nan, 2.0F, infinity, 4.0F, -infinity, -1.0F}};
    const Foreground found = foreground(head.view(), 1);
    CHECK(found.nonfinite == 3);
    CHECK(found.moments.count == 2);
    CHECK(found.moments.mean == 3.0);
    CHECK(found.box.lower[2] == 1);
    CHECK(found.box.upper[2] == 4);
}

TEST_CASE("without foreground the box is empty") {
    const fixtures::Head<float> head{{2, 2, 2}, std::vector<float>(8, -1.0F)};
    const Foreground found = foreground(head.view(), 0);
    CHECK(found.moments.count == 0);
    CHECK(found.box.upper == Index3{0, 0, 0});
}
