#include "../../network/parts.hpp"

#include <doctest/doctest.h>

#include <map>
#include <tuple>

using namespace brats::network;

TEST_CASE("parts cover every channel and row of every plane once, and keep together what stays together") {
    for (const Work& work :
         {Work{{128, 128, 128}, 4, 8, 8, 2}, Work{{4, 4, 4}, 4, 256, 8, 2}, Work{{1, 2, 2}, 1, 6, 2, 2},
          Work{{5, 33, 20}, 2, 12, 4, 1}, Work{{16, 16, 16}, 1, 128, 8, 2}}) {
        std::map<std::tuple<std::int64_t, std::int64_t, std::int64_t, std::int64_t>, int> seen;
        for (const Part& part : cut(work, [&](std::int64_t rows) { return rows * work.grid.width * 64; })) {
            CHECK(part.planes.first % work.plane_step == 0);
            CHECK((part.planes.last % work.plane_step == 0 || part.planes.last == work.grid.depth));
            CHECK(part.channels.first % work.block == 0);
            CHECK(part.channels.last % work.block == 0);
            for (auto channel = part.channels.first; channel < part.channels.last; channel += work.block)
                for (auto plane = part.planes.first; plane < part.planes.last; ++plane)
                    for (auto row = part.rows.first; row < part.rows.last; ++row)
                        ++seen[{part.group, channel, plane, row}];
        }
        CHECK(static_cast<std::int64_t>(seen.size()) ==
              work.groups * (work.channels / work.block) * work.grid.depth * work.grid.height);
        for (const auto& [where, times] : seen) CHECK(times == 1);
    }
}

TEST_CASE("tiles shrink to the cache, down to a few rows") {
    const Work work{{8, 256, 64}, 1, 8, 8, 2};
    for (const Part& part : cut(work, [](std::int64_t rows) { return rows * 10'000; })) CHECK(part.rows.size() == 8);
    for (const Part& part : cut(work, [](std::int64_t) { return std::int64_t{1}; })) CHECK(part.rows.size() == 256);
}
