#include "../host/rows.hpp"

#include <doctest/doctest.h>

#include <bit>
#include <cmath>

using brats::Half;
using brats::widen;

TEST_CASE("binary16 widens to its value") {
    CHECK(widen(Half{0x3c00}) == 1.0F);
    CHECK(widen(Half{0xc000}) == -2.0F);
    CHECK(widen(Half{0x7bff}) == 65504.0F);
    CHECK(widen(Half{0x0001}) == 0x1p-24F);
    CHECK(widen(Half{0x03ff}) == 0x1.ff8p-15F);
    CHECK(std::bit_cast<std::uint32_t>(widen(Half{0x8000})) == 0x80000000U);
    CHECK(std::isinf(widen(Half{0x7c00})));
    CHECK(std::isnan(widen(Half{0x7e00})));
}

TEST_CASE("a value in the other byte order is turned round") {
    const std::array<std::uint8_t, 4> big_endian{0x01, 0x02, 0x03, 0x04};
    const auto* bytes = reinterpret_cast<const std::byte*>(big_endian.data());
    const bool swapped = std::endian::native == std::endian::little;
    CHECK(brats::load<std::uint32_t>(bytes, swapped) == 0x01020304U);
}

TEST_CASE("a contiguous row is read in place and a strided one is not") {
    std::array<std::int16_t, 8> values{1, 2, 3, 4, 5, 6, 7, 8};
    const auto* first = reinterpret_cast<const std::byte*>(values.data());
    const brats::Volume contiguous{first, brats::DType::i16, false, {4, 1, 1}, {2, 8, 8}, 1.0, 0.0};
    brats::RowReader<std::int16_t, std::int16_t> direct(contiguous, 0);
    CHECK(static_cast<const void*>(direct.read(first, 4)) == values.data());

    brats::Volume strided = contiguous;
    strided.strides[0] = -4;
    brats::RowReader<std::int16_t, std::int16_t> buffered(strided, 0);
    const std::int16_t* row = buffered.read(first + 12, 4);
    CHECK(row[0] == 7);
    CHECK(row[3] == 1);
}

TEST_CASE("slope and intercept apply in double") {
    const std::array<std::uint8_t, 2> values{10, 255};
    const auto* first = reinterpret_cast<const std::byte*>(values.data());
    const brats::Volume volume{first, brats::DType::u8, false, {2, 1, 1}, {1, 2, 2}, 0.1, -1.0};
    brats::RowReader<std::uint8_t, double> reader(volume, 0);
    const double* row = reader.read(first, 2);
    CHECK(row[0] == 10.0 * 0.1 - 1.0);
    CHECK(row[1] == 255.0 * 0.1 - 1.0);
}
