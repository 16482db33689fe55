# find_package(selfheal): the library to link (selfheal::selfheal), the command (selfheal::cli), and
# selfheal_add_test().
include("${CMAKE_CURRENT_LIST_DIR}/selfheal-targets.cmake")
include("${CMAKE_CURRENT_LIST_DIR}/SelfhealTest.cmake")
