#include "shared_object.hpp"

#include <dlfcn.h>

#include "elf.hpp"
#include "fault.hpp"

namespace brats::trt {
namespace {

std::string last_error() {
    const char* words = dlerror();
    return words == nullptr ? "the loader says nothing" : words;
}

std::string refusal(const std::string& name, const std::string& reason) {
    return name + " cannot be loaded (" + reason + ")";
}

// A name without a slash is looked for by the loader, so that its file is not known here.
void* open(const std::string& name) {
    const std::string missing = name.find('/') == std::string::npos ? std::string() : missing_of_elf(name);
    if (!missing.empty()) throw EngineFault(refusal(name, missing));
    void* handle = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle == nullptr) throw EngineFault(refusal(name, last_error()));
    return handle;
}

}  // namespace

SharedObject::SharedObject(const std::string& name) : name_(name), handle_(open(name)) {}

void* SharedObject::find(const char* symbol) const {
    void* address = dlsym(handle_, symbol);
    if (address == nullptr) throw EngineFault(name_ + " has no function " + symbol + " (" + last_error() + ")");
    return address;
}

}  // namespace brats::trt
