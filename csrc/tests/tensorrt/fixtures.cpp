#include "fixtures.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace brats::trt::fixtures {

World::World() {
    fake_cuda_reset();
    cuDevicePrimaryCtxRetain(&context_, 0);
    cuCtxPushCurrent(context_);
}

World::~World() {
    CUcontext popped = nullptr;
    cuCtxPopCurrent(&popped);
    cuDevicePrimaryCtxRelease(0);
    const FakeCudaState cuda = fake_cuda_state();
    CHECK(cuda.contexts == 0);
    CHECK(cuda.current == 0);
    CHECK(cuda.allocations == 0);
    CHECK(cuda.events == 0);
    CHECK(cuda.graphs == 0);
    CHECK(cuda.executables == 0);
    CHECK(cuda.streams == 0);
    CHECK(cuda.hazards == 0);
    CHECK(cuda.misuses == 0);
    const FakeTensorRtState tensorrt = fake_tensorrt_state();
    CHECK(tensorrt.runtimes == 0);
    CHECK(tensorrt.engines == 0);
    CHECK(tensorrt.contexts == 0);
    CHECK(tensorrt.misuses == 0);
}

Arrays::Arrays(float bright) {
    cuMemAlloc(&input_, elements * sizeof(float));
    cuMemAlloc(&output_, elements * sizeof(float));
    // FLAIR, the last modality, bright in every other voxel: oedema, class 2, there, and background elsewhere.
    std::ranges::fill(input(), 0.0F);
    for (std::size_t voxel = 0; voxel < elements / 4; voxel += 2) input()[elements / 4 * 3 + voxel] = bright;
    clear();
}

Arrays::~Arrays() {
    cuMemFree(input_);
    cuMemFree(output_);
}

std::vector<Placement> Arrays::placements() const { return {{input_, false, nullptr}, {output_, false, nullptr}}; }

bool Arrays::answered() const {
    for (std::size_t voxel = 0; voxel < elements / 4; ++voxel) {
        const bool oedema = 60 * input()[elements / 4 * 3 + voxel] > 40;
        if (std::abs(output()[elements / 4 * 2 + voxel] - (oedema ? 1.0F : 0.0F)) > 1e-5F) return false;
        if (std::abs(output()[voxel] - (oedema ? 0.0F : 1.0F)) > 1e-5F) return false;
    }
    return true;
}

void Arrays::clear() const { std::ranges::fill(output(), -1.0F); }

std::shared_ptr<Library> load_library(const std::string& path, LibraryOptions options) {
    options.driver = FAKE_CUDA;
    return std::make_shared<Library>(path, options);
}

std::shared_ptr<Engine> load_engine(const std::string& words, std::shared_ptr<Library> library) {
    const std::string plan = "FAKE PLAN " + words;
    return std::make_shared<Engine>(std::move(library), std::as_bytes(std::span(plan)));
}

}  // namespace brats::trt::fixtures
