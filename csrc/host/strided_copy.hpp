// Copying a block between memory orders.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "volume.hpp"

namespace brats {

// Copies extents[0] x [1] x [2] values; strides are in values, of any sign. Walks tiles over the axes that are
// contiguous on either side, so that both sides are touched a cache line at a time.
template <class T>
void copy_strided(const T* from, const Index3& from_strides, T* to, const Index3& to_strides, const Index3& extents) {
    constexpr std::int64_t tile = 64 / static_cast<std::int64_t>(sizeof(T));
    const auto reads = static_cast<std::size_t>(axes_by_stride(from_strides)[0]);
    const Index3 write_order = axes_by_stride(to_strides);
    const auto writes = static_cast<std::size_t>(write_order[0]);
    if (reads == writes && from_strides[reads] == 1 && to_strides[writes] == 1) {
        const auto a = static_cast<std::size_t>(write_order[1]);
        const auto b = static_cast<std::size_t>(write_order[2]);
        for (std::int64_t j = 0; j < extents[b]; ++j)
            for (std::int64_t i = 0; i < extents[a]; ++i)
                std::memcpy(to + i * to_strides[a] + j * to_strides[b],
                            from + i * from_strides[a] + j * from_strides[b],
                            static_cast<std::size_t>(extents[reads]) * sizeof(T));
        return;
    }
    const std::size_t second = reads == writes ? static_cast<std::size_t>(write_order[1]) : reads;
    const std::size_t third = 3 - writes - second;
    for (std::int64_t k = 0; k < extents[third]; ++k)
        for (std::int64_t j0 = 0; j0 < extents[second]; j0 += tile)
            for (std::int64_t i0 = 0; i0 < extents[writes]; i0 += tile)
                for (std::int64_t j = j0; j < std::min(extents[second], j0 + tile); ++j) {
                    const T* source = from + k * from_strides[third] + j * from_strides[second];
                    T* target = to + k * to_strides[third] + j * to_strides[second];
                    for (std::int64_t i = i0; i < std::min(extents[writes], i0 + tile); ++i)
                        target[i * to_strides[writes]] = source[i * from_strides[writes]];
                }
}

}  // namespace brats
