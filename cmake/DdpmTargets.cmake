# One function for each of this project's four kinds of target.

# ddpm_add_library(NAME SOURCES... [LINK libs...] [PRIVATE_LINK libs...]): the static library ddpm_NAME_library with the
# alias ddpm::NAME (the plain name is taken: ddpm_data is a program).
function(ddpm_add_library name)
  cmake_parse_arguments(ARG "" "" "LINK;PRIVATE_LINK" ${ARGN})
  set(target ddpm_${name}_library)
  add_library(${target} STATIC ${ARG_UNPARSED_ARGUMENTS})
  add_library(ddpm::${name} ALIAS ${target})
  set_target_properties(${target} PROPERTIES EXPORT_NAME ${name})
  target_include_directories(${target} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>)
  target_link_libraries(${target} PUBLIC ${ARG_LINK} PRIVATE $<BUILD_INTERFACE:ddpm_flags> ${ARG_PRIVATE_LINK})
endfunction()

# ddpm_add_test(NAME SOURCES... LINK libs... [ONE_THREAD]): one GoogleTest binary whose cases are discovered at build
# time. ONE_THREAD: for many small training steps, where synchronizing threads would take longer than the work.
function(ddpm_add_test name)
  cmake_parse_arguments(ARG "ONE_THREAD" "TIMEOUT" "LINK;LABELS;PROPERTIES" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  if(NOT ARG_LABELS)
    set(ARG_LABELS cpu)   # gtest_discover_tests drops an empty value and takes the next property's name for it
  endif()
  add_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PRIVATE ${ARG_LINK} ddpm_flags GTest::gmock GTest::gtest_main)
  # Tests run in parallel: waiting threads must not spin on cores that other tests need.
  set(threading OMP_WAIT_POLICY=passive)
  # ThreadSanitizer does not understand GNU OpenMP's barriers, so oneDNN must stay on the calling thread; our own loops
  # then use plain threads (support/parallel.h).
  if(ARG_ONE_THREAD OR DDPM_SANITIZE MATCHES "thread")
    set(threading OMP_NUM_THREADS=1)
  endif()
  gtest_discover_tests(${name} DISCOVERY_TIMEOUT 60
    PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS "${ARG_LABELS}" ENVIRONMENT ${threading} ${ARG_PROPERTIES})
endfunction()

# ddpm_add_app(NAME SOURCES... LINK libs...): a program in bin/, installed unless it is a twin for the emulator.
function(ddpm_add_app name)
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  add_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PRIVATE ${ARG_LINK} ddpm_flags)
  if(NOT name MATCHES "_emulated$")
    set_property(GLOBAL APPEND PROPERTY DDPM_APPS ${name})
  endif()
endfunction()

# ddpm_add_benchmark(NAME SOURCES... LINK libs...): a Google Benchmark program in bin/.
function(ddpm_add_benchmark name)
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  add_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PRIVATE ${ARG_LINK} ddpm_flags benchmark::benchmark)
endfunction()
