// CUDA's driver API, loaded at run time: no toolkit, no libcudart, and no error before somebody asks for a device.
#pragma once

#include <cuda.h>

#include <string>

#include "shared_object.hpp"

namespace brats::trt {

struct DriverFunctions {
    decltype(&::cuInit) init;
    decltype(&::cuGetErrorName) error_name;
    decltype(&::cuGetErrorString) error_string;
    decltype(&::cuDeviceGetCount) device_count;
    decltype(&::cuDeviceGet) device_get;
    decltype(&::cuDeviceGetName) device_name;
    decltype(&::cuDeviceGetAttribute) device_attribute;
    decltype(&::cuDevicePrimaryCtxRetain) retain_context;
    decltype(&::cuDevicePrimaryCtxRelease) release_context;
    decltype(&::cuCtxPushCurrent) push_context;
    decltype(&::cuCtxPopCurrent) pop_context;
    decltype(&::cuMemAlloc) allocate;
    decltype(&::cuMemFree) free;
    decltype(&::cuMemsetD8Async) fill;
    decltype(&::cuPointerGetAttribute) pointer_attribute;
    decltype(&::cuStreamSynchronize) synchronise_stream;
    decltype(&::cuStreamWaitEvent) wait;
    decltype(&::cuStreamIsCapturing) is_capturing;
    decltype(&::cuStreamBeginCapture) begin_capture;
    decltype(&::cuStreamEndCapture) end_capture;
    decltype(&::cuEventCreate) create_event;
    decltype(&::cuEventRecord) record;
    decltype(&::cuEventSynchronize) synchronise_event;
    decltype(&::cuEventDestroy) destroy_event;
    decltype(&::cuGraphInstantiateWithFlags) instantiate;
    decltype(&::cuGraphLaunch) launch;
    decltype(&::cuGraphDestroy) destroy_graph;
    decltype(&::cuGraphExecDestroy) destroy_executable;
};

class Driver {
public:
    // Loads and initialises it. Throws EngineFault where there is no driver or no device, and says what to do.
    explicit Driver(const std::string& name);

    const DriverFunctions* operator->() const { return &functions_; }

    // Throws EngineFault unless the call succeeded; `doing` completes "CUDA failed ...".
    void check(CUresult result, const std::string& doing) const;

    // Such as "CUDA_ERROR_NO_DEVICE: no CUDA-capable device is detected".
    [[nodiscard]] std::string describe(CUresult result) const;

private:
    DriverFunctions functions_{};
};

}  // namespace brats::trt
