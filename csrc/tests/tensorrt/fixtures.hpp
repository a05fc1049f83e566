// A fake device with memory and streams for the tests, and what the fake network must answer.
#pragma once

#include <bit>
#include <cmath>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "../../tensorrt/context.hpp"
#include "../../tensorrt/fault.hpp"
#include "../fakes/fake_cuda.hpp"
#include "../fakes/fake_tensorrt.hpp"

namespace brats::trt::fixtures {

// Pushes the fake device's primary context, as a caller's CuPy does, and checks at the end that nothing is left behind.
class World {
public:
    World();
    ~World();

    World(const World&) = delete;
    World& operator=(const World&) = delete;
    World(World&&) = delete;
    World& operator=(World&&) = delete;

private:
    CUcontext context_ = nullptr;
};

class Stream {
public:
    Stream() { cuStreamCreate(&handle_, 0); }
    ~Stream() { cuStreamDestroy_v2(handle_); }

    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;
    Stream(Stream&&) = delete;
    Stream& operator=(Stream&&) = delete;

    operator CUstream() const { return handle_; }  // NOLINT(google-explicit-constructor)

private:
    CUstream handle_ = nullptr;
};

// Input and output of a plan of 4^3 voxels.
class Arrays {
public:
    explicit Arrays(float bright = 1.0F);
    ~Arrays();

    Arrays(const Arrays&) = delete;
    Arrays& operator=(const Arrays&) = delete;
    Arrays(Arrays&&) = delete;
    Arrays& operator=(Arrays&&) = delete;

    [[nodiscard]] std::vector<Placement> placements() const;
    [[nodiscard]] std::span<float> input() const { return {std::bit_cast<float*>(input_), elements}; }
    [[nodiscard]] std::span<float> output() const { return {std::bit_cast<float*>(output_), elements}; }

    // Whether the output is the fake network's answer to the input.
    [[nodiscard]] bool answered() const;
    void clear() const;

    static constexpr std::size_t elements = 256;

private:
    CUdeviceptr input_ = 0;
    CUdeviceptr output_ = 0;
};

std::shared_ptr<Library> load_library(const std::string& path = FAKE_TENSORRT, LibraryOptions options = {});
std::shared_ptr<Engine> load_engine(const std::string& words = "", std::shared_ptr<Library> library = load_library());

// What the call throws; empty where it throws nothing.
template <class Call>
std::string fault_of(const Call& call) {
    try {
        call();
    } catch (const EngineFault& fault) {
        return fault.what();
    }
    return {};
}

inline bool holds(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace brats::trt::fixtures
