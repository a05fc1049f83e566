#include "../../tensorrt/logger.hpp"

#include <doctest/doctest.h>

#include <string>
#include <thread>
#include <vector>

namespace {

using brats::trt::Logger;
using Severity = nvinfer1::ILogger::Severity;

TEST_CASE("errors go before warnings, and lines from before do not count") {
    Logger& logger = Logger::instance();
    logger.log(Severity::kERROR, "old");
    const Logger::Since log;
    CHECK(log.explain("fault") == "fault");
    logger.log(Severity::kINFO, "chatter");
    CHECK(log.explain("fault") == "fault");
    logger.log(Severity::kWARNING, "warning");
    CHECK(log.explain("fault") == "fault [TensorRT: warning]");
    logger.log(Severity::kERROR, "one\n");
    logger.log(Severity::kINTERNAL_ERROR, "two");
    CHECK(log.explain("fault") == "fault [TensorRT: one | two]");
}

TEST_CASE("a thread's own lines go before those of others") {
    Logger& logger = Logger::instance();
    const Logger::Since log;
    std::thread([&] { logger.log(Severity::kERROR, "elsewhere"); }).join();
    CHECK(log.explain("fault") == "fault [TensorRT: elsewhere]");
    logger.log(Severity::kERROR, "here");
    CHECK(log.explain("fault") == "fault [TensorRT: here]");
}

TEST_CASE("it takes lines from many threads, and forgets the oldest and the end of long ones") {
    Logger& logger = Logger::instance();
    const Logger::Since log;
    std::vector<std::thread> threads;
    threads.reserve(4);
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&] {
            for (int line = 0; line < 100; ++line) logger.log(Severity::kERROR, std::string(10000, 'x').c_str());
        });
    }
    for (auto& thread : threads) thread.join();
    CHECK(log.explain("").size() < 50000);
    CHECK(log.explain("").size() > 30000);
}

}  // namespace
