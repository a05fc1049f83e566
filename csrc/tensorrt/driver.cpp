#include "driver.hpp"

#include "fault.hpp"

namespace brats::trt {
namespace {

constexpr const char* advice = ": install NVIDIA's driver (nvidia-smi lists the GPU), or run the ONNX model on the CPU";

// By the names that CUDA 11.4 to 13 have in common, whatever the headers map the plain names to.
DriverFunctions functions_of(const SharedObject& library) {
    DriverFunctions f{};
    library.bind(f.init, "cuInit");
    library.bind(f.error_name, "cuGetErrorName");
    library.bind(f.error_string, "cuGetErrorString");
    library.bind(f.device_count, "cuDeviceGetCount");
    library.bind(f.device_get, "cuDeviceGet");
    library.bind(f.device_name, "cuDeviceGetName");
    library.bind(f.device_attribute, "cuDeviceGetAttribute");
    library.bind(f.retain_context, "cuDevicePrimaryCtxRetain");
    library.bind(f.release_context, "cuDevicePrimaryCtxRelease_v2");
    library.bind(f.push_context, "cuCtxPushCurrent_v2");
    library.bind(f.pop_context, "cuCtxPopCurrent_v2");
    library.bind(f.allocate, "cuMemAlloc_v2");
    library.bind(f.free, "cuMemFree_v2");
    library.bind(f.fill, "cuMemsetD8Async");
    library.bind(f.pointer_attribute, "cuPointerGetAttribute");
    library.bind(f.synchronise_stream, "cuStreamSynchronize");
    library.bind(f.wait, "cuStreamWaitEvent");
    library.bind(f.is_capturing, "cuStreamIsCapturing");
    library.bind(f.begin_capture, "cuStreamBeginCapture_v2");
    library.bind(f.end_capture, "cuStreamEndCapture");
    library.bind(f.create_event, "cuEventCreate");
    library.bind(f.record, "cuEventRecord");
    library.bind(f.synchronise_event, "cuEventSynchronize");
    library.bind(f.destroy_event, "cuEventDestroy_v2");
    library.bind(f.instantiate, "cuGraphInstantiateWithFlags");
    library.bind(f.launch, "cuGraphLaunch");
    library.bind(f.destroy_graph, "cuGraphDestroy");
    library.bind(f.destroy_executable, "cuGraphExecDestroy");
    return f;
}

DriverFunctions load(const std::string& name) {
    try {
        return functions_of(SharedObject(name));
    } catch (const EngineFault& fault) {
        throw EngineFault(std::string("no CUDA driver: ") + fault.what() + advice);
    }
}

}  // namespace

Driver::Driver(const std::string& name) : functions_(load(name)) {
    const CUresult result = functions_.init(0);
    if (result != CUDA_SUCCESS) throw EngineFault("no CUDA device (" + describe(result) + ")" + advice);
    int devices = 0;
    check(functions_.device_count(&devices), "to count its devices");
    if (devices == 0) throw EngineFault(std::string("no CUDA device (the driver counts none)") + advice);
}

void Driver::check(CUresult result, const std::string& doing) const {
    if (result != CUDA_SUCCESS) throw EngineFault("CUDA failed " + doing + " (" + describe(result) + ")");
}

std::string Driver::describe(CUresult result) const {
    const char* name = nullptr;
    const char* words = nullptr;
    if (functions_.error_name(result, &name) != CUDA_SUCCESS || name == nullptr) {
        return "error " + std::to_string(static_cast<int>(result));
    }
    if (functions_.error_string(result, &words) != CUDA_SUCCESS || words == nullptr) return name;
    return std::string(name) + ": " + words;
}

}  // namespace brats::trt
