#include "elf.hpp"

#include <elf.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <optional>
#include <system_error>

namespace brats::trt {
namespace {

constexpr std::uint64_t endless = std::numeric_limits<std::uint64_t>::max();

// Where so many entries end; the numbers may be anything.
std::uint64_t end_of(std::uint64_t offset, std::uint64_t count, std::uint64_t entry) {
    const std::uint64_t nbytes = count * entry;  // at most 65535 each
    return offset > endless - nbytes ? endless : offset + nbytes;
}

template <class Header>
std::optional<Header> read_at(std::ifstream& file, std::uint64_t offset) {
    Header header{};
    if (!file.seekg(static_cast<std::streamoff>(offset))) return std::nullopt;
    if (!file.read(reinterpret_cast<char*>(&header), sizeof(header))) return std::nullopt;
    return header;
}

bool is_known(const Elf64_Ehdr& header) {
    return std::memcmp(&header.e_ident, ELFMAG, SELFMAG) == 0 && header.e_ident[EI_CLASS] == ELFCLASS64 &&
           header.e_phentsize == sizeof(Elf64_Phdr);
}

// How many bytes the headers speak of, given those that are there.
std::uint64_t promised(std::ifstream& file, const Elf64_Ehdr& header, std::uint64_t nbytes) {
    std::uint64_t end = std::max(end_of(header.e_phoff, header.e_phnum, header.e_phentsize),
                                 end_of(header.e_shoff, header.e_shnum, header.e_shentsize));
    for (std::uint64_t i = 0; i < header.e_phnum && end_of(header.e_phoff, i + 1, header.e_phentsize) <= nbytes; ++i) {
        const auto segment = read_at<Elf64_Phdr>(file, header.e_phoff + i * header.e_phentsize);
        if (!segment) break;
        end = std::max(
            end, segment->p_filesz > endless - segment->p_offset ? endless : segment->p_offset + segment->p_filesz);
    }
    return end;
}

}  // namespace

std::string missing_of_elf(const std::string& path) {
    std::error_code fault;
    if (!std::filesystem::is_regular_file(path, fault)) return {};
    const std::uint64_t nbytes = std::filesystem::file_size(path, fault);
    std::ifstream file(path, std::ios::binary);
    const auto header = read_at<Elf64_Ehdr>(file, 0);
    if (fault || !header || !is_known(*header)) return {};
    const std::uint64_t expected = promised(file, *header, nbytes);
    if (expected <= nbytes) return {};
    return "the file is cut short, it has " + std::to_string(nbytes) + " bytes and its headers speak of " +
           std::to_string(expected) + ": install it again";
}

}  // namespace brats::trt
