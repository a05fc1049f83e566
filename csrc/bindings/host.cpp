#include <pybind11/pybind11.h>

#include "../host/parallel.hpp"
#include "../host/row_kernels.hpp"
#include "register.hpp"

PYBIND11_MODULE(_host, module) {
    module.doc() = "The stages before and after the network, on the CPU.";
    brats::bindings::register_align(module);
    brats::bindings::register_foreground(module);
    brats::bindings::register_gather(module);
    brats::bindings::register_network(module);
    brats::bindings::register_scatter(module);
    brats::bindings::register_restore(module);
    module.def("usable_cores", brats::usable_cores, "The cores that this process may run on.");
    module.attr("instruction_set") = brats::row_kernels().name;
    module.attr("compiler") = BRATS_COMPILER;
    module.attr("build_flags") = BRATS_BUILD_FLAGS;
}
