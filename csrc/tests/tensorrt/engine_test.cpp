#include "../../tensorrt/engine.hpp"

#include <doctest/doctest.h>

#include <thread>
#include <vector>

#include "fixtures.hpp"

namespace {

using namespace brats::trt;
using namespace brats::trt::fixtures;

std::string refusal(const std::string& words) {
    return fault_of([&] { load_engine(words); });
}

TEST_CASE("an engine names its tensors with dtype, shape and bytes") {
    const World world;
    const auto engine = load_engine("size=6 dtype=float16 scratch=5000 refittable=1");
    REQUIRE(engine->tensors().size() == 2);
    const Tensor& input = engine->tensors()[0];
    CHECK(input.name == "data_crop");
    CHECK(input.input);
    CHECK(describe(input.dtype, input.shape) == "float16 (1, 4, 6, 6, 6)");
    CHECK(input.nbytes == 4 * 216 * 2);
    CHECK(engine->tensors()[1].name == "softmax_lbl3");
    CHECK_FALSE(engine->tensors()[1].input);
    CHECK(engine->scratch_nbytes() == 5000);
    CHECK(engine->refittable());
}

TEST_CASE("sizes are of 64 bits") {
    const World world;
    CHECK(load_engine("size=1024")->tensors()[0].nbytes == std::int64_t{16} << 30);
}

TEST_CASE("garbage is refused with TensorRT's words") {
    const World world;
    const std::string garbage(1000, 'x');
    const auto library = load_library();
    const std::string refused = fault_of([&] { const Engine engine(library, std::as_bytes(std::span(garbage))); });
    CHECK(holds(refused, "TensorRT 10.14.1 on Fake GPU does not take the plan"));
    CHECK(holds(refused, "[TensorRT: Serialization assertion magicTagRead == kMAGIC_TAG failed]"));
    CHECK(holds(fault_of([&] { const Engine engine(library, {}); }), "does not take the plan"));
}

TEST_CASE("a null engine without a word is refused too") {
    const World world;
    const std::string refused = refusal("fault=engine");
    CHECK(holds(refused, "does not take the plan"));
    CHECK_FALSE(holds(refused, "[TensorRT:"));
}

TEST_CASE("a plan that cannot run as it is is refused, and its engine freed") {
    const World world;
    CHECK(holds(refusal("stripped=4096"), "stripped of 4096 bytes of weights"));
    CHECK(holds(refusal("fault=dynamic"), "data_crop has an axis of -1 elements"));
    CHECK(holds(refusal("fault=host"), "softmax_lbl3 lies on the host"));
    CHECK(holds(refusal("fault=format"), "not laid out in C order"));
    CHECK(holds(refusal("fault=no-output"), "has 1 tensors; expected an input and an output"));
    CHECK(holds(refusal("fault=no-name"), "no name for tensor 0"));
    CHECK(holds(refusal("dtype=fp8"), "expected float16 or float32"));
    CHECK(fake_tensorrt_state().engines == 0);
}

TEST_CASE("a context that does not come is refused with TensorRT's words") {
    const World world;
    const auto engine = load_engine("fault=context");
    CHECK(holds(fault_of([&] { const Context context(engine, {}); }),
                "[TensorRT: createExecutionContext: out of memory]"));
}

TEST_CASE("engines of one library load in several threads") {
    const World world;
    const auto library = load_library();
    std::vector<std::thread> threads;
    threads.reserve(4);
    for (int i = 0; i < 4; ++i) threads.emplace_back([&] { load_engine("", library); });
    for (auto& thread : threads) thread.join();
    CHECK(fake_tensorrt_state().engines == 0);
}

}  // namespace
