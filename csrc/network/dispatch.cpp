#include "layers.hpp"

namespace brats::network {

std::vector<const Kernels*> supported_kernels(int channels_a_word) {
    std::vector<const Kernels*> all{&baseline::kernels()};
#ifdef BRATS_X86_VARIANTS
    __builtin_cpu_init();
    if (__builtin_cpu_supports("x86-64-v3")) all.push_back(&avx2::kernels());
    if (__builtin_cpu_supports("x86-64-v4")) all.push_back(&avx512::kernels());
    if (__builtin_cpu_supports("x86-64-v4") && __builtin_cpu_supports("avx512bf16"))
        all.push_back(&avx512_bf16::kernels());
#endif
    std::vector<const Kernels*> fitting;
    for (const Kernels* kernels : all)
        if (kernels->channels_a_word == channels_a_word) fitting.push_back(kernels);
    return fitting;
}

}  // namespace brats::network
