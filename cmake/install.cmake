# cmake --install BUILD --prefix DIR; then find_package(solobox) gives solobox::engine (and engine_double) for
# <solobox/engine.h>, and solobox::tool for <solobox/run.h>.
include(CMakePackageConfigHelpers)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/solobox)

install(TARGETS solobox RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(FILES ${CMAKE_BINARY_DIR}/apps/solobox.1.gz DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES ${CMAKE_SOURCE_DIR}/cmake/debian/copyright DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/solobox)
install(FILES ${CMAKE_BINARY_DIR}/apps/changelog.gz DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/solobox)
install(FILES ${CMAKE_BINARY_DIR}/apps/solobox.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions
        RENAME solobox)
install(FILES ${CMAKE_BINARY_DIR}/apps/solobox.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
install(TARGETS solobox_common solobox_product solobox_f32 solobox_f64 solobox_f64_only solobox_run_f32 solobox_tool
                solobox_third_party solobox_onnx EXPORT solobox_targets
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(CODE "execute_process(COMMAND \"\${CMAKE_COMMAND}\" \"-DSOURCE=${CMAKE_SOURCE_DIR}\"
  \"-DDESTINATION=${CMAKE_BINARY_DIR}/include\" -P \"${CMAKE_SOURCE_DIR}/cmake/install_headers.cmake\" COMMAND_ERROR_IS_FATAL ANY)")
install(DIRECTORY ${CMAKE_BINARY_DIR}/include/solobox DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT solobox_targets NAMESPACE solobox:: DESTINATION ${package_dir})
configure_package_config_file(cmake/soloboxConfig.cmake.in ${CMAKE_BINARY_DIR}/soloboxConfig.cmake
                              INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${CMAKE_BINARY_DIR}/soloboxConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/soloboxConfig.cmake ${CMAKE_BINARY_DIR}/soloboxConfigVersion.cmake
        DESTINATION ${package_dir})

# cpack (./scripts/package): a .deb with the tool, the library, the manual page and the completions.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME solobox)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(SOLOBOX_MAINTAINER "solobox authors <authors@solobox.invalid>" CACHE STRING "Maintainer field of the .deb")
set(CPACK_PACKAGE_CONTACT "${SOLOBOX_MAINTAINER}")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "deep-learning engine for the CPU that says why a network does not learn")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION "Overfits eight pictures and gives a verdict, trains single-box
regressors and residual networks, names what keeps a network from
learning, and settles claims with experiments. Comes with the library
that it is built on.")
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
# What programs that link the library need besides.
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "g++, cmake, libopenblas-dev, libfmt-dev, libyaml-cpp-dev, libpugixml-dev, nlohmann-json3-dev, libonnx-dev, libprotobuf-dev, zlib1g-dev")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
include(CPack)
