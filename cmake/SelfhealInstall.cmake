# `cmake --install build/release --prefix P` lays down
#
#   P/lib/libselfheal.so      to preload, or to link
#   P/bin/selfheal            the command; it finds the library next to itself (../lib)
#   P/include/selfheal/       the public C API, and C++ on top of it
#   P/lib/cmake/selfheal/     find_package(selfheal) → selfheal::selfheal, selfheal::cli, selfheal_add_test()
#   P/share/doc/selfheal/     drop-ins for systemd, a recipe for a container
#
# On Debian, lib is lib/x86_64-linux-gnu for the prefix /usr.
include(CMakePackageConfigHelpers)

target_include_directories(selfheal INTERFACE
  $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
target_compile_definitions(selfheal INTERFACE SELFHEAL_LINKED)
set(package ${CMAKE_INSTALL_LIBDIR}/cmake/selfheal)

install(TARGETS selfheal EXPORT selfheal LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
set_target_properties(selfheal_cli PROPERTIES EXPORT_NAME cli)
install(TARGETS selfheal_cli EXPORT selfheal RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY include/selfheal DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h*")
install(EXPORT selfheal NAMESPACE selfheal:: FILE selfheal-targets.cmake DESTINATION ${package})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/selfheal-config-version.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/selfheal-config-version.cmake cmake/package/selfheal-config.cmake
  cmake/package/SelfhealTest.cmake cmake/package/SelfhealTestRun.cmake DESTINATION ${package})

# The prefix is known only now: `cmake --install --prefix P`.
install(CODE "
  set(SELFHEAL_LIBRARY \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_LIBDIR}/libselfheal.so\")
  foreach(unit apache2 ssh named nginx redis-server)
    configure_file(\"${PROJECT_SOURCE_DIR}/packaging/systemd/\${unit}.service.d/selfheal.conf.in\"
      \"${PROJECT_BINARY_DIR}/packaging/systemd/\${unit}.service.d/selfheal.conf\" @ONLY)
  endforeach()")
install(FILES packaging/container/Containerfile DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/selfheal)
install(DIRECTORY ${PROJECT_BINARY_DIR}/packaging/systemd DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/selfheal)
