#include "row_kernels.hpp"

namespace brats {
namespace {

const RowKernels& best() {
#ifdef BRATS_X86_VARIANTS
    __builtin_cpu_init();
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2") &&
                      __builtin_cpu_supports("fma");
    const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                        __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                        __builtin_cpu_supports("avx512vl");
    if (avx512) return avx512::table();
    if (avx2) return avx2::table();
#endif
    return baseline::table();
}

}  // namespace

const RowKernels& row_kernels() {
    static const RowKernels& chosen = best();
    return chosen;
}

}  // namespace brats
