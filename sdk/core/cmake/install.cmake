# find_package(rtmpose) and pkg-config for what is installed.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

install(TARGETS rtmpose_shared rtmpose_static EXPORT rtmpose_targets
  RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR}
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(FILES include/rtmpose.h include/rtmpose_core.h ../cpp/rtmpose.hpp ../cpp/rtmpose_values.hpp
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/rtmpose)
install(EXPORT rtmpose_targets FILE rtmposeTargets.cmake NAMESPACE rtmpose::
  DESTINATION ${package_folder})
configure_package_config_file(cmake/rtmposeConfig.cmake.in rtmposeConfig.cmake
  INSTALL_DESTINATION ${package_folder})
write_basic_package_version_file(rtmposeConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/rtmposeConfig.cmake
  ${CMAKE_CURRENT_BINARY_DIR}/rtmposeConfigVersion.cmake DESTINATION ${package_folder})
# From the file's own place: what is installed may be moved.
file(RELATIVE_PATH way_to_prefix "/p/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/p/")
configure_file(cmake/rtmpose.pc.in rtmpose.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/rtmpose.pc
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
