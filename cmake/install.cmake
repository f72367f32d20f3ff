# cmake --install BUILD --prefix DIR; then find_package(solobox) gives solobox::solobox_f32 and solobox::solobox_f64, and
# solobox::solobox_tool to programs with a task of their own.
include(CMakePackageConfigHelpers)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/solobox)

install(TARGETS solobox RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS solobox_common solobox_product solobox_f32 solobox_f64 solobox_f64_only solobox_run_f32 solobox_tool
                solobox_third_party solobox_onnx EXPORT solobox_targets
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
foreach(room tensor nn optim data train)
  install(DIRECTORY ${room} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/solobox FILES_MATCHING PATTERN "*.h")
endforeach()
install(FILES apps/tool.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/solobox/apps)
install(EXPORT solobox_targets NAMESPACE solobox:: DESTINATION ${package_dir})
configure_package_config_file(cmake/soloboxConfig.cmake.in ${CMAKE_BINARY_DIR}/soloboxConfig.cmake
                              INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${CMAKE_BINARY_DIR}/soloboxConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/soloboxConfig.cmake ${CMAKE_BINARY_DIR}/soloboxConfigVersion.cmake
        DESTINATION ${package_dir})
