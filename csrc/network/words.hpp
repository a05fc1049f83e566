// Memory for tensors and tiles: on cache lines, and on huge pages where the system gives them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace brats::network {

class WordBuffer {
public:
    WordBuffer() = default;
    // Zeros. Throws std::bad_alloc.
    explicit WordBuffer(std::size_t count);

    [[nodiscard]] std::uint32_t* data() const { return words_.get(); }
    [[nodiscard]] std::size_t size() const { return count_; }

private:
    struct Release {
        void operator()(std::uint32_t* words) const noexcept;
    };

    std::unique_ptr<std::uint32_t[], Release> words_;
    std::size_t count_ = 0;
};

}  // namespace brats::network
