#include <doctest/doctest.h>

#include <memory>
#include <vector>

#include "fixtures.hpp"

namespace {

using namespace brats::trt;
using namespace brats::trt::fixtures;

TEST_CASE("a graph is captured after one ordinary run, and launched from then on") {
    const World world;
    const Stream stream;
    const Arrays arrays;
    const auto enqueued = fake_tensorrt_state().enqueued;
    Context context(load_engine(), {true, false});
    context.enqueue(arrays.placements(), stream);
    CHECK(context.captures() == 0);
    CHECK(arrays.answered());
    for (int run = 0; run < 3; ++run) {
        arrays.clear();
        context.enqueue(arrays.placements(), stream);
        CHECK(arrays.answered());
    }
    CHECK(context.captures() == 1);
    CHECK(fake_cuda_state().launches == 3);
    CHECK(fake_tensorrt_state().enqueued - enqueued == 2);
}

TEST_CASE("other addresses get a graph of their own, and the first keep theirs") {
    const World world;
    const Stream stream;
    const Arrays plain;
    const Arrays mirrored(0.1F);
    Context context(load_engine(), {true, false});
    for (int run = 0; run < 4; ++run) {
        for (const Arrays* arrays : {&plain, &mirrored}) {
            arrays->clear();
            context.enqueue(arrays->placements(), stream);
            CHECK(arrays->answered());
        }
    }
    CHECK(context.captures() == 2);
    CHECK(fake_cuda_state().executables == 2);
}

TEST_CASE("addresses that never come again cost no captures, and graphs are kept in bounds") {
    const World world;
    const Stream stream;
    Context context(load_engine(), {true, false});
    std::vector<std::unique_ptr<Arrays>> many;
    for (int i = 0; i < 12; ++i) {
        many.push_back(std::make_unique<Arrays>());
        context.enqueue(many.back()->placements(), stream);
    }
    CHECK(context.captures() == 0);
    for (const auto& arrays : many) {
        for (int run = 0; run < 2; ++run) context.enqueue(arrays->placements(), stream);
        CHECK(arrays->answered());
    }
    CHECK(context.captures() == 12);
    CHECK(fake_cuda_state().executables == 8);
}

TEST_CASE("switched off, no graph is captured") {
    const World world;
    const Stream stream;
    const Arrays arrays;
    Context context(load_engine(), {false, false});
    for (int run = 0; run < 3; ++run) context.enqueue(arrays.placements(), stream);
    CHECK(arrays.answered());
    CHECK(context.captures() == 0);
    CHECK(fake_cuda_calls("cuStreamBeginCapture_v2") == 0);
}

TEST_CASE("a failing capture says so, and leaves the stream usable") {
    const World world;
    const Stream stream;
    const Arrays arrays;
    for (const char* fault : {"capture", "breaks-capture"}) {
        Context context(load_engine("fault=" + std::string(fault)), {true, false});
        context.enqueue(arrays.placements(), stream);
        const std::string raised = fault_of([&] { context.enqueue(arrays.placements(), stream); });
        CHECK(holds(raised, "graph"));
        CHECK(holds(raised, "use graph=False"));
        CUstreamCaptureStatus status = CU_STREAM_CAPTURE_STATUS_ACTIVE;
        cuStreamIsCapturing(stream, &status);
        CHECK(status == CU_STREAM_CAPTURE_STATUS_NONE);
        CHECK(fake_cuda_state().graphs == 0);
    }
    fake_cuda_reset();  // the broken capture was the fake's misuse
    Context context(load_engine(), {true, false});
    for (int run = 0; run < 2; ++run) context.enqueue(arrays.placements(), stream);
    CHECK(arrays.answered());
}

}  // namespace
