#include "../network/network.hpp"

#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "register.hpp"

namespace py = pybind11;
using namespace py::literals;

namespace brats::bindings {
namespace {

using network::Kernels;
using network::Network;
using Array = py::array_t<float, py::array::c_style | py::array::forcecast>;
using Exact = py::array_t<float, py::array::c_style>;
using References = std::vector<std::pair<int, std::int64_t>>;

network::Floats values(const Array& array) { return {array.data(), static_cast<std::size_t>(array.size())}; }

network::Floats values(const std::optional<Array>& array) { return array ? values(*array) : network::Floats{}; }

const Kernels& kernels_for(const std::string& precision, const std::optional<std::string>& instruction_set) {
    if (precision != "fp32" && precision != "bf16")
        throw py::value_error("precision '" + precision + "' is not known; expected 'fp32' or 'bf16'");
    const auto supported = network::supported_kernels(precision == "fp32" ? 1 : 2);
    if (!instruction_set && !supported.empty()) return *supported.back();
    for (const Kernels* kernels : supported)
        if (kernels->name == instruction_set) return *kernels;
    throw py::value_error("this processor has no kernels for " + precision +
                          (instruction_set ? " with " + *instruction_set : ""));
}

// One call at a time, others wait: a network has one set of tensors. Without the GIL meanwhile.
class SerialNetwork {
public:
    SerialNetwork(std::array<std::int64_t, 3> size, const std::string& precision, int threads,
                  const std::optional<std::string>& instruction_set)
        : grid_{size[0], size[1], size[2]}, network_(kernels_for(precision, instruction_set), grid_, threads) {}

    template <class Call>
    auto with(const Call& call) {
        const py::gil_scoped_release release;
        const std::scoped_lock lock(mutex_);
        return call(network_);
    }

    void run(const py::array& crop, py::array& softmax, const std::vector<int>& absent) {
        check(crop, "crop");
        check(softmax, "softmax");
        if (!softmax.writeable()) throw py::value_error("softmax is read-only; it takes the answer");
        const auto* const from = static_cast<const float*>(crop.data());
        auto* const to = static_cast<float*>(softmax.mutable_data());
        std::uint32_t bits = 0;
        for (const int channel : absent) {
            if (channel < 0 || channel > 3) throw py::value_error("an absent channel is to be from 0 to 3");
            bits |= 1U << static_cast<unsigned>(channel);
        }
        with([&](Network& network) { network.run(from, to, bits); });
    }

private:
    // (4, D, H, W), or (1, 4, D, H, W).
    [[nodiscard]] bool has_shape(const py::array& array) const {
        const std::array<std::int64_t, 4> expected{4, grid_.depth, grid_.height, grid_.width};
        const py::ssize_t ahead = array.ndim() - 4;
        return (ahead == 0 || (ahead == 1 && array.shape(0) == 1)) &&
               std::equal(expected.begin(), expected.end(), array.shape() + ahead);
    }

    void check(const py::array& array, const std::string& name) const {
        const bool aligned = (array.flags() & py::detail::npy_api::NPY_ARRAY_ALIGNED_) != 0;
        if (py::isinstance<Exact>(array) && aligned && has_shape(array)) return;
        throw py::value_error(name + " is to be C-contiguous float32 of (4, " + std::to_string(grid_.depth) + ", " +
                              std::to_string(grid_.height) + ", " + std::to_string(grid_.width) + "), got " +
                              py::str(array.dtype()).cast<std::string>() + " of shape " +
                              py::str(array.attr("shape")).cast<std::string>() + ", strides " +
                              py::str(array.attr("strides")).cast<std::string>());
    }

