# SPDX-License-Identifier: Apache-2.0
#
# Three helpers, so that a folder's CMakeLists.txt is a list of its files and nothing else:
#
#   leat_layer(name SOURCES ... USES layer... LIBS pkg...)   a static library of one folder
#   leat_test(name SOURCES ... USES layer... [LIBS pkg...])  a cmocka program, run by ctest
#   leat_fuzzer(name SOURCES ... USES layer...)              a libFuzzer target

add_library(leat_flags INTERFACE)
target_include_directories(leat_flags INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_definitions(leat_flags INTERFACE _GNU_SOURCE LEAT_VERSION="${PROJECT_VERSION}")
target_compile_options(leat_flags INTERFACE
    -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wundef
    -Wimplicit-fallthrough -fno-common)
target_link_libraries(leat_flags INTERFACE Threads::Threads m)
if(LEAT_WERROR)
    target_compile_options(leat_flags INTERFACE -Werror)
endif()
if(LEAT_TESTING)
    target_compile_definitions(leat_flags INTERFACE LEAT_TESTING=1)
else()
    target_compile_definitions(leat_flags INTERFACE LEAT_TESTING=0)
endif()
if(LEAT_SANITIZE)
    target_compile_options(leat_flags INTERFACE
        -fsanitize=${LEAT_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
    target_link_options(leat_flags INTERFACE -fsanitize=${LEAT_SANITIZE})
endif()

function(leat_layer name)
    cmake_parse_arguments(A "" "" "SOURCES;USES;LIBS" ${ARGN})
    add_library(leat_${name} STATIC ${A_SOURCES})
    target_link_libraries(leat_${name} PUBLIC leat_flags)
    foreach(use IN LISTS A_USES)
        target_link_libraries(leat_${name} PUBLIC leat_${use})
    endforeach()
    target_link_libraries(leat_${name} PUBLIC ${A_LIBS})
endfunction()

function(leat_test name)
    cmake_parse_arguments(A "" "TIMEOUT" "SOURCES;USES;LIBS" ${ARGN})
    add_executable(test_${name} ${A_SOURCES})
    foreach(use IN LISTS A_USES)
        target_link_libraries(test_${name} PRIVATE leat_${use})
    endforeach()
    target_link_libraries(test_${name} PRIVATE leat_flags PkgConfig::CMOCKA ${A_LIBS})
    add_test(NAME ${name} COMMAND test_${name} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
    if(NOT A_TIMEOUT)
        set(A_TIMEOUT 120)
    endif()
    set_tests_properties(${name} PROPERTIES TIMEOUT ${A_TIMEOUT})
endfunction()

function(leat_fuzzer name)
    if(NOT LEAT_FUZZ)
        return()
    endif()
    cmake_parse_arguments(A "" "" "SOURCES;USES;LIBS" ${ARGN})
    add_executable(fuzz_${name} ${A_SOURCES})
    foreach(use IN LISTS A_USES)
        target_link_libraries(fuzz_${name} PRIVATE leat_${use})
    endforeach()
    target_link_libraries(fuzz_${name} PRIVATE leat_flags ${A_LIBS})
    target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
endfunction()
