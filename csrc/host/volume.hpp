// A volume as its owner stored it: any numeric dtype, byte order, axis order and stride. Nothing is copied.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace brats {

using Index3 = std::array<std::int64_t, 3>;

enum class DType : std::uint8_t { i8, u8, i16, u16, i32, u32, i64, u64, f16, f32, f64, longdouble };

// Half-open: lower[a] <= index < upper[a].
struct Box {
    Index3 lower;
    Index3 upper;

    [[nodiscard]] std::int64_t extent(std::size_t axis) const { return upper[axis] - lower[axis]; }
};

struct Volume {
    const std::byte* data;
    DType dtype;
    bool swapped;    // stored in the other byte order
    Index3 shape;    // voxels
    Index3 strides;  // bytes, of any sign
    double slope;    // a voxel's value is stored * slope + intercept
    double intercept;

    [[nodiscard]] bool scaled() const { return slope != 1.0 || intercept != 0.0; }
};

// The axes from the fastest to the slowest in memory, so that rows are read along the fastest.
Index3 axes_by_stride(const Index3& strides);

}  // namespace brats
