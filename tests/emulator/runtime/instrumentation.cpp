// The calls that -fsanitize=thread puts before every access: this runtime's own, in place of the sanitizer's library.
#include "worker.hpp"

using emulator::Access;

namespace {

inline void note(const volatile void* address, uint32_t size, Access access, const void* site, bool aligned) {
    if (!emulator_current) return;  // host code: a static initialiser
    emulator::current_thread().worker->access(reinterpret_cast<uint64_t>(address), size, access,
                                              reinterpret_cast<uint64_t>(site), aligned);
}

}  // namespace

#define EMULATOR_SITE __builtin_return_address(0)
#define EMULATOR_PLAIN(size)                                                                         \
    void __tsan_read##size(void* a) { note(a, size, Access::read, EMULATOR_SITE, true); }            \
    void __tsan_write##size(void* a) { note(a, size, Access::write, EMULATOR_SITE, true); }          \
    void __tsan_volatile_read##size(void* a) { note(a, size, Access::read, EMULATOR_SITE, true); }   \
    void __tsan_volatile_write##size(void* a) { note(a, size, Access::write, EMULATOR_SITE, true); } \
    void __tsan_unaligned_read##size(void* a) { note(a, size, Access::read, EMULATOR_SITE, false); } \
    void __tsan_unaligned_write##size(void* a) { note(a, size, Access::write, EMULATOR_SITE, false); }

#define EMULATOR_ATOMIC(bits, type)                                                                  \
    type __tsan_atomic##bits##_load(const volatile type* a, int) {                                   \
        note(a, bits / 8, Access::atomic, EMULATOR_SITE, true);                                      \
        return __atomic_load_n(a, __ATOMIC_SEQ_CST);                                                 \
    }                                                                                                \
    void __tsan_atomic##bits##_store(volatile type* a, type v, int) {                                \
        note(a, bits / 8, Access::atomic, EMULATOR_SITE, true);                                      \
        __atomic_store_n(a, v, __ATOMIC_SEQ_CST);                                                    \
    }                                                                                                \
    type __tsan_atomic##bits##_exchange(volatile type* a, type v, int) {                             \
        note(a, bits / 8, Access::atomic, EMULATOR_SITE, true);                                      \
        return __atomic_exchange_n(a, v, __ATOMIC_SEQ_CST);                                          \
    }                                                                                                \
    int __tsan_atomic##bits##_compare_exchange_strong(volatile type* a, type* c, type v, int, int) { \
        note(a, bits / 8, Access::atomic, EMULATOR_SITE, true);                                      \
        return __atomic_compare_exchange_n(a, c, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);      \
    }                                                                                                \
    int __tsan_atomic##bits##_compare_exchange_weak(volatile type* a, type* c, type v, int, int) {   \
        note(a, bits / 8, Access::atomic, EMULATOR_SITE, true);                                      \
        return __atomic_compare_exchange_n(a, c, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);      \
    }                                                                                                \
    EMULATOR_FETCH(bits, type, add)                                                                  \
    EMULATOR_FETCH(bits, type, sub)                                                                  \
    EMULATOR_FETCH(bits, type, and)                                                                  \
    EMULATOR_FETCH(bits, type, or)                                                                   \
    EMULATOR_FETCH(bits, type, xor)

#define EMULATOR_FETCH(bits, type, name)                                     \
    type __tsan_atomic##bits##_fetch_##name(volatile type* a, type v, int) { \
        note(a, bits / 8, Access::atomic, EMULATOR_SITE, true);              \
        return __atomic_fetch_##name(a, v, __ATOMIC_SEQ_CST);                \
    }

extern "C" {

void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void*, void*) {}
void __tsan_vptr_read(void*) {}
void __tsan_atomic_thread_fence(int) {}
void __tsan_atomic_signal_fence(int) {}

EMULATOR_PLAIN(1)
EMULATOR_PLAIN(2)
EMULATOR_PLAIN(4)
EMULATOR_PLAIN(8)
EMULATOR_PLAIN(16)

void __tsan_read_range(void* a, unsigned long n) { note(a, n, Access::read, EMULATOR_SITE, false); }
void __tsan_write_range(void* a, unsigned long n) { note(a, n, Access::write, EMULATOR_SITE, false); }

EMULATOR_ATOMIC(8, uint8_t)
EMULATOR_ATOMIC(16, uint16_t)
EMULATOR_ATOMIC(32, uint32_t)
EMULATOR_ATOMIC(64, uint64_t)

}  // extern "C"
