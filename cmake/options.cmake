# Options that every target of this project links: warnings, sanitizers, and arithmetic that gives the same bits with
# every instruction set (no contraction into fused multiply-adds).
add_library(brats_options INTERFACE)
target_compile_options(brats_options INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion -ffp-contract=off)
if(BRATS_TRT_SANITIZE)
  target_compile_options(brats_options INTERFACE -fsanitize=${BRATS_TRT_SANITIZE} -fno-sanitize-recover=all
                                                 -fno-omit-frame-pointer)
  target_link_options(brats_options INTERFACE -fsanitize=${BRATS_TRT_SANITIZE})
endif()
