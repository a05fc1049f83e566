// The driver API's functions as far as the runner calls them: streams, events and graphs.
#include <algorithm>
#include <thread>
#include <utility>

#include "fake_cuda_state.hpp"

using fake::Call;
using fake::Stream;

namespace {

void merge(fake::Clock& into, const fake::Clock& from) {
    for (const auto& [stream, time] : from) into[stream] = std::max(into[stream], time);
}

}  // namespace

extern "C" {

FAKE_EXPORT CUresult CUDAAPI cuStreamCreate(CUstream* stream, unsigned int) {
    Call call("cuStreamCreate", false);
    if (call.fault() != CUDA_SUCCESS) return call.fault();
    *stream = call.new_handle<CUstream>();
    call->streams[*stream] = {};
    return CUDA_SUCCESS;
}

FAKE_EXPORT CUresult CUDAAPI cuStreamDestroy_v2(CUstream stream) {
    Call call("cuStreamDestroy_v2", false);
    return call->streams.erase(stream) == 1 ? call.fault() : call.misuse(CUDA_ERROR_INVALID_HANDLE);
}

FAKE_EXPORT CUresult CUDAAPI cuStreamSynchronize(CUstream stream) {
    Call call("cuStreamSynchronize");
    if (call.fault() != CUDA_SUCCESS) return call.fault();
    return call->find(stream) == nullptr ? call.misuse(CUDA_ERROR_INVALID_HANDLE) : CUDA_SUCCESS;
}

FAKE_EXPORT CUresult CUDAAPI cuStreamWaitEvent(CUstream stream, CUevent event, unsigned int) {
    Call call("cuStreamWaitEvent");
    if (call.fault() != CUDA_SUCCESS) return call.fault();
    Stream* const found = call->find(stream);
    const auto marked = call->events.find(event);
    if (found == nullptr || marked == call->events.end()) return call.misuse(CUDA_ERROR_INVALID_HANDLE);
    if (found->capturing) return call.misuse(CUDA_ERROR_STREAM_CAPTURE_ISOLATION);
    merge(found->clock, marked->second);
    return CUDA_SUCCESS;
}

FAKE_EXPORT CUresult CUDAAPI cuStreamIsCapturing(CUstream stream, CUstreamCaptureStatus* status) {
    Call call("cuStreamIsCapturing");
    if (call.fault() != CUDA_SUCCESS) return call.fault();
    const Stream* const found = call->find(stream);
    if (found == nullptr) return CUDA_ERROR_INVALID_HANDLE;
    *status = found->capturing ? CU_STREAM_CAPTURE_STATUS_ACTIVE : CU_STREAM_CAPTURE_STATUS_NONE;
    return CUDA_SUCCESS;
}

FAKE_EXPORT CUresult CUDAAPI cuStreamBeginCapture_v2(CUstream stream, CUstreamCaptureMode) {
    Call call("cuStreamBeginCapture_v2");
    if (call.fault() != CUDA_SUCCESS) return call.fault();
    Stream* const found = call->find(stream);
    if (found == nullptr) return call.misuse(CUDA_ERROR_INVALID_HANDLE);
    if (found->capturing || stream == nullptr || stream == CU_STREAM_LEGACY) {
        return call.misuse(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    }
    found->capturing = true;
    found->broken = false;
    found->owner = std::this_thread::get_id();
    return CUDA_SUCCESS;
}

FAKE_EXPORT CUresult CUDAAPI cuStreamEndCapture(CUstream stream, CUgraph* graph) {
    Call call("cuStreamEndCapture");
    Stream* const found = call->find(stream);
    if (found == nullptr || !found->capturing) return call.misuse(CUDA_ERROR_ILLEGAL_STATE);
    found->capturing = false;
    auto captured = std::move(found->captured);
    found->captured.clear();
    *graph = nullptr;
    if (call.fault() != CUDA_SUCCESS) return call.fault();
    if (found->broken) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    *graph = call.new_handle<CUgraph>();
    call->graphs[*graph] = std::move(captured);
    return CUDA_SUCCESS;
}

FAKE_EXPORT CUresult CUDAAPI cuEventCreate(CUevent* event, unsigned int) {
    Call call("cuEventCreate");
    if (call.fault() != CUDA_SUCCESS) return call.fault();
    *event = call.new_handle<CUevent>();
    call->events[*event] = {};
    return CUDA_SUCCESS;
}

FAKE_EXPORT CUresult CUDAAPI cuEventRecord(CUevent event, CUstream stream) {
    Call call("cuEventRecord");
    if (call.fault() != CUDA_SUCCESS) return call.fault();
    const Stream* const found = call->find(stream);
    const auto marked = call->events.find(event);
    if (found == nullptr || marked == call->events.end()) return call.misuse(CUDA_ERROR_INVALID_HANDLE);
    marked->second = found->clock;
    return CUDA_SUCCESS;
}

FAKE_EXPORT CUresult CUDAAPI cuEventSynchronize(CUevent event) {
    Call call("cuEventSynchronize");
    if (call.fault() != CUDA_SUCCESS) return call.fault();
    if (!call->events.contains(event)) return call.misuse(CUDA_ERROR_INVALID_HANDLE);
    const bool held = std::exchange(call->hold_synchronise, false);
    call.unlock();
    return held && fake_cuda_pass_gate() == 0 ? CUDA_ERROR_LAUNCH_FAILED : CUDA_SUCCESS;
}

FAKE_EXPORT CUresult CUDAAPI cuEventDestroy_v2(CUevent event) {
    Call call("cuEventDestroy_v2");
    return call->events.erase(event) == 1 ? call.fault() : call.misuse(CUDA_ERROR_INVALID_HANDLE);
}

FAKE_EXPORT CUresult CUDAAPI cuGraphInstantiateWithFlags(CUgraphExec* executable, CUgraph graph, unsigned long long) {
    Call call("cuGraphInstantiateWithFlags");
    if (call.fault() != CUDA_SUCCESS) return call.fault();
    const auto captured = call->graphs.find(graph);
    if (captured == call->graphs.end()) return call.misuse(CUDA_ERROR_INVALID_HANDLE);
    *executable = call.new_handle<CUgraphExec>();
    call->executables[*executable] = captured->second;
    return CUDA_SUCCESS;
}

FAKE_EXPORT CUresult CUDAAPI cuGraphLaunch(CUgraphExec executable, CUstream stream) {
    std::vector<fake::Work> all;
    {
        Call call("cuGraphLaunch");
        if (call.fault() != CUDA_SUCCESS) return call.fault();
        const auto found = call->executables.find(executable);
        if (found == call->executables.end()) return call.misuse(CUDA_ERROR_INVALID_HANDLE);
        ++call->launches;
        all = found->second;
    }
    for (const auto& work : all) {
        if (!fake::queue(stream, work)) return CUDA_ERROR_INVALID_HANDLE;
    }
    return CUDA_SUCCESS;
}

FAKE_EXPORT CUresult CUDAAPI cuGraphDestroy(CUgraph graph) {
    Call call("cuGraphDestroy");
    return call->graphs.erase(graph) == 1 ? call.fault() : call.misuse(CUDA_ERROR_INVALID_HANDLE);
}

FAKE_EXPORT CUresult CUDAAPI cuGraphExecDestroy(CUgraphExec executable) {
    Call call("cuGraphExecDestroy");
    return call->executables.erase(executable) == 1 ? call.fault() : call.misuse(CUDA_ERROR_INVALID_HANDLE);
}
}
