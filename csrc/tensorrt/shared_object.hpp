#pragma once

#include <string>

namespace brats::trt {

// A shared library, opened until the process ends: neither CUDA's driver nor TensorRT can be unloaded in earnest.
class SharedObject {
public:
    // A path, or a name that the system's loader looks for. Throws EngineFault with the loader's words, or where the
    // file of that path was cut short.
    explicit SharedObject(const std::string& name);

    // Throws EngineFault where the library lacks the symbol.
    template <class Function>
    void bind(Function*& function, const char* symbol) const {
        function = reinterpret_cast<Function*>(find(symbol));
    }

    [[nodiscard]] const std::string& name() const { return name_; }

private:
    [[nodiscard]] void* find(const char* symbol) const;

    std::string name_;
    void* handle_;
};

}  // namespace brats::trt
