# What the rooms of the top-level CMakeLists.txt are made of.

# solobox_room(FOLDER KIND [KIND SOURCE ...] ...): adds the folder's sources to SOLOBOX_<KIND>, KIND one of
# ONCE, TWICE, PRODUCT, SINGLE; those named behind a further word (without .cpp) to that list instead.
function(solobox_room folder kind)
  file(GLOB sources CONFIGURE_DEPENDS RELATIVE ${CMAKE_SOURCE_DIR} ${CMAKE_SOURCE_DIR}/${folder}/*.cpp)
  if(NOT sources)
    message(FATAL_ERROR "solobox_room: ${folder} has no sources")
  endif()
  set(list ${kind})
  foreach(word ${ARGN})
    if(word MATCHES "^(ONCE|TWICE|PRODUCT|SINGLE)$")
      set(list ${word})
      continue()
    endif()
    set(source ${folder}/${word}.cpp)
    if(NOT source IN_LIST sources)
      message(FATAL_ERROR "solobox_room: there is no ${source}")
    endif()
    list(REMOVE_ITEM sources ${source})
    list(APPEND SOLOBOX_${list} ${source})
  endforeach()
  list(APPEND SOLOBOX_${kind} ${sources})
  file(GLOB everything RELATIVE ${CMAKE_SOURCE_DIR} ${CMAKE_SOURCE_DIR}/${folder}/*.cpp)
  solobox_together(${folder} ${everything})
  foreach(list ONCE TWICE PRODUCT SINGLE)
    set(SOLOBOX_${list} ${SOLOBOX_${list}} PARENT_SCOPE)
  endforeach()
endfunction()

# Sources of a room are compiled some at a time: they read the same headers and make the same templates, which is where
# the time goes. So names in unnamed namespaces are unique within a room. Few enough that one changed source costs
# seconds; a build that nobody works in takes more of them (SOLOBOX_TOGETHER, 1 compiles each alone).
function(solobox_together room)
  set(together ${SOLOBOX_TOGETHER})
  if(room MATCHES "^tests")  # changed more often than what they test
    math(EXPR together "(${together} + 1) / 2")
  endif()
  if(room STREQUAL "tensor/kernels")  # what is fast is so in every library, and does not depend on its neighbours
    set_source_files_properties(${ARGN} PROPERTIES COMPILE_OPTIONS $<IF:$<CONFIG:Release>,-O3,-O1>
                                                   SKIP_PRECOMPILE_HEADERS ON SKIP_UNITY_BUILD_INCLUSION ON)
    return()
  endif()
  string(REPLACE "/" "_" group ${room})
  set(count 0)
  foreach(source ${ARGN})
    math(EXPR number "${count} / ${together}")
    set_source_files_properties(${source} PROPERTIES UNITY_GROUP ${group}_${number})
    math(EXPR count "${count} + 1")
  endforeach()
endfunction()

# A source with options of its own. A header compiled under other options would not fit it, nor may it read more than
# its few includes: see the house test.
function(solobox_isa source)
  set_source_files_properties(${source} PROPERTIES COMPILE_OPTIONS "${ARGN}" SKIP_PRECOMPILE_HEADERS ON
                                                   SKIP_UNITY_BUILD_INCLUSION ON)
endfunction()

# What people wait for is its compiler, not its speed: -Og takes two thirds of the time of -O1, instrumented half of it.
function(solobox_quick)
  set(quick $<$<CONFIG:Release>:-Og>)
  if(SOLOBOX_SANITIZE)
    set(quick -Og)
  endif()
  foreach(target ${ARGN})
    target_compile_options(${target} PRIVATE ${quick})
  endforeach()
endfunction()

# Half of a source's time went into reading these.
function(solobox_precompile target)
  if(SOLOBOX_PCH)
    target_precompile_headers(${target} PRIVATE <algorithm> <array> <chrono> <cmath> <cstdint> <filesystem> <fstream>
      <functional> <map> <memory> <optional> <set> <span> <string> <utility> <vector> <fmt/format.h> <fmt/ranges.h> ${ARGN})
  endif()
endfunction()

# The headers that another target has precompiled: one with the same options (definitions aside that no header of these
# asks for), else the compiler says so (-Winvalid-pch) and reads them again.
function(solobox_precompiled_by owner)
  foreach(target ${ARGN})
    if(SOLOBOX_PCH)
      target_precompile_headers(${target} REUSE_FROM ${owner})
    endif()
  endforeach()
endfunction()

function(solobox_unity target)
  if(SOLOBOX_TOGETHER GREATER 1)
    set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_MODE GROUP)
  endif()
endfunction()

function(solobox_library name)
  add_library(${name} STATIC ${ARGN})
  add_library(solobox::${name} ALIAS ${name})
  target_include_directories(${name} PUBLIC $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}>
                                            $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_compile_features(${name} PUBLIC cxx_std_20)
  target_link_libraries(${name} PRIVATE $<BUILD_INTERFACE:solobox_flags>)
  solobox_unity(${name})
endfunction()
