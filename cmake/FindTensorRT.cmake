# The C++ headers of TensorRT, or of TensorRT-RTX, and those of CUDA that they include. No library is looked for: it is
# loaded at run time.
#
# Looked for in this order: TensorRT_ROOT (a variable or of the environment: an unpacked SDK, or a folder of headers), the
# system, the packages of the Python at hand, and build/headers, which scripts/fetch_headers.py fills. CUDA's headers are
# looked for below CUDAToolkit_ROOT and CUDA_HOME first.
#
# Sets TensorRT_FOUND, TensorRT_VERSION, TensorRT_RTX, TensorRT_INCLUDE_DIR and TensorRT_CUDA_INCLUDE_DIR, and defines the
# target TensorRT::headers. Headers before 10.14 count as not found: the runner calls what came with it.
find_package(Python QUIET COMPONENTS Interpreter)
set(_site_packages "")
if(Python_Interpreter_FOUND)
  execute_process(COMMAND ${Python_EXECUTABLE} -c "import sysconfig; print(sysconfig.get_path('purelib'))"
                  OUTPUT_VARIABLE _site_packages OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
endif()
set(_fetched ${CMAKE_CURRENT_LIST_DIR}/../build/headers)

# One after the other: within one call, CMake would search the system before the paths that are given.
set(_roots ${TensorRT_ROOT} $ENV{TensorRT_ROOT})
find_path(TensorRT_INCLUDE_DIR NvInferVersion.h PATHS ${_roots} PATH_SUFFIXES include NO_DEFAULT_PATH)
if(_roots AND NOT TensorRT_INCLUDE_DIR)
  message(FATAL_ERROR "TensorRT_ROOT is ${_roots}, which holds no NvInferVersion.h, nor does its include: name an "
                      "unpacked SDK, or unset it")
endif()
find_path(TensorRT_INCLUDE_DIR NvInferVersion.h PATH_SUFFIXES ${CMAKE_SYSTEM_PROCESSOR}-linux-gnu)
find_path(TensorRT_INCLUDE_DIR NvInferVersion.h
          PATHS ${_site_packages}/tensorrt ${_site_packages}/kernel_lens/include/tensorrt ${_fetched}/tensorrt
          PATH_SUFFIXES include NO_DEFAULT_PATH)

# A toolkit's folder always has crt/host_defines.h; a wheel of CUDA's runtime alone lacks it, and would not compile.
find_path(TensorRT_CUDA_INCLUDE_DIR crt/host_defines.h
          PATHS ${CUDAToolkit_ROOT} $ENV{CUDAToolkit_ROOT} $ENV{CUDA_HOME} $ENV{CUDA_PATH} PATH_SUFFIXES include
          NO_DEFAULT_PATH)
find_path(TensorRT_CUDA_INCLUDE_DIR crt/host_defines.h PATHS /usr/local/cuda/include)
find_path(TensorRT_CUDA_INCLUDE_DIR crt/host_defines.h
          PATHS ${_site_packages}/nvidia/cu13/include ${_site_packages}/nvidia/cuda_runtime/include ${_fetched}/cuda
          NO_DEFAULT_PATH)
mark_as_advanced(TensorRT_INCLUDE_DIR TensorRT_CUDA_INCLUDE_DIR)

unset(TensorRT_VERSION)
set(TensorRT_RTX FALSE)
if(TensorRT_INCLUDE_DIR)
  # NV_TENSORRT_MAJOR is a number, or the name of another macro of the same file.
  file(STRINGS ${TensorRT_INCLUDE_DIR}/NvInferVersion.h _lines REGEX "^#define +[A-Z_]+ +[A-Z0-9_]+")
  foreach(_part MAJOR MINOR PATCH)
    set(_name NV_TENSORRT_${_part})
    foreach(_step RANGE 2)
      if(_name AND NOT _name MATCHES "^[0-9]+$")
        string(REGEX MATCH "#define +${_name} +([A-Z0-9_]+)" _found "${_lines}")
        set(_name "${CMAKE_MATCH_1}")
      endif()
    endforeach()
    list(APPEND TensorRT_VERSION ${_name})
  endforeach()
  list(JOIN TensorRT_VERSION . TensorRT_VERSION)
  if("${_lines}" MATCHES "TRT_MAJOR_RTX")
    set(TensorRT_RTX TRUE)
  endif()
endif()

set(_reason "")
set(TensorRT_SUPPORTED ${TensorRT_VERSION})
if(TensorRT_VERSION AND NOT TensorRT_RTX AND TensorRT_VERSION VERSION_LESS 10.14)
  set(_reason "the headers in ${TensorRT_INCLUDE_DIR} are of ${TensorRT_VERSION}, 10.14 or later is needed")
  set(TensorRT_SUPPORTED FALSE)
endif()
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(
  TensorRT
  REQUIRED_VARS TensorRT_INCLUDE_DIR TensorRT_CUDA_INCLUDE_DIR TensorRT_SUPPORTED
  VERSION_VAR TensorRT_VERSION
  REASON_FAILURE_MESSAGE "${_reason}")

if(TensorRT_FOUND AND NOT TARGET TensorRT::headers)
  add_library(TensorRT::headers INTERFACE IMPORTED)
  set_target_properties(TensorRT::headers PROPERTIES INTERFACE_INCLUDE_DIRECTORIES
                                                     "${TensorRT_INCLUDE_DIR};${TensorRT_CUDA_INCLUDE_DIR}")
endif()
