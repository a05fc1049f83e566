#include "engine.hpp"

#include <utility>

#include "fault.hpp"
#include "logger.hpp"

namespace brats::trt {
namespace {

struct Element {
    const char* dtype;
    std::int64_t nbytes;
};

Element element_of(nvinfer1::DataType type, const std::string& name) {
    using nvinfer1::DataType;
    switch (type) {
        case DataType::kFLOAT: return {"float32", 4};
        case DataType::kHALF: return {"float16", 2};
        case DataType::kBF16: return {"bfloat16", 2};
        case DataType::kINT8: return {"int8", 1};
        case DataType::kINT32: return {"int32", 4};
        case DataType::kINT64: return {"int64", 8};
        case DataType::kBOOL: return {"bool", 1};
        case DataType::kUINT8: return {"uint8", 1};
        default:
            throw EngineFault("the plan's tensor " + name + " has elements of TensorRT's type " +
                              std::to_string(static_cast<int>(type)) + "; expected float16 or float32: build it again");
    }
}

std::vector<std::int64_t> shape_of(const nvinfer1::Dims& dims, const std::string& name) {
    std::vector<std::int64_t> shape;
    for (int axis = 0; axis < dims.nbDims; ++axis) {
        shape.push_back(dims.d[axis]);
        if (dims.d[axis] < 1) {
            throw EngineFault("the plan's tensor " + name + " has an axis of " + std::to_string(dims.d[axis]) +
                              " elements; expected fixed extents of 1 or more: build it from a model of fixed shapes");
        }
    }
    return shape;
}

Tensor tensor_of(const nvinfer1::ICudaEngine& engine, const std::string& name) {
    const bool input = engine.getTensorIOMode(name.c_str()) == nvinfer1::TensorIOMode::kINPUT;
    if (engine.getTensorLocation(name.c_str()) != nvinfer1::TensorLocation::kDEVICE) {
        throw EngineFault("the plan's tensor " + name +
                          " lies on the host; expected all on the device: build it again");
    }
    if (engine.getTensorFormat(name.c_str(), 0) != nvinfer1::TensorFormat::kLINEAR) {
        throw EngineFault("the plan's tensor " + name + " is not laid out in C order; expected the linear format: " +
                          "build it again without other formats");
    }
    const Element element = element_of(engine.getTensorDataType(name.c_str()), name);
    std::vector<std::int64_t> shape = shape_of(engine.getTensorShape(name.c_str()), name);
    std::int64_t nbytes = element.nbytes;
    for (const std::int64_t extent : shape) nbytes *= extent;
    return {name, element.dtype, std::move(shape), nbytes, input};
}

// A plan without its weights runs without complaint, on zeros.
void refuse_stripped(const nvinfer1::ICudaEngine& engine) {
    const std::int64_t stripped = engine.getEngineStat(nvinfer1::EngineStat::kSTRIPPED_WEIGHTS_SIZE);
    if (stripped > 0) {
        throw EngineFault("the plan is stripped of " + std::to_string(stripped) +
                          " bytes of weights, and would run without them: refit it, or build it unstripped");
    }
}

}  // namespace

std::string describe(const std::string& dtype, const std::vector<std::int64_t>& shape) {
    std::string text = dtype + " (";
    for (std::size_t axis = 0; axis < shape.size(); ++axis) {
        text += (axis == 0 ? "" : ", ") + std::to_string(shape[axis]);
    }
    return text + (shape.size() == 1 ? ",)" : ")");
}

Engine::Engine(std::shared_ptr<Library> library, std::span<const std::byte> plan) : library_(std::move(library)) {
    const Device::Current current(*device());
    engine_ = library_->deserialise(plan);
    inspect();
}

void Engine::inspect() {
    refittable_ = engine_->isRefittable();
    refuse_stripped(*engine_);
    const int count = engine_->getNbIOTensors();
    bool has_input = false;
    bool has_output = false;
    for (int index = 0; index < count; ++index) {
        const char* name = engine_->getIOTensorName(index);
        if (name == nullptr) throw EngineFault("TensorRT gives no name for tensor " + std::to_string(index));
        tensors_.push_back(tensor_of(*engine_, name));
        (tensors_.back().input ? has_input : has_output) = true;
    }
    if (!has_input || !has_output) {
        throw EngineFault("the plan has " + std::to_string(count) +
                          " tensors; expected an input and an output at least");
    }
    scratch_nbytes_ = engine_->getDeviceMemorySizeV2();
}

OnDevice<nvinfer1::IExecutionContext> Engine::make_context() {
    const std::scoped_lock lock(mutex_);
    const Logger::Since log;
    OnDevice<nvinfer1::IExecutionContext> context(
        engine_->createExecutionContext(nvinfer1::ExecutionContextAllocationStrategy::kUSER_MANAGED), {device()});
    if (!context) {
        throw EngineFault(log.explain("TensorRT makes no execution context on " + device()->name() +
                                      ": free memory of the device, or use fewer contexts"));
    }
    return context;
}

}  // namespace brats::trt
