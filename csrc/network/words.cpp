#include "words.hpp"

#include <algorithm>
#include <cstdlib>
#include <new>

#ifdef __linux__
#include <sys/mman.h>
#endif

namespace brats::network {
namespace {

constexpr std::size_t cache_line = 64;
constexpr std::size_t huge_page = std::size_t{2} << 20;

}  // namespace

WordBuffer::WordBuffer(std::size_t count) : count_(count) {
    const std::size_t bytes = count * sizeof(std::uint32_t);
    const std::size_t boundary = bytes >= huge_page ? huge_page : cache_line;
    const std::size_t rounded = (bytes + boundary - 1) / boundary * boundary;
    auto* const words = static_cast<std::uint32_t*>(std::aligned_alloc(boundary, std::max(rounded, boundary)));
    if (words == nullptr) throw std::bad_alloc();
    words_.reset(words);
#ifdef __linux__
    // A hint: without huge pages everything works, slower.
    if (boundary == huge_page) madvise(words, rounded, MADV_HUGEPAGE);
#endif
    std::fill_n(words, count, 0U);
}

void WordBuffer::Release::operator()(std::uint32_t* words) const noexcept { std::free(words); }

}  // namespace brats::network
