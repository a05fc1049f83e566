#include "row_kernels.hpp"

namespace brats {

std::vector<const RowKernels*> supported_row_kernels() {
    std::vector<const RowKernels*> variants{&baseline::table()};
#ifdef BRATS_X86_VARIANTS
    __builtin_cpu_init();
    if (__builtin_cpu_supports("x86-64-v3")) variants.push_back(&avx2::table());
    if (__builtin_cpu_supports("x86-64-v4")) variants.push_back(&avx512::table());
#endif
    return variants;
}

const RowKernels& row_kernels() {
    static const RowKernels& chosen = *supported_row_kernels().back();
    return chosen;
}

}  // namespace brats
