# cmake --install BUILD --prefix DIR; then find_package(solobox) gives solobox::solobox_f32 and solobox::solobox_f64.
include(CMakePackageConfigHelpers)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/solobox)

install(TARGETS solobox RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS solobox_common solobox_product solobox_f32 solobox_f64 solobox_run_f32 solobox_third_party EXPORT solobox_targets
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
foreach(room tensor nn optim data train)
  install(DIRECTORY ${room} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/solobox FILES_MATCHING PATTERN "*.h")
endforeach()
install(EXPORT solobox_targets NAMESPACE solobox:: DESTINATION ${package_dir})
configure_package_config_file(cmake/soloboxConfig.cmake.in ${CMAKE_BINARY_DIR}/soloboxConfig.cmake
                              INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${CMAKE_BINARY_DIR}/soloboxConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/soloboxConfig.cmake ${CMAKE_BINARY_DIR}/soloboxConfigVersion.cmake
        DESTINATION ${package_dir})
