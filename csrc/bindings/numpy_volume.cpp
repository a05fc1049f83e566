#include "numpy_volume.hpp"

#include <bit>
#include <stdexcept>
#include <string>

namespace py = pybind11;

namespace brats::bindings {
namespace {

[[noreturn]] void refuse(const std::string& what, const py::array& array) {
    throw std::invalid_argument("expected " + what + ", got " + py::str(array.dtype()).cast<std::string>() +
                                " of shape " + py::str(array.attr("shape")).cast<std::string>());
}

DType dtype_of(const py::array& array) {
    const py::dtype dtype = array.dtype();
    const auto size = static_cast<std::size_t>(dtype.itemsize());
    switch (dtype.kind()) {
        case 'b': return DType::u8;
        case 'i':
            if (size == 1) return DType::i8;
            if (size == 2) return DType::i16;
            if (size == 4) return DType::i32;
            if (size == 8) return DType::i64;
            break;
        case 'u':
            if (size == 1) return DType::u8;
            if (size == 2) return DType::u16;
            if (size == 4) return DType::u32;
            if (size == 8) return DType::u64;
            break;
        case 'f':
            if (size == 2) return DType::f16;
            if (size == 4) return DType::f32;
            if (size == 8) return DType::f64;
            if (size == sizeof(long double)) return DType::longdouble;
            break;
        default: break;
    }
    refuse("integers or floats", array);
}

bool is_swapped(const py::dtype& dtype) {
    const char foreign = std::endian::native == std::endian::little ? '>' : '<';
    return dtype.byteorder() == foreign;
}

Index3 shape3(const py::array& array) { return {array.shape(0), array.shape(1), array.shape(2)}; }

Index3 strides3(const py::array& array) { return {array.strides(0), array.strides(1), array.strides(2)}; }

bool is_packed_floats(const py::array& array) {
    const bool aligned = (array.flags() & py::detail::npy_api::NPY_ARRAY_ALIGNED_) != 0;
    return py::isinstance<py::array_t<float, py::array::c_style>>(array) && aligned;
}

bool is_batch_of_channels(const py::array& array) {
    return is_packed_floats(array) && array.ndim() == 5 && (array.shape(0) == 1 || array.shape(0) == 2) &&
           array.shape(1) == static_cast<py::ssize_t>(classes);
}

}  // namespace

AffineMap to_map(const MapRows& rows) {
    AffineMap map{};
    for (std::size_t axis = 0; axis < 3; ++axis) {
        for (std::size_t column = 0; column < 3; ++column) map.matrix[axis][column] = rows[axis][column];
        map.offset[axis] = rows[axis][3];
    }
    return map;
}

Box to_box(const BoxTuple& box) { return {box.first, box.second}; }

py::tuple from_box(const Box& box) {
    const auto index = [](const Index3& at) { return py::make_tuple(at[0], at[1], at[2]); };
    return py::make_tuple(index(box.lower), index(box.upper));
}

py::tuple from_tally(const Tally& tally) {
    const auto& counts = tally.counts;
    return py::make_tuple(py::make_tuple(counts[0], counts[1], counts[2], counts[3]), from_box(tally.box));
}

Volume to_volume(const py::array& array, double slope, double intercept) {
    if (array.ndim() != 3 || array.size() == 0) refuse("a 3-D array that is not empty", array);
    return {static_cast<const std::byte*>(array.data()),
            dtype_of(array),
            is_swapped(array.dtype()),
            shape3(array),
            strides3(array),
            slope,
            intercept};
}

Channel to_channel(py::array& input, std::int64_t channel) {
    if (!is_batch_of_channels(input) || !input.writeable())
        refuse("a writable, C-contiguous float32 array of shape (1 or 2, 4, x, y, z)", input);
    if (channel < 0 || channel >= input.shape(1)) throw std::invalid_argument("expected a channel from 0 to 3");
    auto* values = static_cast<float*>(input.mutable_data());
    const std::int64_t voxels = input.shape(2) * input.shape(3) * input.shape(4);
    float* mirrored = input.shape(0) == 2 ? values + (input.shape(1) + channel) * voxels : nullptr;
    return {values + channel * voxels, mirrored, {input.shape(2), input.shape(3), input.shape(4)}};
}

Probabilities to_probabilities(const py::array& array) {
    if (!is_batch_of_channels(array)) refuse("a C-contiguous float32 array of shape (1 or 2, 4, x, y, z)", array);
    return {static_cast<const float*>(array.data()), array.shape(0), {array.shape(2), array.shape(3), array.shape(4)}};
}

FloatVolume to_float_volume(py::array& array) {
    if (array.ndim() != 3 || array.size() == 0 || !is_packed_floats(array) || !array.writeable())
        refuse("a writable, C-contiguous 3-D float32 array that is not empty", array);
    return {static_cast<float*>(array.mutable_data()), shape3(array)};
}

LabelMap to_label_map(py::array& array) {
    if (array.ndim() != 3 || array.size() == 0 || !py::isinstance<py::array_t<std::uint8_t>>(array) ||
        !array.writeable())
        refuse("a writable 3-D uint8 array that is not empty", array);
    return {static_cast<std::uint8_t*>(array.mutable_data()), shape3(array), strides3(array)};
}

}  // namespace brats::bindings
