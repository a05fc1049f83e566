#include "logger.hpp"

#include <algorithm>
#include <cstddef>
#include <new>
#include <string_view>

namespace brats::trt {
namespace {

constexpr std::size_t most_lines = 64;
constexpr std::size_t longest_line = 600;

std::string one_line(std::string_view message) {
    std::string text(message.substr(0, longest_line));
    std::ranges::replace(text, '\n', ' ');
    while (!text.empty() && text.back() == ' ') text.pop_back();
    return text;
}

}  // namespace

Logger& Logger::instance() {
    static auto* const logger = new Logger;
    return *logger;
}

void Logger::log(Severity severity, const char* message) noexcept {
    if (severity > Severity::kWARNING || message == nullptr) return;
    try {
        keep(severity, message);
    } catch (const std::bad_alloc&) {
        return;  // a line less; TensorRT allows no exception here
    }
}

void Logger::keep(Severity severity, const char* message) {
    std::string text = one_line(message);
    const std::scoped_lock lock(mutex_);
    lines_.push_back({next_++, std::this_thread::get_id(), severity, std::move(text)});
    if (lines_.size() > most_lines) lines_.pop_front();
}

std::string Logger::lines_since(std::uint64_t first, bool own_thread, bool errors) {
    const std::scoped_lock lock(mutex_);
    std::string joined;
    for (const Line& line : lines_) {
        const bool wanted = line.number >= first && (!own_thread || line.thread == std::this_thread::get_id()) &&
                            (line.severity <= Severity::kERROR) == errors;
        if (!wanted) continue;
        if (!joined.empty()) joined += " | ";
        joined += line.text;
    }
    return joined;
}

Logger::Since::Since() {
    Logger& logger = instance();
    const std::scoped_lock lock(logger.mutex_);
    first_ = logger.next_;
}

std::string Logger::Since::lines() const {
    for (const bool errors : {true, false}) {
        for (const bool own_thread : {true, false}) {
            std::string lines = instance().lines_since(first_, own_thread, errors);
            if (!lines.empty()) return lines;
        }
    }
    return {};
}

std::string Logger::Since::explain(const std::string& fault) const {
    const std::string words = lines();
    return words.empty() ? fault : fault + " [TensorRT: " + words + "]";
}

}  // namespace brats::trt
