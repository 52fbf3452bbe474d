# The four kinds of target of this project, each one call.

# ddpm_add_library(NAME SOURCES... [LINK libs...] [PRIVATE_LINK libs...]): static library ddpm_NAME_library, alias
# ddpm::NAME (the plain name is taken: ddpm_data is a program).
function(ddpm_add_library name)
  cmake_parse_arguments(ARG "" "" "LINK;PRIVATE_LINK" ${ARGN})
  set(target ddpm_${name}_library)
  add_library(${target} STATIC ${ARG_UNPARSED_ARGUMENTS})
  add_library(ddpm::${name} ALIAS ${target})
  target_include_directories(${target} PUBLIC ${PROJECT_SOURCE_DIR})
  target_link_libraries(${target} PUBLIC ${ARG_LINK} PRIVATE ddpm_flags ${ARG_PRIVATE_LINK})
endfunction()

# ddpm_add_test(NAME SOURCES... LINK libs... [ONE_THREAD]): one GoogleTest binary, its cases found at build time.
# ONE_THREAD: for many small training steps, whose threads would meet more often than they work.
function(ddpm_add_test name)
  cmake_parse_arguments(ARG "ONE_THREAD" "TIMEOUT" "LINK;LABELS;PROPERTIES" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  if(NOT ARG_LABELS)
    set(ARG_LABELS cpu)   # gtest_discover_tests drops an empty value, and takes the next property's name for it
  endif()
  add_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PRIVATE ${ARG_LINK} ddpm_flags GTest::gmock GTest::gtest_main)
  # Tests run side by side: threads that wait must not spin on the cores that others work on.
  set(threading OMP_WAIT_POLICY=passive)
  # ThreadSanitizer cannot see GNU OpenMP's barriers, so oneDNN has to keep to the calling thread; our own loops run on
  # plain threads then (support/parallel.h).
  if(ARG_ONE_THREAD OR DDPM_SANITIZE MATCHES "thread")
    set(threading OMP_NUM_THREADS=1)
  endif()
  gtest_discover_tests(${name} DISCOVERY_TIMEOUT 60
    PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS "${ARG_LABELS}" ENVIRONMENT ${threading} ${ARG_PROPERTIES})
endfunction()

# ddpm_add_app(NAME SOURCES... LINK libs...): a program in bin/.
function(ddpm_add_app name)
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  add_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PRIVATE ${ARG_LINK} ddpm_flags)
endfunction()

# ddpm_add_benchmark(NAME SOURCES... LINK libs...): a Google Benchmark program in bin/.
function(ddpm_add_benchmark name)
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  add_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PRIVATE ${ARG_LINK} ddpm_flags benchmark::benchmark)
endfunction()
