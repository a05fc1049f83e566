#pragma once

#include <pybind11/pybind11.h>

namespace brats::bindings {

void register_library(pybind11::module_& module);
void register_engine(pybind11::module_& module);
void register_context(pybind11::module_& module);

}  // namespace brats::bindings