    network::Grid grid_;
    Network network_;
    std::mutex mutex_;
};

int convolve(SerialNetwork& self, int tensor, const std::tuple<Array, Array, float>& norm, std::int64_t groups,
             const Array& weights, const std::optional<Array>& bias, std::optional<int> residual) {
    const auto& [gamma, beta, epsilon] = norm;
    if (residual && *residual < 0) throw py::value_error("tensor " + std::to_string(*residual) + " is not there");
    const network::Norm before{values(gamma), values(beta), epsilon};
    return self.with([&](Network& network) {
        return network.convolve(tensor, before, groups, values(weights), values(bias),
                                residual.value_or(network::none));
    });
}

int mix(SerialNetwork& self, const References& sources, const Array& weights, const std::optional<Array>& bias) {
    std::vector<network::Reference> references;
    for (const auto& [tensor, parts] : sources) references.push_back({tensor, parts});
    return self.with([&](Network& network) { return network.mix(references, values(weights), values(bias)); });
}

}  // namespace

void register_network(py::module_& module) {
    py::class_<SerialNetwork>(module, "Network",
                              "A cascade of 3-D U-Nets, built layer by layer; tensors are named by numbers, the input "
                              "is 0.\n\nLayers raise ValueError where they do not fit.")
        .def(py::init<std::array<std::int64_t, 3>, const std::string&, int, const std::optional<std::string>&>(),
             "size"_a, py::kw_only(), "precision"_a, "threads"_a = 0, "instruction_set"_a = py::none())
        .def_property_readonly(
            "instruction_set",
            [](SerialNetwork& self) { return self.with([](Network& network) { return network.kernels().name; }); },
            "What its kernels were compiled for.")
        .def_property_readonly(
            "nbytes", [](SerialNetwork& self) { return self.with([](Network& network) { return network.bytes(); }); },
            "Of all tensors and weights.")
        .def(
            "average",
            [](SerialNetwork& self, int tensor) {
                return self.with([&](Network& network) { return network.average(tensor); });
            },
            "tensor"_a, "Means over 2x2x2 voxels of the input or of such means.")
        .def(
            "convolve_first",
            [](SerialNetwork& self, int tensor, const Array& weights, const std::optional<Array>& bias) {
                return self.with(
                    [&](Network& network) { return network.convolve_first(tensor, values(weights), values(bias)); });
            },
            "tensor"_a, "weights"_a, "bias"_a = py::none(), "3x3x3 of the input, a group a channel.")
        .def("convolve", convolve, "tensor"_a, py::kw_only(), "norm"_a, "groups"_a, "weights"_a, "bias"_a = py::none(),
             "residual"_a = py::none(),
             "3x3x3 behind an instance norm (gamma, beta, epsilon) and a ReLU, plus a residual tensor.")
        .def(
            "reduce",
            [](SerialNetwork& self, int tensor, std::int64_t groups, const Array& weights,
               const std::optional<Array>& bias) {
                return self.with(
                    [&](Network& network) { return network.reduce(tensor, groups, values(weights), values(bias)); });
            },
            "tensor"_a, py::kw_only(), "groups"_a, "weights"_a, "bias"_a = py::none(), "3x3x3 with stride 2.")
        .def("mix", mix, "sources"_a, "weights"_a, "bias"_a = py::none(),
             "1x1x1 of (tensor, parts) one behind the other; of several equal parts the greatest is taken.")
        .def(
            "expand",
            [](SerialNetwork& self, std::pair<int, std::int64_t> source, const Array& weights,
               const std::optional<Array>& bias) {
                return self.with([&](Network& network) {
                    return network.expand({source.first, source.second}, values(weights), values(bias));
                });
            },
            "source"_a, "weights"_a, "bias"_a = py::none(), "2x2x2 with stride 2, transposed, of (tensor, parts).")
        .def(
            "classify",
            [](SerialNetwork& self, int tensor, const Array& weights, const std::optional<Array>& bias) {
                return self.with(
                    [&](Network& network) { return network.classify(tensor, values(weights), values(bias)); });
            },
            "tensor"_a, "weights"_a, "bias"_a = py::none(), "1x1x1 to four classes, and their softmax.")
        .def("run", &SerialNetwork::run, "crop"_a, "softmax"_a, "absent"_a = std::vector<int>{},
             "Run on float32 (4, D, H, W), into `softmax` of that shape; both C-contiguous. Calls wait for each "
             "other.\n\n"
             "The parts of the channels in `absent` are left out wherever the greatest of four parts is taken.");
    module.def(
        "network_precisions",
        [] {
            std::vector<std::string> names{"fp32"};
            if (!network::supported_kernels(2).empty()) names.emplace_back("bf16");
            return py::tuple(py::cast(names));
        },
        "The precisions that networks run in natively on this processor.");
}

}  // namespace brats::bindings
