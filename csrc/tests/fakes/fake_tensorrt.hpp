// A libnvinfer.so on TensorRT 10.14's public headers: its network is fake_network.hpp's, its device fake_cuda.hpp's. It
// counts what lives and finds what a real library would not forgive.
#pragma once

#include <cstdint>

extern "C" {

struct FakeTensorRtState {
    std::int64_t runtimes;
    std::int64_t engines;
    std::int64_t contexts;
    std::int64_t enqueued;   // calls of enqueueV3, in captures too
    std::int64_t runs;       // of the network
    std::int64_t host_code;  // whether the last runtime allows it
    std::int64_t misuses;    // parents deleted before children, two threads in a context, calls without a CUDA context
};

__attribute__((visibility("default"))) FakeTensorRtState fake_tensorrt_state();
}
