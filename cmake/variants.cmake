# add_variants(LIBRARY SOURCE PREFIX VARIANTS variant... OPTIONS option...): compiles SOURCE once for each instruction set
# that the target's processors may have, as the object library PREFIX_variant, into the namespace BRATS_VARIANT, and adds
# the objects to LIBRARY.
set(variant_baseline)
set(variant_avx2 -march=x86-64-v3)
set(variant_avx512 -march=x86-64-v4 -mprefer-vector-width=512)
set(variant_avx512_bf16 ${variant_avx512} -mavx512bf16)

function(add_variants library source prefix)
  cmake_parse_arguments(PARSE_ARGV 3 arg "" "" "VARIANTS;OPTIONS")
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    target_compile_definitions(${library} PUBLIC BRATS_X86_VARIANTS)
  else()
    set(arg_VARIANTS baseline)
  endif()
  foreach(variant ${arg_VARIANTS})
    set(objects ${prefix}_${variant})
    add_library(${objects} OBJECT ${source})
    target_compile_definitions(${objects} PRIVATE BRATS_VARIANT=${variant})
    target_compile_options(${objects} PRIVATE ${arg_OPTIONS} ${variant_${variant}})
    target_include_directories(${objects} PRIVATE ${PROJECT_SOURCE_DIR}/brats_trt/kernels)
    target_link_libraries(${objects} PRIVATE brats_options)
    target_sources(${library} PRIVATE $<TARGET_OBJECTS:${objects}>)
  endforeach()
endfunction()

# test_variants(PREFIX VARIANTS variant...): a weak symbol in a variant's object could be linked in for every processor.
function(test_variants prefix)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "VARIANTS")
  foreach(variant ${arg_VARIANTS})
    if(TARGET ${prefix}_${variant})
      add_test(NAME ${prefix}_${variant}_share_nothing
               COMMAND sh -c "! ${CMAKE_NM} $<TARGET_OBJECTS:${prefix}_${variant}> | grep -E ' [WVu] '")
    endif()
  endforeach()
endfunction()
