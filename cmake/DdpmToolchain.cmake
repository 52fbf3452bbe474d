# Settings of all targets: language level, warnings, sanitizers, compiler cache, CUDA detection.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
  set(CMAKE_CUDA_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
endif()

# One interface target holds the flags; the ddpm_add_* functions link it privately.
add_library(ddpm_flags INTERFACE)
target_compile_options(ddpm_flags INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual>
  # g++ 12 reports impossible overlaps inside std::string's operator+ (GCC bug 105651).
  $<$<AND:$<COMPILE_LANGUAGE:CXX>,$<CXX_COMPILER_ID:GNU>>:-Wno-restrict>
  # Random numbers must have the same bits on every machine: no contraction of a*b+c into an fma.
  $<$<COMPILE_LANGUAGE:CXX>:-ffp-contract=off>)
if(DDPM_WERROR)
  target_compile_options(ddpm_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Werror>)
endif()
if(DDPM_SANITIZE)
  target_compile_options(ddpm_flags INTERFACE
    $<$<COMPILE_LANGUAGE:CXX>:-fsanitize=${DDPM_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer -g>)
  target_link_options(ddpm_flags INTERFACE -fsanitize=${DDPM_SANITIZE})
endif()
target_include_directories(ddpm_flags INTERFACE ${PROJECT_SOURCE_DIR})

# AUTO looks for nvcc. Architectures are named, never 'native', which fails on a machine without a GPU.
set(DDPM_HAVE_CUDA OFF)
if(NOT DDPM_CUDA STREQUAL "OFF")
  include(CheckLanguage)
  check_language(CUDA)
  if(CMAKE_CUDA_COMPILER)
    if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
      set(CMAKE_CUDA_ARCHITECTURES 90)
    endif()
    set(CMAKE_CUDA_RUNTIME_LIBRARY Static)   # one binary that also starts without a driver
    enable_language(CUDA)
    if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)   # CMake 3.25 does not know that nvcc supports C++20
      set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
    endif()
    set(CMAKE_CUDA_STANDARD 20)
    set(CMAKE_CUDA_STANDARD_REQUIRED ON)
    set(CMAKE_CUDA_EXTENSIONS OFF)
    # CUDA 13 dropped nvToolsExt, and CMake 3.25.1 (Debian 12) marks that target deprecated even if it does not exist.
    # Nothing here links it.
    if(CMAKE_VERSION VERSION_LESS 3.26 AND NOT TARGET CUDA::nvToolsExt)
      add_library(CUDA::nvToolsExt INTERFACE IMPORTED)
    endif()
    find_package(CUDAToolkit REQUIRED)
    set(DDPM_HAVE_CUDA ON)
    message(STATUS "CUDA ${CUDAToolkit_VERSION}: compiling GPU code for sm_${CMAKE_CUDA_ARCHITECTURES}")
  elseif(DDPM_CUDA STREQUAL "ON")
    message(FATAL_ERROR "DDPM_CUDA=ON, but nvcc was not found: put it on PATH or set CMAKE_CUDA_COMPILER")
  else()
    message(STATUS "CUDA: nvcc was not found, building only the CPU part")
  endif()
endif()
