#include "../../network/team.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <stdexcept>

using brats::network::Team;

TEST_CASE("a team does each piece of work once, again and again") {
    for (const int members : {1, 2, 5}) {
        Team team(members);
        REQUIRE(team.size() == members);
        for (const int count : {0, 1, 3, 1000}) {
            std::vector<std::atomic<int>> times(static_cast<std::size_t>(count));
            std::atomic<int> strangers = 0;
            team.run(count, [&](std::int64_t i, int member) {
                ++times[static_cast<std::size_t>(i)];
                strangers += member < 0 || member >= members;
            });
            for (const auto& each : times) CHECK(each == 1);
            CHECK(strangers == 0);
        }
    }
}

TEST_CASE("an exception comes back, and the team works on") {
    Team team(3);
    const auto fail = [](std::int64_t i, int) {
        if (i == 7) throw std::runtime_error("seven");
    };
    CHECK_THROWS_WITH_AS(team.run(100, fail), "seven", std::runtime_error);
    std::atomic<int> done = 0;
    team.run(50, [&](std::int64_t, int) { ++done; });
    CHECK(done == 50);
}

TEST_CASE("a team that never worked ends") { const Team team(4); }
