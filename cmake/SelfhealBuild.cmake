# The one place that says how our code is compiled: the language, the warnings, and the two kinds of part.
#
#   selfheal_part(name SOURCES ...)   a part of libselfheal.so: no exceptions, no RTTI, hidden, PIC.
#   GENERAL_REGS_ONLY                 it runs while the guest's vector registers are live in the CPU,
#                                     so the compiler must not touch them.

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
endif()

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_C_STANDARD 11)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo)
endif()

add_library(selfheal_warnings INTERFACE)
target_compile_options(selfheal_warnings INTERFACE
  -Wall -Wextra -Werror -Wshadow -Wcast-align -Wformat=2 -Wundef -Wvla
  $<$<COMPILE_LANGUAGE:CXX>:-Wnon-virtual-dtor -Woverloaded-virtual -Wextra-semi>)
target_include_directories(selfheal_warnings INTERFACE ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/include)
target_compile_definitions(selfheal_warnings INTERFACE _GNU_SOURCE)

add_library(selfheal_sanitizers INTERFACE)
if(SELFHEAL_SANITIZE)
  target_compile_options(selfheal_sanitizers INTERFACE
    -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(selfheal_sanitizers INTERFACE -fsanitize=address,undefined)
endif()

# clang's -mgeneral-regs-only also takes `long double` away, and with it libstdc++'s headers; without
# SSE and MMX it has no reason to touch a vector register either.
if(CMAKE_CXX_COMPILER_ID MATCHES Clang)
  set(general_regs_only -mno-mmx -mno-sse)
else()
  set(general_regs_only -mgeneral-regs-only)
endif()

function(selfheal_part name)
  cmake_parse_arguments(PART "GENERAL_REGS_ONLY" "" "SOURCES;LINK" ${ARGN})
  add_library(${name} STATIC ${PART_SOURCES})
  target_link_libraries(${name} PUBLIC selfheal_warnings ${PART_LINK})
  target_compile_options(${name} PRIVATE
    -fvisibility=hidden -fno-plt -ftls-model=initial-exec -fno-stack-protector
    $<$<COMPILE_LANGUAGE:CXX>:-fno-exceptions -fno-rtti -fno-threadsafe-statics -fvisibility-inlines-hidden>)
  if(PART_GENERAL_REGS_ONLY)
    target_compile_options(${name} PRIVATE ${general_regs_only})
  else()
    target_link_libraries(${name} PUBLIC selfheal_sanitizers)
  endif()
endfunction()

# A Catch2 test program; every one links the shared main and is one ctest entry.
function(selfheal_test name)
  cmake_parse_arguments(TEST "" "" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${TEST_SOURCES})
  target_link_libraries(${name} PRIVATE selfheal_warnings selfheal_sanitizers selfheal_test_main ${TEST_LINK})
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT 300)
endfunction()
