// Volumes for the tests, and the plainest possible versions of what the stages compute.
#pragma once

#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "../host/gather.hpp"
#include "../host/volume.hpp"

namespace brats::fixtures {

inline std::size_t at(const Index3& shape, std::int64_t x, std::int64_t y, std::int64_t z) {
    return static_cast<std::size_t>((x * shape[1] + y) * shape[2] + z);
}

template <class T>
constexpr DType dtype_of();
template <>
constexpr DType dtype_of<std::int16_t>() {
    return DType::i16;
}
template <>
constexpr DType dtype_of<std::uint8_t>() {
    return DType::u8;
}
template <>
constexpr DType dtype_of<float>() {
    return DType::f32;
}
template <>
constexpr DType dtype_of<double>() {
    return DType::f64;
}

// Values in C order; the view can be asked for in either order.
template <class T>
struct Head {
    Index3 shape;
    std::vector<T> values;

    [[nodiscard]] T& operator()(std::int64_t x, std::int64_t y, std::int64_t z) { return values[at(shape, x, y, z)]; }

    [[nodiscard]] Volume view() const {
        constexpr auto size = static_cast<std::int64_t>(sizeof(T));
        return {reinterpret_cast<const std::byte*>(values.data()),   dtype_of<T>(), false, shape,
                {shape[1] * shape[2] * size, shape[2] * size, size}, 1.0,           0.0};
    }

    // The same voxels, stored with axis 0 fastest.
    [[nodiscard]] std::vector<T> fortran() const {
        std::vector<T> stored;
        for (std::int64_t z = 0; z < shape[2]; ++z)
            for (std::int64_t y = 0; y < shape[1]; ++y)
                for (std::int64_t x = 0; x < shape[0]; ++x) stored.push_back(values[at(shape, x, y, z)]);
        return stored;
    }

    [[nodiscard]] Volume fortran_view(const std::vector<T>& stored) const {
        constexpr auto size = static_cast<std::int64_t>(sizeof(T));
        Volume volume = view();
        volume.data = reinterpret_cast<const std::byte*>(stored.data());
        volume.strides = {size, shape[0] * size, shape[0] * shape[1] * size};
        return volume;
    }
};

// Zero but for the inside of `box`, where values vary.
template <class T>
Head<T> head(const Index3& shape, const Box& box) {
    Head<T> made{shape, std::vector<T>(static_cast<std::size_t>(shape[0] * shape[1] * shape[2]))};
    std::mt19937 random(7);
    std::uniform_int_distribution<int> value(1, 120);
    for (std::int64_t x = box.lower[0]; x < box.upper[0]; ++x)
        for (std::int64_t y = box.lower[1]; y < box.upper[1]; ++y)
            for (std::int64_t z = box.lower[2]; z < box.upper[2]; ++z) made(x, y, z) = static_cast<T>(value(random));
    return made;
}

struct PlainMoments {
    double count = 0.0;
    double mean = 0.0;
    double variance = 0.0;
};

template <class T>
PlainMoments plain_moments(const std::vector<T>& values) {
    long double count = 0;
    long double sum = 0;
    for (const T value : values)
        if (value > 0) {
            ++count;
            sum += static_cast<long double>(value);
        }
    long double squares = 0;
    for (const T value : values)
        if (value > 0) squares += std::pow(static_cast<long double>(value) - sum / count, 2.0L);
    return {static_cast<double>(count), static_cast<double>(sum / count), static_cast<double>(squares / count)};
}

}  // namespace brats::fixtures
