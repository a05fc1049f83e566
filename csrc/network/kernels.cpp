// Compiled once for each instruction set, into the namespace BRATS_VARIANT, with words of one channel or, where the
// processor computes with bfloat16, two.
#include "pointwise.hpp"
#include "reduction.hpp"
#include "winograd.hpp"

#define BRATS_STRING(name) #name
#define BRATS_NAME_OF(name) BRATS_STRING(name)

namespace brats::network::BRATS_VARIANT {
namespace {

#ifdef __AVX512BF16__
using Word = Pair;
#else
using Word = Single;
#endif

constexpr Kernels table{
    .name = BRATS_NAME_OF(BRATS_VARIANT),
    .channels_a_word = Word::channels,
    .widest_block = widest_block,
    .convolve = convolve<Word>,
    .convolve_first = convolve_first<Word>,
    .reduce = reduce<Word>,
    .mix = mix<Word>,
    .expand = expand<Word>,
    .classify = classify<Word>,
};

}  // namespace

const Kernels& kernels() { return table; }

}  // namespace brats::network::BRATS_VARIANT
