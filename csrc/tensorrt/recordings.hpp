#pragma once

#include <cstddef>
#include <list>
#include <vector>

#include "owned.hpp"

namespace brats::trt {

// The addresses of an engine's tensors, in the engine's order.
using Addresses = std::vector<CUdeviceptr>;

// What is known of one set of addresses: a graph holds them, so each set has its own.
struct Recording {
    Addresses addresses;
    Executable graph;  // none before the second run
};

// The sets of addresses that were used last; mirror averaging alternates between two.
class Recordings {
public:
    // nullptr where the set is new, or was forgotten.
    Recording* find(const Addresses& addresses);

    // Forgets the set that was unused for longest, where there are too many.
    void add(const Addresses& addresses);

private:
    static constexpr std::size_t most = 8;

    std::list<Recording> latest_first_;
};

}  // namespace brats::trt
