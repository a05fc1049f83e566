#include "../../tensorrt/library.hpp"

#include <doctest/doctest.h>
#include <elf.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>

#include "fixtures.hpp"

namespace {

using namespace brats::trt;
using namespace brats::trt::fixtures;

std::string refusal(const std::string& path, const LibraryOptions& options = {}) {
    return fault_of([&] { load_library(path, options); });
}

TEST_CASE("a library says what it is and where it runs") {
    const World world;
    const auto library = load_library();
    CHECK(library->version().text() == headers_version().text());
    CHECK(library->device()->name() == "Fake GPU");
    CHECK(library->device()->capability().major == 9);
    CHECK(fake_tensorrt_state().runtimes == 1);
}

TEST_CASE("code for the host is allowed on request only") {
    const World world;
    load_library();
    CHECK(fake_tensorrt_state().host_code == 0);
    LibraryOptions options;
    options.host_code = true;
    load_library(FAKE_TENSORRT, options);
    CHECK(fake_tensorrt_state().host_code == 1);
}

TEST_CASE("without a driver the refusal says what to install") {
    const World world;
    const std::string refused = fault_of([] { const Library library("", {0, "libnodriver.so.1", false}); });
    CHECK(holds(refused, "no CUDA driver: libnodriver.so.1 cannot be loaded"));
    CHECK(holds(refused, "install NVIDIA's driver"));
}

TEST_CASE("a driver without the functions is refused by the first that it lacks") {
    const World world;
    const std::string refused = fault_of([] { const Library library("", {0, "libm.so.6", false}); });
    CHECK(holds(refused, "no CUDA driver: libm.so.6 has no function cuInit"));
    CHECK(holds(refused, "install NVIDIA's driver"));
}

TEST_CASE("without a device nothing of TensorRT is called") {
    const World world;
    fake_cuda_set_devices(0);
    CHECK(holds(refusal("no-such-library.so"), "no CUDA device (CUDA_ERROR_NO_DEVICE: no CUDA-capable device"));
    CHECK(holds(refusal(FAKE_TENSORRT), "no CUDA device"));
}

TEST_CASE("a device that is not there is refused") {
    const World world;
    LibraryOptions options;
    options.device = 3;
    CHECK(holds(refusal(FAKE_TENSORRT, options), "CUDA device 3 was asked for; expected one from 0 to 0"));
}

TEST_CASE("a library that is not there is refused with what to install") {
    const World world;
    const std::string refused = refusal("/nowhere/libnvinfer.so.10");
    CHECK(holds(refused, "/nowhere/libnvinfer.so.10 cannot be loaded"));
    CHECK(holds(refused, "pip install 'tensorrt-cu13"));
    CHECK(holds(refusal(""), "no TensorRT library: libnvinfer.so.10 cannot be loaded"));
}

TEST_CASE("a library's file that was cut short anywhere is refused and not mapped") {
    const World world;
    const std::filesystem::path cut = std::filesystem::temp_directory_path() / "libnvinfer_cut.so.10";
    const auto whole = std::filesystem::file_size(FAKE_TENSORRT);
    for (const std::uintmax_t nbytes : {std::uintmax_t{4096}, whole / 4, whole / 2, whole - 4096, whole - 1}) {
        std::filesystem::copy_file(FAKE_TENSORRT, cut, std::filesystem::copy_options::overwrite_existing);
        std::filesystem::resize_file(cut, nbytes);
        const std::string refused = refusal(cut.string());
        CHECK(holds(refused, "the file is cut short, it has " + std::to_string(nbytes) + " bytes"));
        CHECK(holds(refused, "install it again"));
    }
    for (const std::uintmax_t nbytes : {0U, 5U, 63U}) {
        std::filesystem::resize_file(cut, nbytes);
        CHECK(holds(refusal(cut.string()), "cannot be loaded"));
    }
    std::filesystem::remove(cut);
}

TEST_CASE("headers that speak of more than there can be are refused") {
    const World world;
    const std::filesystem::path odd = std::filesystem::temp_directory_path() / "libnvinfer_odd.so.10";
    std::filesystem::copy_file(FAKE_TENSORRT, odd, std::filesystem::copy_options::overwrite_existing);
    std::fstream file(odd, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(offsetof(Elf64_Ehdr, e_shoff)).write("\xff\xff\xff\xff\xff\xff\xff\xff", 8);
    file.close();
    CHECK(holds(refusal(odd.string()), "its headers speak of 18446744073709551615"));
    std::filesystem::remove(odd);
}

TEST_CASE("a library of another major is refused before it is called") {
    const World world;
    const std::string refused = refusal(FAKE_TENSORRT_11);
    CHECK(holds(refused, "is TensorRT 11.20.5; this build of brats_trt drives 10.14.0 and later of major 10"));
    CHECK(holds(refused, "build brats_trt with the headers of 11"));
}

TEST_CASE("a library from before the functions that are called is refused") {
    const World world;
    CHECK(holds(refusal(FAKE_TENSORRT_OLD), "is TensorRT 10.3.0"));
}

TEST_CASE("a library that is none of TensorRT's is refused") {
    const World world;
    CHECK(holds(refusal(FAKE_CUDA), "has no function getInferLibVersion"));
}

TEST_CASE("a runtime that does not come, or is a pointer to nothing, is refused with TensorRT's words") {
    const World world;
    for (const char* library : {FAKE_TENSORRT_NULL, FAKE_TENSORRT_TRAP}) {
        const std::string refused = refusal(library);
        CHECK(holds(refused, "gives no runtime on Fake GPU: update NVIDIA's driver"));
        CHECK(holds(refused, "[TensorRT: CUDA initialization failure]"));
    }
}

}  // namespace
