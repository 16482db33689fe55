# selfheal_add_test(NAME name COMMAND program [arguments...]
#                   [ALLOW_HEALS n] [STORE folder] [OPTIONS name=value...] [WORKING_DIRECTORY folder])
#
# A test that runs under libselfheal.so, in all its processes, and fails
#
#   - when its command fails, as any test does;
#   - when a fault was recorded, in whatever process: also when a shell, a supervisor or a pool of workers
#     hides that something of it died;
#   - when more than `n` (0) faults were healed;
#   - when the program cannot be run with the library (`selfheal doctor` says why).
#
# Nothing is known at its start, so nothing is healed but what its own processes recorded before. STORE names
# a store whose regions are known: a server's, to see whether the tests come by what crashes in production.
# It is copied, and never changed. OPTIONS are the library's (docs/options.md). What was recorded stays in
# selfheal-tests/NAME of the build folder, for `selfheal --store`.
function(selfheal_add_test)
  cmake_parse_arguments(PARSE_ARGV 0 TEST "" "NAME;ALLOW_HEALS;STORE;WORKING_DIRECTORY" "COMMAND;OPTIONS")
  if(NOT TEST_NAME OR NOT TEST_COMMAND OR TEST_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "selfheal_add_test(NAME name COMMAND program...): "
                        "name or command is missing, or not understood: '${TEST_UNPARSED_ARGUMENTS}'")
  endif()
  if(NOT DEFINED TEST_ALLOW_HEALS)
    set(TEST_ALLOW_HEALS 0)
  elseif(NOT TEST_ALLOW_HEALS MATCHES "^[0-9]+$")
    message(FATAL_ERROR "selfheal_add_test: ALLOW_HEALS is a number, not '${TEST_ALLOW_HEALS}'")
  endif()
  if(NOT TEST_WORKING_DIRECTORY)
    set(TEST_WORKING_DIRECTORY "${CMAKE_CURRENT_BINARY_DIR}")
  endif()
  if(TEST_STORE)
    get_filename_component(TEST_STORE "${TEST_STORE}" ABSOLUTE BASE_DIR "${CMAKE_CURRENT_BINARY_DIR}")
  endif()

  # An argument may hold semicolons, as a shell's do.
  set(command)
  foreach(argument IN LISTS TEST_COMMAND)
    if(NOT command AND TARGET "${argument}")
      set(argument "$<TARGET_FILE:${argument}>")  # a target's name stands for its file, as with add_test()
    endif()
    string(REPLACE ";" "\\;" argument "${argument}")
    list(APPEND command "${argument}")
  endforeach()
  list(JOIN TEST_OPTIONS ":" options)
  string(MAKE_C_IDENTIFIER "${TEST_NAME}" folder)
  add_test(NAME "${TEST_NAME}"
    COMMAND "${CMAKE_COMMAND}"
      "-DCLI=$<TARGET_FILE:selfheal::cli>" "-DSTORE=${CMAKE_CURRENT_BINARY_DIR}/selfheal-tests/${folder}"
      "-DKNOWN=${TEST_STORE}" "-DALLOWED=${TEST_ALLOW_HEALS}" "-DOPTIONS=${options}"
      -P "${CMAKE_CURRENT_FUNCTION_LIST_DIR}/SelfhealTestRun.cmake" -- ${command}
    WORKING_DIRECTORY "${TEST_WORKING_DIRECTORY}")
endfunction()
