#include "../../tensorrt/context.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "../../tensorrt/layer_times.hpp"
#include "fixtures.hpp"

namespace {

using namespace brats::trt;
using namespace brats::trt::fixtures;

constexpr ContextOptions plain{false, false};
constexpr ContextOptions by_graph{true, false};

TEST_CASE("a run gives the network's answer") {
    const World world;
    const Stream stream;
    const Arrays arrays;
    Context context(load_engine(), plain);
    context.enqueue(arrays.placements(), stream);
    context.synchronise();
    CHECK(arrays.answered());
}

TEST_CASE("the legacy default stream runs where no graph is asked for") {
    const World world;
    const Arrays arrays;
    Context context(load_engine(), plain);
    context.enqueue(arrays.placements(), nullptr);
    CHECK(arrays.answered());
    Context graphs(load_engine(), by_graph);
    for (CUstream_st* legacy : {static_cast<CUstream_st*>(nullptr), CU_STREAM_LEGACY}) {
        CHECK(holds(fault_of([&] { graphs.enqueue(arrays.placements(), legacy); }), "cannot be captured"));
    }
}

TEST_CASE("a failed run says so in TensorRT's words") {
    const World world;
    const Stream stream;
    const Arrays arrays;
    Context context(load_engine("fault=enqueue"), plain);
    const std::string fault = fault_of([&] { context.enqueue(arrays.placements(), stream); });
    CHECK(holds(fault, "TensorRT failed to queue the engine on Fake GPU"));
    CHECK(holds(fault, "[TensorRT: enqueueV3: Cask convolution  execution failed]"));
    Context warned(load_engine("fault=warning"), plain);
    CHECK(holds(fault_of([&] { warned.enqueue(arrays.placements(), stream); }), "[TensorRT: this is only a warning]"));
    Context addressed(load_engine("fault=address"), plain);
    CHECK(holds(fault_of([&] { addressed.enqueue(arrays.placements(), stream); }),
                "refuses the address of data_crop [TensorRT: IExecutionContext::setTensorAddress"));
}

TEST_CASE("a poisoned output shows where the network writes nothing") {
    const World world;
    const Stream stream;
    const Arrays arrays;
    Context context(load_engine("fault=forgets"), {false, true});
    context.enqueue(arrays.placements(), stream);
    CHECK(std::ranges::all_of(arrays.output(), [](float value) { return std::isnan(value); }));
    Context answering(load_engine(), {true, true});
    for (int run = 0; run < 3; ++run) answering.enqueue(arrays.placements(), stream);
    CHECK(arrays.answered());
}

TEST_CASE("addresses that cannot be are refused") {
    const World world;
    const Stream stream;
    const Arrays arrays;
    const auto enqueued = fake_tensorrt_state().enqueued;
    Context context(load_engine(), plain);
    const auto refusal = [&](std::vector<Placement> placements) {
        return fault_of([&] { context.enqueue(placements, stream); });
    };
    auto placements = arrays.placements();
    CHECK(holds(refusal({placements[0]}), "got addresses for 1 tensors; the engine has 2"));
    CHECK(holds(refusal({placements[0], {0, false, nullptr}}), "softmax_lbl3 is not memory of CUDA device 0"));
    CHECK(holds(refusal({{placements[0].address + 16, false, nullptr}, placements[1]}),
                "data_crop is not a multiple of 256 bytes"));
    CHECK(holds(refusal({placements[0], placements[0]}), "data_crop and softmax_lbl3 overlap"));
    CHECK(fake_tensorrt_state().enqueued == enqueued);
}

TEST_CASE("an array's own stream is waited for") {
    const World world;
    const Stream producer;
    const Stream stream;
    const Arrays arrays;
    const auto made_by = [&](CUstream on) {
        return fake::queue(on, [&](CUstream at) { fake::touch(at, arrays.placements()[0].address); });
    };
    Context context(load_engine(), plain);
    auto placements = arrays.placements();
    placements[0].has_stream = true;
    placements[0].stream = producer;
    REQUIRE(made_by(producer));
    context.enqueue(placements, stream);
    CHECK(arrays.answered());
    CHECK(fake_cuda_state().hazards == 0);
    const Stream other;
    REQUIRE(made_by(producer));
    context.enqueue(arrays.placements(), other);
    CHECK(fake_cuda_state().hazards > 0);  // the check above can fail
    fake_cuda_reset();
}

TEST_CASE("a stream that somebody captures is refused") {
    const World world;
    const Stream stream;
    const Arrays arrays;
    Context context(load_engine(), plain);
    cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL);
    CHECK(holds(fault_of([&] { context.enqueue(arrays.placements(), stream); }), "captured by somebody else"));
    CUgraph graph = nullptr;
    cuStreamEndCapture(stream, &graph);
    cuGraphDestroy(graph);
}

