#include "summary.hpp"

#include <algorithm>
#include <cstring>

#include "parallel.hpp"
#include "row_kernels.hpp"

namespace brats {

void summarise(const std::uint8_t* row, std::int64_t n, Index3 voxel, std::size_t axis, Summary& summary) {
    std::array<std::int64_t, classes> counts{};
    for (std::int64_t k = 0; k < n; ++k) {
        counts[1] += row[k] == 1;
        counts[2] += row[k] == 2;
        counts[3] += row[k] == 3;
    }
    const std::int64_t tumour = counts[1] + counts[2] + counts[3];
    summary.counts[0] += n - tumour;
    for (std::size_t c = 1; c < classes; ++c) summary.counts[c] += counts[c];
    if (tumour == 0) return;
    const std::int64_t start = voxel[axis];
    const auto inside = [](std::uint8_t c) { return c != 0; };
    voxel[axis] = start + (std::find_if(row, row + n, inside) - row);
    summary.include(voxel);
    const auto* last = row + n - 1;
    while (!inside(*last)) --last;
    voxel[axis] = start + (last - row);
    summary.include(voxel);
}

Tally tally_of(const std::vector<Summary>& parts, std::int64_t outside) {
    Summary all;
    for (const Summary& part : parts) all.merge(part);
    Tally tally{all.counts, {{0, 0, 0}, {0, 0, 0}}};
    tally.counts[0] += outside;
    if (all.upper[0] > 0) tally.box = {all.lower, all.upper};
    return tally;
}

void fill(const LabelMap& labels, std::uint8_t value, int threads) {
    const Index3 axes = axes_by_stride(labels.strides);
    const auto fast = static_cast<std::size_t>(axes[0]);
    const auto middle = static_cast<std::size_t>(axes[1]);
    const auto slow = static_cast<std::size_t>(axes[2]);
    parallel_for(labels.shape[slow], threads, [&](std::int64_t k) {
        for (std::int64_t j = 0; j < labels.shape[middle]; ++j) {
            std::uint8_t* row = labels.data + k * labels.strides[slow] + j * labels.strides[middle];
            if (labels.strides[fast] == 1)
                std::memset(row, value, static_cast<std::size_t>(labels.shape[fast]));
            else
                for (std::int64_t i = 0; i < labels.shape[fast]; ++i) row[i * labels.strides[fast]] = value;
        }
    });
}

void check_finite(const Probabilities& probabilities, int threads) {
    const std::int64_t slabs = probabilities.batch * static_cast<std::int64_t>(classes) * probabilities.size[0];
    const std::int64_t slab = probabilities.size[1] * probabilities.size[2];
    parallel_for(slabs, threads, [&](std::int64_t i) {
        if (row_kernels().of<float>().nonfinite(probabilities.data + i * slab, slab) > 0)
            throw NotFinite("the network gave probabilities that are not finite");
    });
}

}  // namespace brats
