# cmake --install BUILD --prefix DIR [--component apps]: the programs. cmake --install BUILD --prefix DIR
# --component development: the libraries behind ddpm::model and ddpm::executors, their headers, and
# ddpm-config.cmake, for find_package(ddpm).
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
set(CMAKE_INSTALL_RPATH_USE_LINK_PATH ON)   # installed programs find cuDNN and oneDNN where the build found them

# Headers in these folders are public; they are included by the same paths as here.
set(DDPM_PUBLIC_FOLDERS support data device kernels runtime model)

# Appends to the list `found` the libraries of this project that `target`, a name or an alias, links directly or not.
function(ddpm_linked_libraries target found)
  get_target_property(aliased ${target} ALIASED_TARGET)
  if(aliased)
    set(target ${aliased})
  endif()
  get_target_property(imported ${target} IMPORTED)
  if(imported OR target IN_LIST ${found})
    return()
  endif()
  list(APPEND ${found} ${target})
  get_target_property(linked ${target} LINK_LIBRARIES)
  foreach(library IN LISTS linked)
    if(TARGET "${library}")   # not a generator expression
      ddpm_linked_libraries(${library} ${found})
    endif()
  endforeach()
  set(${found} ${${found}} PARENT_SCOPE)
endfunction()

function(ddpm_install)
  get_property(apps GLOBAL PROPERTY DDPM_APPS)
  install(TARGETS ${apps} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT apps)

  set(libraries "")
  ddpm_linked_libraries(ddpm::model libraries)
  ddpm_linked_libraries(ddpm::executors libraries)
  set(headers ${CMAKE_INSTALL_INCLUDEDIR}/ddpm)
  set(package ${CMAKE_INSTALL_LIBDIR}/cmake/ddpm)
  install(TARGETS ${libraries} EXPORT ddpm-targets
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT development
    INCLUDES DESTINATION ${headers})
  install(DIRECTORY ${DDPM_PUBLIC_FOLDERS} DESTINATION ${headers} COMPONENT development
    FILES_MATCHING PATTERN "*.h" PATTERN emulator EXCLUDE PATTERN emulated EXCLUDE)
  install(EXPORT ddpm-targets NAMESPACE ddpm:: DESTINATION ${package} COMPONENT development)
  configure_package_config_file(cmake/ddpm-config.cmake.in ddpm-config.cmake INSTALL_DESTINATION ${package})
  write_basic_package_version_file(ddpm-config-version.cmake COMPATIBILITY SameMinorVersion)
  install(FILES
    ${PROJECT_BINARY_DIR}/ddpm-config.cmake ${PROJECT_BINARY_DIR}/ddpm-config-version.cmake
    cmake/FindCUDNN.cmake cmake/FindDnnl.cmake
    DESTINATION ${package} COMPONENT development)
endfunction()
