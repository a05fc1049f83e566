#include "shared_object.hpp"

#include <dlfcn.h>

#include "fault.hpp"

namespace brats::trt {
namespace {

std::string last_error() {
    const char* words = dlerror();
    return words == nullptr ? "the loader says nothing" : words;
}

}  // namespace

SharedObject::SharedObject(const std::string& name)
    : name_(name), handle_(dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL)) {
    if (handle_ == nullptr) throw EngineFault(name + " cannot be loaded (" + last_error() + ")");
}

void* SharedObject::find(const char* symbol) const {
    void* address = dlsym(handle_, symbol);
    if (address == nullptr) throw EngineFault(name_ + " has no function " + symbol + " (" + last_error() + ")");
    return address;
}

}  // namespace brats::trt