TEST_CASE("contexts share device memory in turns, whatever their streams") {
    const World world;
    const Stream stream;
    const Stream other;
    const Arrays one;
    const Arrays two(0.1F);
    const auto library = load_library();
    const auto large = load_engine("scratch=4096", library);
    Context first(large, by_graph);
    Context second(load_engine("scratch=100", library), by_graph, first.scratch());
    const auto bytes = fake_cuda_state().bytes;
    for (int run = 0; run < 3; ++run) {
        first.enqueue(one.placements(), stream);
        second.enqueue(two.placements(), other);
    }
    CHECK(one.answered());
    CHECK(two.answered());
    CHECK(fake_cuda_state().bytes == bytes);
    CHECK(fake_cuda_state().hazards == 0);
    Context small(load_engine("scratch=100", library), plain);
    CHECK(holds(fault_of([&] { const Context context(large, plain, small.scratch()); }),
                "has 256 bytes; the engine needs 4096: make the larger engine's context first"));
    CHECK(holds(fault_of([&] { const Context context(load_engine(), plain, first.scratch()); }),
                "of another library or device"));
}

TEST_CASE("what a failed run had queued is waited for as well") {
    const World world;
    const Stream stream;
    const Stream other;
    const Arrays one;
    const Arrays two;
    const auto library = load_library();
    Context failing(load_engine("fault=late", library), plain);
    Context sharing(load_engine("", library), plain, failing.scratch());
    CHECK(holds(fault_of([&] { failing.enqueue(one.placements(), stream); }), "failed behind what is queued"));
    sharing.enqueue(two.placements(), other);
    CHECK(fake_cuda_state().hazards == 0);
}

TEST_CASE("a context waits for its run before it goes") {
    const World world;
    const Stream stream;
    const Arrays arrays;
    auto context = std::make_unique<Context>(load_engine(), plain);
    context->enqueue(arrays.placements(), stream);
    CHECK(fake_cuda_calls("cuEventSynchronize") == 0);
    context.reset();
    CHECK(fake_cuda_calls("cuEventSynchronize") == 1);
}

TEST_CASE("one context goes from stream to stream in order") {
    const World world;
    const Stream stream;
    const Stream other;
    const Arrays arrays;
    Context context(load_engine(), by_graph);
    for (int run = 0; run < 4; ++run) context.enqueue(arrays.placements(), run % 2 == 0 ? stream : other);
    CHECK(arrays.answered());
    CHECK(fake_cuda_state().hazards == 0);
}

TEST_CASE("layers are timed from outside, and nothing of it stays") {
    const World world;
    const Stream stream;
    const Arrays arrays;
    Context context(load_engine(), by_graph);
    const LayerTimes times = layer_times(context, arrays.placements(), stream, 3);
    REQUIRE(times.size() == 2);
    CHECK(times[0].first == "scores");
    CHECK(times[0].second == doctest::Approx(2.0));
    CHECK(context.captures() == 0);
    context.enqueue(arrays.placements(), stream);
    CHECK(arrays.answered());
    CHECK(holds(fault_of([&] { layer_times(context, arrays.placements(), stream, 0); }), "expected 1 run or more"));
    Context failing(load_engine("fault=enqueue"), by_graph);
    CHECK(holds(fault_of([&] { layer_times(failing, arrays.placements(), stream, 1); }), "failed to queue"));
}

}  // namespace
