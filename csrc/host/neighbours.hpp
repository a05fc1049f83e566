// Eight resampled values of a row at a time. Their inputs lie close together, so two permutations of two registers
// take the place of two gathers, which cost several times as much. Included by row_kernels.cpp only.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace brats::BRATS_VARIANT {
namespace {

constexpr std::int64_t octet = 8;

// Where eight outputs find samples `lower` and `lower + 1` among the sixteen that begin at the first of them.
class Neighbours {
public:
    [[gnu::always_inline]] static bool reach(const std::int32_t* lower) {
        return lower[octet - 1] + 2 - lower[0] <= 16;
    }

    // `readable` samples may be read.
    [[gnu::always_inline]] Neighbours(const std::int32_t* lower, const double* weight, std::int64_t readable)
        : first_(lower[0]),
          low_(mask(readable - first_)),
          high_(mask(readable - first_ - octet)),
          lower_(_mm512_maskz_cvtepi32_epi64(
              0xff, _mm256_sub_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(lower)),
                                     _mm256_set1_epi32(lower[0])))),
          upper_(_mm512_add_epi64(lower_, _mm512_set1_epi64(1))),
          weight_(_mm512_loadu_pd(weight)),
          rest_(_mm512_sub_pd(_mm512_set1_pd(1.0), weight_)) {}

    // What `mix` gives of each output's two samples, to the bit.
    [[gnu::always_inline]] [[nodiscard]] __m512d mixed(const double* row) const {
        const __m512d low = _mm512_maskz_loadu_pd(low_, row + first_);
        const __m512d high = _mm512_maskz_loadu_pd(high_, row + first_ + octet);
        const __m512d lower = _mm512_permutex2var_pd(low, lower_, high);
        const __m512d upper = _mm512_permutex2var_pd(low, upper_, high);
        return _mm512_add_pd(_mm512_mul_pd(lower, rest_), _mm512_mul_pd(upper, weight_));
    }

private:
    [[gnu::always_inline]] static __mmask8 mask(std::int64_t readable) {
        if (readable >= octet) return 0xff;
        return readable <= 0 ? __mmask8{0} : static_cast<__mmask8>((1 << readable) - 1);
    }

    std::int64_t first_;
    __mmask8 low_, high_;
    __m512i lower_, upper_;
    __m512d weight_, rest_;
};

}  // namespace
}  // namespace brats::BRATS_VARIANT
