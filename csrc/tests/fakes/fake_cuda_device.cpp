// The driver API's functions as far as the runner calls them: device, contexts and memory.
#include <bit>
#include <cstring>
#include <iterator>
#include <thread>

#include "fake_cuda_state.hpp"

using fake::Call;

namespace {

constexpr std::uint64_t device_nbytes = 1ULL << 30;
constexpr std::size_t alignment = 256;

CUdeviceptr aligned(const std::byte* memory) {
    const auto address = reinterpret_cast<CUdeviceptr>(memory);
    return (address + alignment - 1) / alignment * alignment;
}

CUcontext context_of(CUdevice device) { return std::bit_cast<CUcontext>(static_cast<std::uintptr_t>(device) + 1); }

// What a capture of the calling thread's does not allow.
bool breaks_capture(Call& call) {
    for (auto& [handle, stream] : call->streams) {
        if (!stream.capturing || stream.owner != std::this_thread::get_id()) continue;
        stream.broken = true;
        return true;
    }
    return false;
}

}  // namespace

extern "C" {

FAKE_EXPORT CUresult CUDAAPI cuInit(unsigned int flags) {
    Call call("cuInit", false);
    if (call.fault() != CUDA_SUCCESS) return call.fault();
    if (flags != 0) return CUDA_ERROR_INVALID_VALUE;
    return call->devices == 0 ? CUDA_ERROR_NO_DEVICE : CUDA_SUCCESS;
}

FAKE_EXPORT CUresult CUDAAPI cuGetErrorName(CUresult error, const char** name) {
    switch (error) {
        case CUDA_ERROR_NO_DEVICE: *name = "CUDA_ERROR_NO_DEVICE"; break;
        case CUDA_ERROR_OUT_OF_MEMORY: *name = "CUDA_ERROR_OUT_OF_MEMORY"; break;
        case CUDA_ERROR_INVALID_VALUE: *name = "CUDA_ERROR_INVALID_VALUE"; break;
        case CUDA_ERROR_INVALID_CONTEXT: *name = "CUDA_ERROR_INVALID_CONTEXT"; break;
        case CUDA_ERROR_INVALID_HANDLE: *name = "CUDA_ERROR_INVALID_HANDLE"; break;
        case CUDA_ERROR_LAUNCH_FAILED: *name = "CUDA_ERROR_LAUNCH_FAILED"; break;
        case CUDA_ERROR_STREAM_CAPTURE_INVALIDATED: *name = "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED"; break;
        default: *name = nullptr; return CUDA_ERROR_INVALID_VALUE;
    }
    return CUDA_SUCCESS;
}

FAKE_EXPORT CUresult CUDAAPI cuGetErrorString(CUresult error, const char** words) {
    *words = error == CUDA_ERROR_NO_DEVICE ? "no CUDA-capable device is detected" : "said the fake driver";
    return CUDA_SUCCESS;
}

FAKE_EXPORT CUresult CUDAAPI cuDeviceGetCount(int* count) {
    Call call("cuDeviceGetCount", false);
    *count = call->devices;
    return call.fault();
}

FAKE_EXPORT CUresult CUDAAPI cuDeviceGet(CUdevice* device, int ordinal) {
    Call call("cuDeviceGet", false);
    if (call.fault() != CUDA_SUCCESS) return call.fault();
    if (ordinal < 0 || ordinal >= call->devices) return CUDA_ERROR_INVALID_DEVICE;
    *device = ordinal;
    return CUDA_SUCCESS;
}

FAKE_EXPORT CUresult CUDAAPI cuDeviceGetName(char* name, int size, CUdevice) {
    const Call call("cuDeviceGetName", false);
    std::strncpy(name, "Fake GPU", static_cast<std::size_t>(size) - 1);
    return call.fault();
}

FAKE_EXPORT CUresult CUDAAPI cuDeviceGetAttribute(int* value, CUdevice_attribute attribute, CUdevice) {
    const Call call("cuDeviceGetAttribute", false);
    *value = attribute == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR ? 9 : 0;
    return call.fault();
}

FAKE_EXPORT CUresult CUDAAPI cuDevicePrimaryCtxRetain(CUcontext* context, CUdevice device) {
    Call call("cuDevicePrimaryCtxRetain", false);
    if (call.fault() != CUDA_SUCCESS) return call.fault();
    ++call->contexts;
    *context = context_of(device);
    return CUDA_SUCCESS;
}

FAKE_EXPORT CUresult CUDAAPI cuDevicePrimaryCtxRelease_v2(CUdevice) {
    Call call("cuDevicePrimaryCtxRelease_v2", false);
    if (call->contexts == 0) return call.misuse(CUDA_ERROR_INVALID_CONTEXT);
    --call->contexts;
    return call.fault();
}

FAKE_EXPORT CUresult CUDAAPI cuCtxPushCurrent_v2(CUcontext context) {
    Call call("cuCtxPushCurrent_v2", false);
    if (call.fault() != CUDA_SUCCESS) return call.fault();
    if (call->contexts == 0) return call.misuse(CUDA_ERROR_INVALID_CONTEXT);
    fake::pushed().push_back(context);
    return CUDA_SUCCESS;
}

FAKE_EXPORT CUresult CUDAAPI cuCtxPopCurrent_v2(CUcontext* context) {
    const Call call("cuCtxPopCurrent_v2");
    if (fake::pushed().empty()) return CUDA_ERROR_INVALID_CONTEXT;
    *context = fake::pushed().back();
    fake::pushed().pop_back();
    return call.fault();
}

FAKE_EXPORT CUresult CUDAAPI cuMemAlloc_v2(CUdeviceptr* address, std::size_t nbytes) {
    Call call("cuMemAlloc_v2");
    if (call.fault() != CUDA_SUCCESS) return call.fault();
    if (breaks_capture(call)) return call.misuse(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    if (nbytes == 0) return call.misuse(CUDA_ERROR_INVALID_VALUE);
    if (nbytes > device_nbytes) return CUDA_ERROR_OUT_OF_MEMORY;
    auto memory = std::make_unique<std::byte[]>(nbytes + alignment);
    *address = aligned(memory.get());
    call->allocations[*address] = {nbytes, std::move(memory)};
    return CUDA_SUCCESS;
}

FAKE_EXPORT CUresult CUDAAPI cuMemFree_v2(CUdeviceptr address) {
    Call call("cuMemFree_v2");
    call->accesses.erase(address);
    return call->allocations.erase(address) == 1 ? call.fault() : call.misuse(CUDA_ERROR_INVALID_VALUE);
}

FAKE_EXPORT CUresult CUDAAPI cuMemsetD8Async(CUdeviceptr address, unsigned char value, std::size_t nbytes,
                                             CUstream stream) {
    {
        const Call call("cuMemsetD8Async");
        if (call.fault() != CUDA_SUCCESS) return call.fault();
    }
    const auto fill = [=](CUstream on) {
        fake::touch(on, address);
        std::memset(std::bit_cast<void*>(address), value, nbytes);
    };
    return fake::queue(stream, fill) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

FAKE_EXPORT CUresult CUDAAPI cuPointerGetAttribute(void* value, CUpointer_attribute attribute, CUdeviceptr address) {
    Call call("cuPointerGetAttribute");
    if (call.fault() != CUDA_SUCCESS) return call.fault();
    const auto after = call->allocations.upper_bound(address);
    if (attribute != CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL || after == call->allocations.begin()) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    const auto& [first, allocation] = *std::prev(after);
    if (address >= first + allocation.nbytes) return CUDA_ERROR_INVALID_VALUE;
    const int ordinal = 0;
    std::memcpy(value, &ordinal, sizeof(ordinal));
    return CUDA_SUCCESS;
}
}
