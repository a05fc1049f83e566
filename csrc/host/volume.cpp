#include "volume.hpp"

#include <algorithm>
#include <cstdlib>

namespace brats {

Index3 axes_by_stride(const Index3& strides) {
    Index3 axes{0, 1, 2};
    std::stable_sort(axes.begin(), axes.end(), [&](std::int64_t a, std::int64_t b) {
        return std::abs(strides[static_cast<std::size_t>(a)]) < std::abs(strides[static_cast<std::size_t>(b)]);
    });
    return axes;
}

}  // namespace brats
