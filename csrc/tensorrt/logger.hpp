// TensorRT's own words, kept for the text of exceptions.
#pragma once

#include <NvInferRuntime.h>

#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <thread>

namespace brats::trt {

// One for the process, and never destroyed: TensorRT keeps the first logger it is given for its global objects, which
// outlive every runtime. Warnings and errors are kept, the latest of them only.
class Logger final : public nvinfer1::ILogger {
public:
    static Logger& instance();

    void log(Severity severity, const char* message) noexcept override;

    // The lines that were logged since it was made: the calling thread's where it has any, else every thread's; of
    // these the errors, else the warnings.
    class Since {
    public:
        Since();

        // `fault`, with the lines behind it where there are any.
        [[nodiscard]] std::string explain(const std::string& fault) const;

    private:
        [[nodiscard]] std::string lines() const;

        std::uint64_t first_;
    };

private:
    struct Line {
        std::uint64_t number;
        std::thread::id thread;
        Severity severity;
        std::string text;
    };

    Logger() = default;
    void keep(Severity severity, const char* message);
    std::string lines_since(std::uint64_t first, bool own_thread, bool errors);

    std::mutex mutex_;
    std::uint64_t next_ = 0;
    std::deque<Line> lines_;
};

}  // namespace brats::trt
