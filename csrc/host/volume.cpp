#include "volume.hpp"

#include <cstdlib>
#include <utility>

namespace brats {

Index3 axes_by_stride(const Index3& strides) {
    Index3 axes{0, 1, 2};
    const auto order = [&](std::size_t i, std::size_t j) {
        const auto step = [&](std::size_t k) { return std::abs(strides[static_cast<std::size_t>(axes[k])]); };
        if (step(j) < step(i)) std::swap(axes[i], axes[j]);
    };
    order(0, 1);
    order(1, 2);
    order(0, 1);
    return axes;
}

}  // namespace brats
