#include "row_kernels.hpp"

namespace brats {

std::vector<const RowKernels*> supported_row_kernels() {
    std::vector<const RowKernels*> variants{&baseline::table()};
#ifdef BRATS_X86_VARIANTS
    __builtin_cpu_init();
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
                      __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("fma");
    const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                        __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                        __builtin_cpu_supports("avx512vl");
    if (avx2) variants.push_back(&avx2::table());
    if (avx512) variants.push_back(&avx512::table());
#endif
    return variants;
}

const RowKernels& row_kernels() {
    static const RowKernels& chosen = *supported_row_kernels().back();
    return chosen;
}

}  // namespace brats
