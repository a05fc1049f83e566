// A stack that execution can leave and come back to.
#pragma once

#include <cstddef>

#if (defined(__x86_64__) || defined(__aarch64__)) && !defined(EMULATOR_PORTABLE)
#define EMULATOR_SWITCH 1  // by hand: ucontext's makes a system call
#else
#include <ucontext.h>
#endif

namespace emulator {

/// A point of execution that was left: a stack pointer, the registers being on its stack.
struct Context {
#if EMULATOR_SWITCH
    void* stack_pointer = nullptr;
#else
    ucontext_t state;
#endif
};

/// Leaves the running context in `from` and goes on where `to` was left.
void switch_context(Context& from, Context& to);

/// Owns a stack with a guard page below it. It never moves: its context points into it.
class Fiber {
public:
    /// `number` staggers the stacks, so that the tops of many do not fall in the same lines of the cache.
    Fiber(size_t bytes, size_t number);
    ~Fiber();
    Fiber(const Fiber&) = delete;
    Fiber& operator=(const Fiber&) = delete;

    /// Makes the next switch to this fiber start `entry`, which must never return. What ran on it is forgotten.
    void restart(void (*entry)());

    Context context;
    char* low;
    size_t bytes;
    size_t skew;
    bool fresh = true;  // never started, or abandoned
};

}  // namespace emulator
