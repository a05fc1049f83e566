// The networks that the fake TensorRT runs on dense tensors of host memory: the softmax over four classes of a 1x1x1
// convolution of four modalities, as tests/models.py has it, on (1, 4, n, m, n), and a logistic function on
// (1, 1, n, m, n).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace fake {

// A fake plan is text: "FAKE PLAN" and then `key=value` words, such as "FAKE PLAN size=4 dtype=float16 fault=enqueue".
struct Plan {
    std::int64_t channels = 4;      // or 1
    std::int64_t size = 4;          // n
    std::int64_t height = 0;        // m; 0 stands for n
    std::string dtype = "float32";  // or "float16"; "int8" and "fp8" are declared, but cannot run
    std::int64_t scratch = 1024;    // bytes that a context asks for
    std::int64_t stripped = 0;      // bytes of weights that it lacks
    std::string fault;              // what goes wrong; fake_tensorrt.cpp has the list
    bool refittable = false;
    std::string gate;  // what waits at fake_cuda_pass_gate: "load", "context" or "run"

    [[nodiscard]] std::int64_t voxels() const { return size * middle() * size; }
    [[nodiscard]] std::int64_t middle() const { return height == 0 ? size : height; }
};

// Nothing where it is no fake plan.
std::optional<Plan> parse(std::string_view text);

void run_network(const Plan& plan, const void* input, void* output);

}  // namespace fake
