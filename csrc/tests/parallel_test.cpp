#include "../host/parallel.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <stdexcept>
#include <vector>

TEST_CASE("every index is visited once, for any number of threads") {
    for (const int threads : {0, 1, 2, 7}) {
        std::vector<std::atomic<int>> visits(1000);
        brats::parallel_for(1000, threads, [&](std::int64_t i) { ++visits[static_cast<std::size_t>(i)]; });
        for (const auto& visit : visits) CHECK(visit == 1);
    }
}

TEST_CASE("nothing is called for an empty range") {
    brats::parallel_for(0, 4, [](std::int64_t) { FAIL("called"); });
}

TEST_CASE("an exception reaches the caller") {
    CHECK_THROWS_AS(brats::parallel_for(100, 3,
                                        [](std::int64_t i) {
                                            if (i == 41) throw std::runtime_error("41");
                                        }),
                    std::runtime_error);
}
