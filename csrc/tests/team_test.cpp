#include "../host/team.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <stdexcept>
#include <vector>

using brats::Team;

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

TEST_CASE("an exception of another thread than the caller's comes back") {
    Team team(2);
    for (int round = 0; round < 20; ++round) {
        std::atomic<bool> failed = false;
        // The caller waits for the other to take a piece of work.
        CHECK_THROWS_AS(team.run(2,
                                 [&](std::int64_t, int member) {
                                     if (member != 0) {
                                         failed = true;
                                         failed.notify_all();
                                         throw std::length_error("other");
                                     }
                                     failed.wait(false);
                                 }),
                        std::length_error);
    }
}

TEST_CASE("many short rounds lose no work and see what was written before") {
    Team team(4);
    std::vector<int> counts(100);
    for (int round = 0; round < 500; ++round)
        team.run(static_cast<std::int64_t>(counts.size()),
                 [&](std::int64_t i, int) { ++counts[static_cast<std::size_t>(i)]; });
    for (const int count : counts) CHECK(count == 500);
}

TEST_CASE("a team that never worked ends") { const Team team(4); }
