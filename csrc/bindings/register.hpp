#pragma once

#include <pybind11/pybind11.h>

namespace brats::bindings {

void register_align(pybind11::module_& module);
void register_foreground(pybind11::module_& module);
void register_gather(pybind11::module_& module);
void register_network(pybind11::module_& module);
void register_restore(pybind11::module_& module);
void register_scatter(pybind11::module_& module);

}  // namespace brats::bindings
