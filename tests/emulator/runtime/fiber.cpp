#include "fiber.hpp"

#include <sys/mman.h>

#include <cstdint>
#include <cstring>
#include <new>

#if EMULATOR_SWITCH && defined(__x86_64__)
// It leaves by a jump: the processor would predict a return to whoever called it last, on another stack.
asm(R"(
.text
.globl emulator_switch_stack
.hidden emulator_switch_stack
.type emulator_switch_stack, @function
emulator_switch_stack:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    popq %rcx
    jmp *%rcx
.size emulator_switch_stack, .-emulator_switch_stack
)");
#elif EMULATOR_SWITCH
asm(R"(
.text
.globl emulator_switch_stack
.hidden emulator_switch_stack
.type emulator_switch_stack, %function
emulator_switch_stack:
    sub sp, sp, #160
    stp x19, x20, [sp, #0]
    stp x21, x22, [sp, #16]
    stp x23, x24, [sp, #32]
    stp x25, x26, [sp, #48]
    stp x27, x28, [sp, #64]
    stp x29, x30, [sp, #80]
    stp d8, d9, [sp, #96]
    stp d10, d11, [sp, #112]
    stp d12, d13, [sp, #128]
    stp d14, d15, [sp, #144]
    mov x9, sp
    str x9, [x0]
    mov sp, x1
    ldp x19, x20, [sp, #0]
    ldp x21, x22, [sp, #16]
    ldp x23, x24, [sp, #32]
    ldp x25, x26, [sp, #48]
    ldp x27, x28, [sp, #64]
    ldp x29, x30, [sp, #80]
    ldp d8, d9, [sp, #96]
    ldp d10, d11, [sp, #112]
    ldp d12, d13, [sp, #128]
    ldp d14, d15, [sp, #144]
    add sp, sp, #160
    ret
.size emulator_switch_stack, .-emulator_switch_stack
)");
#endif

namespace emulator {

#if EMULATOR_SWITCH
extern "C" void emulator_switch_stack(void** from, void* to);

void switch_context(Context& from, Context& to) { emulator_switch_stack(&from.stack_pointer, to.stack_pointer); }
#else
void switch_context(Context& from, Context& to) { swapcontext(&from.state, &to.state); }
#endif

namespace {
constexpr size_t guard_bytes = 65536;  // a multiple of every page size in use
}

Fiber::Fiber(size_t size, size_t number) : bytes(size), skew(number % 61 * 320) {
    void* block =
        mmap(nullptr, guard_bytes + bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (block == MAP_FAILED) throw std::bad_alloc();
    mprotect(block, guard_bytes, PROT_NONE);
    low = static_cast<char*>(block) + guard_bytes;
}

Fiber::~Fiber() { munmap(low - guard_bytes, guard_bytes + bytes); }

void Fiber::restart(void (*entry)()) {
    fresh = false;
#if EMULATOR_SWITCH && defined(__x86_64__)
    // Six registers, the entry as the return address, and a slot that keeps the stack aligned as after a call.
    auto** top = reinterpret_cast<void**>(low + bytes - skew) - 8;
    std::memset(top, 0, 8 * sizeof(void*));
    top[6] = reinterpret_cast<void*>(entry);
    context.stack_pointer = top;
#elif EMULATOR_SWITCH
    auto** top = reinterpret_cast<void**>(low + bytes - skew) - 20;
    std::memset(top, 0, 20 * sizeof(void*));
    top[11] = reinterpret_cast<void*>(entry);  // x30, the link register
    context.stack_pointer = top;
#else
    getcontext(&context.state);
    context.state.uc_stack.ss_sp = low;
    context.state.uc_stack.ss_size = bytes - skew;
    context.state.uc_link = nullptr;
    makecontext(&context.state, entry, 0);
#endif
}

}  // namespace emulator
