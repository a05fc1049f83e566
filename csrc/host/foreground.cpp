#include "foreground.hpp"

#include <limits>
#include <type_traits>
#include <vector>

#include "arithmetic.cuh"
#include "parallel.hpp"
#include "rows.hpp"

namespace brats {
namespace {

struct Range {
    std::int64_t lower = std::numeric_limits<std::int64_t>::max();
    std::int64_t upper = 0;

    void include(std::int64_t first, std::int64_t end) {
        lower = std::min(lower, first);
        upper = std::max(upper, end);
    }
};

struct PlaneSummary {
    Range fast;
    Range middle;
    Moments moments{};
    std::int64_t nonfinite = 0;
};

// Widens `range` to the row's foreground. Most rows lie inside what earlier rows have spanned, so only the
// parts outside it are looked at.
template <class Value>
void widen_range(Range& range, const Value* row, std::int64_t n, const TypedRowKernels<Value>& kernels) {
    const std::int64_t before = std::min(range.lower, n);
    if (kernels.any_foreground(row, before)) {
        std::int64_t first = 0;
        while (!is_foreground(row[first])) ++first;
        range.lower = first;
    }
    if (kernels.any_foreground(row + range.upper, n - range.upper)) {
        std::int64_t end = n;
        while (!is_foreground(row[end - 1])) --end;
        range.upper = end;
    }
}

template <class Value>
Moments row_moments(const Value* row, std::int64_t n, const TypedRowKernels<Value>& kernels) {
    Moments moments{};
    for (std::int64_t start = 0; start < n; start += longest_row)
        merge(moments, kernels.moments(row + start, std::min(longest_row, n - start)));
    return moments;
}

template <class Stored, class Value>
PlaneSummary summarise_plane(const Volume& volume, const Index3& axes, const std::byte* plane) {
    const auto& kernels = row_kernels().of<Value>();
    const std::int64_t n = volume.shape[static_cast<std::size_t>(axes[0])];
    const std::int64_t rows = volume.shape[static_cast<std::size_t>(axes[1])];
    const std::int64_t stride = volume.strides[static_cast<std::size_t>(axes[1])];
    RowReader<Stored, Value> reader(volume, axes[0]);
    PlaneSummary summary;
    for (std::int64_t j = 0; j < rows; ++j) {
        const Value* row = reader.read(plane + j * stride, n);
        if constexpr (std::is_floating_point_v<Value>) summary.nonfinite += kernels.nonfinite(row, n);
        const Moments moments = row_moments(row, n, kernels);
        if (moments.count == 0) continue;
        merge(summary.moments, moments);
        summary.middle.include(j, j + 1);
        widen_range(summary.fast, row, n, kernels);
    }
    return summary;
}

}  // namespace

Foreground foreground(const Volume& volume, int threads) {
    const Index3 axes = axes_by_stride(volume.strides);
    const auto fast = static_cast<std::size_t>(axes[0]);
    const auto middle = static_cast<std::size_t>(axes[1]);
    const auto slow = static_cast<std::size_t>(axes[2]);

    std::vector<PlaneSummary> planes(static_cast<std::size_t>(volume.shape[slow]));
    visit_rows(volume, [&]<class Stored, class Value>() {
        parallel_for(volume.shape[slow], threads, [&](std::int64_t k) {
            planes[static_cast<std::size_t>(k)] =
                summarise_plane<Stored, Value>(volume, axes, volume.data + k * volume.strides[slow]);
        });
    });

    Foreground result;
    std::array<Range, 3> ranges;
    for (std::size_t k = 0; k < planes.size(); ++k) {
        const PlaneSummary& plane = planes[k];
        result.nonfinite += plane.nonfinite;
        if (plane.moments.count == 0) continue;
        merge(result.moments, plane.moments);
        ranges[fast].include(plane.fast.lower, plane.fast.upper);
        ranges[middle].include(plane.middle.lower, plane.middle.upper);
        const auto index = static_cast<std::int64_t>(k);
        ranges[slow].include(index, index + 1);
    }
    if (result.moments.count > 0)
        for (std::size_t axis = 0; axis < 3; ++axis) {
            result.box.lower[axis] = ranges[axis].lower;
            result.box.upper[axis] = ranges[axis].upper;
        }
    return result;
}

}  // namespace brats
