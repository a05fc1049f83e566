// Destruction in every order, exceptions at every call of the driver, and several threads.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "fixtures.hpp"

namespace {

using namespace brats::trt;
using namespace brats::trt::fixtures;

TEST_CASE("objects may be dropped in every order") {
    std::array<int, 4> order{0, 1, 2, 3};
    do {
        const World world;
        const Stream stream;
        const Arrays arrays;
        auto library = load_library();
        auto engine = load_engine("", library);
        auto context = std::make_shared<Context>(engine, ContextOptions{true, false});
        auto sharing = std::make_shared<Context>(engine, ContextOptions{true, false}, context->scratch());
        for (int run = 0; run < 2; ++run) context->enqueue(arrays.placements(), stream);
        for (const int which : order) {
            if (which == 0) library.reset();
            if (which == 1) engine.reset();
            if (which == 2) context.reset();
            if (which == 3) sharing.reset();
            if (context) context->enqueue(arrays.placements(), stream);
            if (sharing) sharing->enqueue(arrays.placements(), stream);
        }
    } while (std::ranges::next_permutation(order).found);
}

// The whole life of an engine, with graphs, poison, shared memory and profiles.
void live(const Arrays& arrays, CUstream stream, CUstream other) {
    const auto engine = load_engine();
    Context context(engine, {true, true});
    Context sharing(engine, {true, true}, context.scratch());
    auto placements = arrays.placements();
    placements[0].has_stream = true;
    placements[0].stream = other;
    for (int run = 0; run < 3; ++run) {
        context.enqueue(placements, stream);
        sharing.enqueue(placements, other);
    }
    context.synchronise();
}

TEST_CASE("whichever call of the driver fails, it is an exception and nothing leaks") {
    const World world;
    const Stream stream;
    const Stream other;
    const Arrays arrays;
    live(arrays, stream, other);
    const std::array functions{"cuInit",
                               "cuDeviceGetCount",
                               "cuDeviceGet",
                               "cuDeviceGetName",
                               "cuDeviceGetAttribute",
                               "cuDevicePrimaryCtxRetain",
                               "cuMemAlloc_v2",
                               "cuMemsetD8Async",
                               "cuPointerGetAttribute",
                               "cuStreamWaitEvent",
                               "cuStreamIsCapturing",
                               "cuStreamBeginCapture_v2",
                               "cuStreamEndCapture",
                               "cuEventCreate",
                               "cuEventRecord",
                               "cuGraphInstantiateWithFlags",
                               "cuGraphLaunch"};
    for (const char* function : functions) {
        const auto before = fake_cuda_calls(function);
        live(arrays, stream, other);
        const auto calls = static_cast<int>(fake_cuda_calls(function) - before);
        REQUIRE(calls > 0);
        for (int which = 1; which <= calls; ++which) {
            INFO(function << ", call " << which << " of " << calls);
            fake_cuda_fail(function, CUDA_ERROR_LAUNCH_FAILED, which);
            const std::string fault = fault_of([&] { live(arrays, stream, other); });
            CHECK(holds(fault, "CUDA_ERROR_LAUNCH_FAILED"));
            fake_cuda_fail(function, 0, 0);
            const FakeCudaState left = fake_cuda_state();
            CHECK(left.contexts == 1);
            CHECK(left.allocations == 2);
            CHECK(left.events + left.graphs + left.executables == 0);
            CHECK(fake_tensorrt_state().contexts + fake_tensorrt_state().engines + fake_tensorrt_state().runtimes == 0);
        }
    }
}

TEST_CASE("calls that fail in destructors are survived") {
    const World world;
    const Stream stream;
    const Arrays arrays;
    for (const char* function : {"cuMemFree_v2", "cuEventDestroy_v2", "cuGraphDestroy", "cuGraphExecDestroy",
                                 "cuDevicePrimaryCtxRelease_v2", "cuCtxPopCurrent_v2"}) {
        fake_cuda_fail(function, CUDA_ERROR_LAUNCH_FAILED, 1);
        CHECK(fault_of([&] { live(arrays, stream, stream); }).empty());
    }
}

TEST_CASE("what went wrong on the device is said on synchronising") {
    const World world;
    const Stream stream;
    const Arrays arrays;
    Context context(load_engine(), {});
    context.enqueue(arrays.placements(), stream);
    fake_cuda_fail("cuEventSynchronize", CUDA_ERROR_LAUNCH_FAILED, 1);
    CHECK(holds(fault_of([&] { context.synchronise(); }), "CUDA failed in the engine's run (CUDA_ERROR_LAUNCH_FAILED"));
}

TEST_CASE("too little memory is said with the bytes that were asked for") {
    const World world;
    const auto engine = load_engine("scratch=8000000000");
    const std::string fault = fault_of([&] { const Context context(engine, {}); });
    CHECK(holds(fault, "allocate 8000000000 bytes on Fake GPU for an execution context"));
    CHECK(holds(fault, "CUDA_ERROR_OUT_OF_MEMORY"));
}

TEST_CASE("workers with a context each run at once") {
    const World world;
    const auto engine = load_engine();
    const auto shared = std::make_shared<Scratch>(engine->device(), 1024);
    std::atomic<int> answered = 0;
    std::vector<std::thread> workers;
    workers.reserve(4);
    for (int worker = 0; worker < 4; ++worker) {
        workers.emplace_back([&, worker] {
            const Device::Current current(*engine->device());
            const Stream stream;
            const Arrays arrays(worker % 2 == 0 ? 1.0F : 0.1F);
            Context context(engine, {true, true}, worker < 2 ? shared : nullptr);
            for (int run = 0; run < 20; ++run) {
                context.enqueue(arrays.placements(), stream);
                context.synchronise();
                answered += arrays.answered() ? 1 : 0;
            }
        });
    }
    for (auto& worker : workers) worker.join();
    CHECK(answered == 80);
    CHECK(fake_cuda_state().hazards == 0);
}

TEST_CASE("a second thread in one context is refused") {
    const World world;
    const Stream stream;
    const Arrays arrays;
    Context context(load_engine("gate=run"), {false, false});
    fake_cuda_set_gate(0);
    std::thread first([&] { context.enqueue(arrays.placements(), stream); });
    while (fake_cuda_waiting() == 0) std::this_thread::yield();
    CHECK(holds(fault_of([&] { context.enqueue(arrays.placements(), stream); }), "another thread is in this context"));
    fake_cuda_set_gate(1);
    first.join();
    CHECK(arrays.answered());
}

}  // namespace
