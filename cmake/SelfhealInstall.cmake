# `cmake --install build/release --prefix P` lays down
#
#   P/lib/libselfheal.so      to preload, or to link
#   P/bin/selfheal            the command; it finds the library next to itself (../lib)
#   P/include/selfheal/       the public C API, and C++ on top of it
#   P/lib/cmake/selfheal/     find_package(selfheal) → selfheal::selfheal
#
# On Debian, lib is lib/x86_64-linux-gnu for the prefix /usr.
include(CMakePackageConfigHelpers)

target_include_directories(selfheal INTERFACE
  $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
target_compile_definitions(selfheal INTERFACE SELFHEAL_LINKED)
set(package ${CMAKE_INSTALL_LIBDIR}/cmake/selfheal)

install(TARGETS selfheal EXPORT selfheal LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS selfheal_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY include/selfheal DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h*")
install(EXPORT selfheal NAMESPACE selfheal:: FILE selfheal-config.cmake DESTINATION ${package})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/selfheal-config-version.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/selfheal-config-version.cmake DESTINATION ${package})
