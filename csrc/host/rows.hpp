// Reading a volume row by row, as contiguous native values: in place where it is stored so, else through a
// buffer of one row.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <type_traits>
#include <vector>

#include "volume.hpp"

namespace brats {

// Sixteen bits of IEEE 754 binary16.
struct Half {
    std::uint16_t bits;
};

inline float widen(Half half) {
    const std::uint32_t sign = static_cast<std::uint32_t>(half.bits & 0x8000U) << 16;
    const std::uint32_t rest = half.bits & 0x7fffU;
    if (rest >= 0x7c00U) return std::bit_cast<float>(sign | 0x7f800000U | (rest & 0x3ffU) << 13);
    // Shifted into float's place the exponent is 112 too small; multiplying also puts subnormals right.
    return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(std::bit_cast<float>(rest << 13) * 0x1p112F));
}

inline double widen(long double value) { return static_cast<double>(value); }

template <class T>
T widen(T value) {
    return value;
}

// What a row of Stored holds once read: itself, or the next wider type that the kernels know.
template <class Stored>
using Native = decltype(widen(std::declval<Stored>()));

template <class Stored>
Stored load(const std::byte* at, bool swapped) {
    std::array<std::byte, sizeof(Stored)> bytes{};
    std::memcpy(bytes.data(), at, sizeof(Stored));
    if (swapped) std::reverse(bytes.begin(), bytes.end());
    Stored value{};
    std::memcpy(&value, bytes.data(), sizeof(Stored));
    return value;
}

// Rows of a volume along axis `fast`, as values of type Value: Native<Stored>, or double to apply slope and intercept.
template <class Stored, class Value>
class RowReader {
public:
    RowReader(const Volume& volume, std::int64_t fast)
        : volume_(volume), stride_(volume.strides[static_cast<std::size_t>(fast)]) {}

    // Valid until the next call.
    const Value* read(const std::byte* first, std::int64_t n) {
        if constexpr (std::is_same_v<Stored, Value>)
            if (in_place(first)) return reinterpret_cast<const Value*>(first);
        buffer_.resize(static_cast<std::size_t>(n));
        for (std::int64_t i = 0; i < n; ++i) {
            const auto value = widen(load<Stored>(first + i * stride_, volume_.swapped));
            if constexpr (std::is_same_v<Value, double>)
                buffer_[static_cast<std::size_t>(i)] =
                    volume_.scaled() ? static_cast<double>(value) * volume_.slope + volume_.intercept
                                     : static_cast<double>(value);
            else
                buffer_[static_cast<std::size_t>(i)] = value;
        }
        return buffer_.data();
    }

private:
    [[nodiscard]] bool in_place(const std::byte* first) const {
        return stride_ == static_cast<std::int64_t>(sizeof(Stored)) && !volume_.swapped && !volume_.scaled() &&
               reinterpret_cast<std::uintptr_t>(first) % alignof(Stored) == 0;
    }

    const Volume& volume_;
    std::int64_t stride_;
    std::vector<Value> buffer_;
};

// Calls body.template operator()<Stored, Value>() for the volume's dtype.
template <class Body>
decltype(auto) visit_rows(const Volume& volume, Body&& body) {
    const auto call = [&]<class Stored>() -> decltype(auto) {
        if (volume.scaled()) return body.template operator()<Stored, double>();
        return body.template operator()<Stored, Native<Stored>>();
    };
    switch (volume.dtype) {
        case DType::i8: return call.template operator()<std::int8_t>();
        case DType::u8: return call.template operator()<std::uint8_t>();
        case DType::i16: return call.template operator()<std::int16_t>();
        case DType::u16: return call.template operator()<std::uint16_t>();
        case DType::i32: return call.template operator()<std::int32_t>();
        case DType::u32: return call.template operator()<std::uint32_t>();
        case DType::i64: return call.template operator()<std::int64_t>();
        case DType::u64: return call.template operator()<std::uint64_t>();
        case DType::f16: return call.template operator()<Half>();
        case DType::f32: return call.template operator()<float>();
        case DType::f64: return call.template operator()<double>();
        case DType::longdouble: return call.template operator()<long double>();
    }
    throw std::logic_error("unknown dtype");
}

}  // namespace brats
