#pragma once

#include <string>

namespace brats::trt {

// What an ELF file lacks of what its headers promise; empty where it lacks nothing. The system's loader maps a file
// that was cut short without a look at its length, and the process dies of SIGBUS at the first page past the end. Empty
// too for what is no file of this kind, which the loader refuses in its own words.
std::string missing_of_elf(const std::string& path);

}  // namespace brats::trt
