// Every instruction set must give the same bits.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "../host/row_kernels.hpp"

using namespace brats;

namespace {

template <class T>
std::vector<T> row_of(std::int64_t n) {
    std::mt19937_64 random(static_cast<std::uint64_t>(n));
    std::uniform_real_distribution<double> value(-50.0, 100.0);
    std::vector<T> row;
    row.reserve(static_cast<std::size_t>(n));
    for (std::int64_t i = 0; i < n; ++i)
        row.push_back(static_cast<T>(std::is_unsigned_v<T> ? std::abs(value(random)) : value(random)));
    if (n > 3) row[2] = 0;
    if constexpr (std::is_floating_point_v<T>)
        if (n > 8) {
            row[4] = std::numeric_limits<T>::quiet_NaN();
            row[5] = std::numeric_limits<T>::infinity();
            row[6] = -std::numeric_limits<T>::infinity();
        }
    return row;
}

template <class T>
void check_typed(const RowKernels& variant) {
    const auto& expected = baseline::table().of<T>();
    const auto& kernels = variant.of<T>();
    for (const std::int64_t n : {0, 1, 7, 8, 9, 63, 64, 1000, 4096}) {
        const auto row = row_of<T>(n);
        const Moments a = expected.moments(row.data(), n);
        const Moments b = kernels.moments(row.data(), n);
        CHECK(a.count == b.count);
        CHECK(a.mean == b.mean);
        CHECK(std::isfinite(a.mean));
        CHECK(a.squares == b.squares);
        CHECK(expected.any_foreground(row.data(), n) == kernels.any_foreground(row.data(), n));
        CHECK(expected.nonfinite(row.data(), n) == kernels.nonfinite(row.data(), n));
        for (const bool normalise : {false, true}) {
            std::vector<double> x(row.size());
            std::vector<double> y(row.size());
            expected.intensities(row.data(), n, {normalise, 41.7, 1.0 / 3.3}, x.data());
            kernels.intensities(row.data(), n, {normalise, 41.7, 1.0 / 3.3}, y.data());
            CHECK(x == y);
        }
    }
}

struct Results {
    std::vector<double> resampled, blended, standardised, accumulated;
    std::vector<float> narrowed;
    std::vector<std::uint8_t> classes;

    bool operator==(const Results&) const = default;
};

// Rows of `inputs` samples, and not one more, resampled to `n`.
Results run_rows(const RowKernels& kernels, std::int64_t inputs, std::int64_t n) {
    const auto size = static_cast<std::size_t>(n);
    std::array<std::vector<double>, 4> rows;
    std::array<std::vector<float>, 4> narrow_rows;
    std::mt19937_64 random(3);
    std::uniform_real_distribution<double> value(0.0, 1.0);
    for (std::size_t r = 0; r < 4; ++r)
        for (std::int64_t i = 0; i < inputs; ++i) {
            rows[r].push_back(value(random));
            narrow_rows[r].push_back(static_cast<float>(value(random)));
        }
    std::vector<std::int32_t> lower;
    std::vector<double> weight;
    for (std::int64_t k = 0; k < n; ++k) {
        lower.push_back(static_cast<std::int32_t>(k * (inputs - 2) / std::max<std::int64_t>(n - 1, 1)));
        weight.push_back(value(random));
    }
    const auto length = static_cast<std::size_t>(inputs);
    Results made{std::vector<double>(size),   std::vector<double>(length), std::vector<double>(length),
                 std::vector<double>(length), std::vector<float>(length),  std::vector<std::uint8_t>(size)};
    kernels.resample(rows[0].data(), lower.data(), weight.data(), n, made.resampled.data());
    kernels.blend(rows[0].data(), rows[1].data(), 0.3, inputs, made.blended.data());
    kernels.standardise(rows[2].data(), inputs, 0.4, 3.7, made.standardised.data());
    const FloatRows4 corners{
        {narrow_rows[0].data(), narrow_rows[1].data(), narrow_rows[2].data(), narrow_rows[3].data()}};
    kernels.accumulate(corners, 0.2, 0.9, 0.5, inputs, made.accumulated.data());
    kernels.narrow(rows[3].data(), inputs, made.narrowed.data());
    const std::array<const double*, 4> classes{rows[0].data(), rows[1].data(), rows[2].data(), rows[3].data()};
    const std::array<std::uint8_t, 4> values{0, 1, 2, 4};
    kernels.argmax(classes.data(), lower.data(), weight.data(), n, values.data(), made.classes.data());
    return made;
}

}  // namespace

TEST_CASE("all instruction sets give the same bits") {
    for (const RowKernels* variant : supported_row_kernels()) {
        CAPTURE(std::string(variant->name));
        // Finer, as fine, coarser, and so coarse that eight outputs need more than sixteen inputs; rests of all
        // lengths.
        for (const std::int64_t inputs : {2, 9, 100, 133, 155, 240, 287, 288, 1000})
            for (std::int64_t n = 126; n < 135; ++n)
                CHECK(run_rows(*variant, inputs, n) == run_rows(baseline::table(), inputs, n));
        CHECK(run_rows(*variant, 5, 3) == run_rows(baseline::table(), 5, 3));
        check_typed<std::int8_t>(*variant);
        check_typed<std::uint8_t>(*variant);
        check_typed<std::int16_t>(*variant);
        check_typed<std::uint16_t>(*variant);
        check_typed<std::int32_t>(*variant);
        check_typed<std::uint32_t>(*variant);
        check_typed<std::int64_t>(*variant);
        check_typed<std::uint64_t>(*variant);
        check_typed<float>(*variant);
        check_typed<double>(*variant);
    }
}

TEST_CASE("sums of the largest small integers do not overflow") {
    const std::vector<std::uint16_t> row(static_cast<std::size_t>(longest_row), 65535);
    for (const RowKernels* variant : supported_row_kernels()) {
        const Moments moments = variant->of<std::uint16_t>().moments(row.data(), longest_row);
        CHECK(moments.count == longest_row);
        CHECK(moments.mean == 65535.0);
        CHECK(moments.squares == 0.0);
    }
}
