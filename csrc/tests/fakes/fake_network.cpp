#include "fake_network.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <sstream>

namespace fake {
namespace {

constexpr std::size_t classes = 4;
constexpr std::array<std::array<float, classes>, classes> weights{
    {{0, 0, 0, 0}, {0, 60, 0, 0}, {0, 0, 0, 60}, {0, 0, 60, 0}}};
constexpr std::array<float, classes> bias{0, -40, -40, -40};

struct Half {
    std::uint16_t bits;
};

float read(float value) { return value; }

float read(Half half) {
    const std::uint32_t sign = static_cast<std::uint32_t>(half.bits & 0x8000U) << 16;
    const std::uint32_t rest = half.bits & 0x7fffU;
    if (rest >= 0x7c00U) return std::bit_cast<float>(sign | 0x7f800000U | (rest & 0x3ffU) << 13);
    return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(std::bit_cast<float>(rest << 13) * 0x1p112F));
}

void write(float& target, float value) { target = value; }

// Of a value from 0 to 1, rounded to the nearest.
void write(Half& target, float value) {
    if (!(value <= 1.0F)) {
        target.bits = 0x7e00U;  // NaN
    } else if (value < 0x1p-14F) {
        target.bits = static_cast<std::uint16_t>(std::lrint(value * 0x1p24F));
    } else {
        const std::uint32_t bits = std::bit_cast<std::uint32_t>(value) - (112U << 23);
        target.bits = static_cast<std::uint16_t>((bits + 0xfffU + (bits >> 13 & 1U)) >> 13);
    }
}

template <class Element>
void softmax(std::int64_t voxels, const Element* input, Element* output) {
    const auto n = static_cast<std::size_t>(voxels);
    for (std::size_t voxel = 0; voxel < n; ++voxel) {
        std::array<float, classes> scores = bias;
        for (std::size_t c = 0; c < classes; ++c) {
            for (std::size_t k = 0; k < classes; ++k) scores[c] += weights[c][k] * read(input[k * n + voxel]);
        }
        const float largest = std::ranges::max(scores);
        float sum = 0;
        for (float& score : scores) sum += score = std::exp(score - largest);
        for (std::size_t c = 0; c < classes; ++c) write(output[c * n + voxel], scores[c] / sum);
    }
}

// How sure it is that a value of float32 is above a half, as tests/brain_networks.py has it.
void bright(std::int64_t voxels, const float* input, float* output) {
    for (std::int64_t voxel = 0; voxel < voxels; ++voxel) output[voxel] = 1 / (1 + std::exp(4 - 8 * input[voxel]));
}

}  // namespace

std::optional<Plan> parse(std::string_view text) {
    constexpr std::string_view magic = "FAKE PLAN";
    if (!text.starts_with(magic)) return std::nullopt;
    Plan plan;
    std::istringstream words{std::string(text.substr(magic.size()))};
    for (std::string word; words >> word;) {
        const std::string value = word.substr(word.find('=') + 1);
        if (word.starts_with("channels=")) plan.channels = std::stoll(value);
        if (word.starts_with("height=")) plan.height = std::stoll(value);
        if (word.starts_with("size=")) plan.size = std::stoll(value);
        if (word.starts_with("dtype=")) plan.dtype = value;
        if (word.starts_with("scratch=")) plan.scratch = std::stoll(value);
        if (word.starts_with("stripped=")) plan.stripped = std::stoll(value);
        if (word.starts_with("fault=")) plan.fault = value;
        if (word.starts_with("refittable=")) plan.refittable = value == "1";
        if (word.starts_with("gate=")) plan.gate = value;
    }
    return plan;
}

void run_network(const Plan& plan, const void* input, void* output) {
    if (plan.channels == 1) {
        bright(plan.voxels(), static_cast<const float*>(input), static_cast<float*>(output));
    } else if (plan.dtype == "float16") {
        softmax(plan.voxels(), static_cast<const Half*>(input), static_cast<Half*>(output));
    } else {
        softmax(plan.voxels(), static_cast<const float*>(input), static_cast<float*>(output));
    }
}

}  // namespace fake
