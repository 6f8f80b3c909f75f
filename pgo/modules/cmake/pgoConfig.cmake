# SPDX-License-Identifier: Apache-2.0
# Profiles in a build by CMake (3.19 or newer), generators Ninja and Makefiles:
#
#	find_package(pgo)                    # no REQUIRED: without pgo the build is what it was
#	if(pgo_FOUND)
#	  pgo_optimize(app TARGET app CONFIG ${CMAKE_SOURCE_DIR}/pgo.conf)
#	endif()
#
#	pgo_optimize(<target>
#	  [TARGET <name>] [CONFIG <pgo.conf>]  last-good of a target of the configuration, or
#	  [PROFILE <file or directory>]        a file, or a directory that `pgo get` fills
#	  [STAGE both|record|use]              both: to be recorded, and with a profile if there is one
#	  [REQUIRE none|any|fresh]             none; otherwise the build ends without such a profile
#	  [BOLT]                               llvm-bolt rewrites the linked program (PGO_BOLT_EXECUTABLE: which)
#	  [OPTIONS <option>...])               more options of pgo flags
#
# Every build asks for the profile (a tenth of a second), and an equal one rebuilds nothing.  The compiler gets its
# flags by @FILE; the names in them are relative to the build directory.  Works on C and C++ sources.

cmake_minimum_required(VERSION 3.19)

find_program(PGO_EXECUTABLE pgo HINTS "${CMAKE_CURRENT_LIST_DIR}/../../../bin")
mark_as_advanced(PGO_EXECUTABLE)
if(NOT PGO_EXECUTABLE)
  set(pgo_FOUND FALSE)
  set(pgo_NOT_FOUND_MESSAGE "the program pgo is not on the path (PGO_EXECUTABLE)")
  return()
endif()
set_property(GLOBAL PROPERTY pgo_module_dir "${CMAKE_CURRENT_LIST_DIR}")

# The directory from which the generator runs compilers.
function(_pgo_base ret)
  if(CMAKE_GENERATOR MATCHES "Ninja")
    set(${ret} "${CMAKE_BINARY_DIR}" PARENT_SCOPE)
  else()
    set(${ret} "${CMAKE_CURRENT_BINARY_DIR}" PARENT_SCOPE)
  endif()
endfunction()

# Sources of one language depend on its flags.  Called at the end of the directory, when all of them are known.
function(_pgo_sources target lang file)
  set(endings_C "\\.c$")
  set(endings_CXX "\\.(cc|cp|cpp|cxx|c\\+\\+|C|CPP)$")
  get_target_property(sources ${target} SOURCES)
  foreach(source IN LISTS sources)
    get_source_file_property(named "${source}" LANGUAGE)
    if(named STREQUAL lang OR source MATCHES "${endings_${lang}}")
      set_property(SOURCE "${source}" APPEND PROPERTY OBJECT_DEPENDS "${file}")
    endif()
  endforeach()
endfunction()

# One run of pgo flags now, so that the files are there, and one in every build.
function(_pgo_ask target name dir base compiler own)
  set(command "${PGO_EXECUTABLE}" flags --compiler "${compiler}" "--own=${own}" --dir "${dir}" ${ARGN})
  execute_process(COMMAND ${command} WORKING_DIRECTORY "${base}" RESULT_VARIABLE code)
  if(NOT code EQUAL 0)
    message(FATAL_ERROR "pgo flags for ${target} ended with ${code}")
  endif()
  set(files "${base}/${dir}/${PGO_KEY}.cflags" "${base}/${dir}/${PGO_KEY}.ldflags")
  add_custom_target(${name} COMMAND ${command}
    BYPRODUCTS ${files} WORKING_DIRECTORY "${base}" COMMENT "Asking for the profile of ${target}" VERBATIM)
  add_dependencies(${target} ${name})
endfunction()

function(pgo_optimize target)
  cmake_parse_arguments(PARSE_ARGV 1 PGO "BOLT" "TARGET;CONFIG;PROFILE;STAGE;REQUIRE" "OPTIONS")
  if(PGO_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "pgo_optimize(${target}): there is no use for ${PGO_UNPARSED_ARGUMENTS}")
  endif()
  foreach(pair "STAGE both" "REQUIRE none" "CONFIG pgo.conf")
    string(REPLACE " " ";" pair "${pair}")
    list(GET pair 0 word)
    list(GET pair 1 value)
    if(NOT PGO_${word})
      set(PGO_${word} ${value})
    endif()
  endforeach()
  set(PGO_KEY pgo)
  if(PGO_TARGET)
    set(PGO_KEY "${PGO_TARGET}")
    get_filename_component(config "${PGO_CONFIG}" ABSOLUTE BASE_DIR "${CMAKE_CURRENT_SOURCE_DIR}")
    set(where --target "${PGO_TARGET}" --config "${config}")
  elseif(PGO_PROFILE)
    get_filename_component(profile "${PGO_PROFILE}" ABSOLUTE BASE_DIR "${CMAKE_CURRENT_SOURCE_DIR}")
    set(where --profile "${profile}")
  else()
    set(PGO_STAGE record)
  endif()
  set(options ${where} ${PGO_OPTIONS})
  if(where)
    list(APPEND options --require ${PGO_REQUIRE})
  endif()
  set(more ${options})
  if(PGO_BOLT)
    list(APPEND more --bolt)
  endif()
  get_target_property(lto ${target} INTERPROCEDURAL_OPTIMIZATION)
  if(lto)
    list(APPEND more --lto)
  endif()

  _pgo_base(base)
  file(RELATIVE_PATH here "${base}" "${CMAKE_CURRENT_BINARY_DIR}")
  if(here)
    set(here "${here}/")
  endif()
  string(TOUPPER "${CMAKE_BUILD_TYPE}" type)
  get_property(languages GLOBAL PROPERTY ENABLED_LANGUAGES)
  foreach(lang C CXX)
    if(NOT lang IN_LIST languages)
      continue()
    endif()
    set(dir "${here}pgo/${target}/${lang}")
    _pgo_ask(${target} pgo_${target}_${lang} "${dir}" "${base}" "${CMAKE_${lang}_COMPILER} ${CMAKE_${lang}_COMPILER_ARG1}"
      "${CMAKE_${lang}_FLAGS} ${CMAKE_${lang}_FLAGS_${type}}" --stage ${PGO_STAGE} ${more})
    target_compile_options(${target} PRIVATE "$<$<COMPILE_LANGUAGE:${lang}>:@${dir}/${PGO_KEY}.cflags>")
    target_link_options(${target} PRIVATE "$<$<LINK_LANGUAGE:${lang}>:@${dir}/${PGO_KEY}.ldflags>")
    set_property(TARGET ${target} APPEND PROPERTY LINK_DEPENDS "${base}/${dir}/${PGO_KEY}.ldflags")
    cmake_language(EVAL CODE
      "cmake_language(DEFER CALL _pgo_sources [[${target}]] [[${lang}]] [[${base}/${dir}/${PGO_KEY}.cflags]])")
  endforeach()
  if(PGO_BOLT AND where)
    _pgo_bolt(${target} "${base}" "${here}pgo/${target}/bolt")
  endif()
endfunction()

function(_pgo_bolt target base dir)
  find_program(PGO_BOLT_EXECUTABLE NAMES llvm-bolt llvm-bolt-23 llvm-bolt-22 llvm-bolt-21 llvm-bolt-20 llvm-bolt-19
    llvm-bolt-18 llvm-bolt-17 llvm-bolt-16 llvm-bolt-15)
  mark_as_advanced(PGO_BOLT_EXECUTABLE)
  if(NOT PGO_BOLT_EXECUTABLE)
    if(NOT PGO_REQUIRE STREQUAL none)
      message(FATAL_ERROR "pgo_optimize(${target} BOLT): there is no llvm-bolt (PGO_BOLT_EXECUTABLE)")
    endif()
    message(STATUS "pgo_optimize(${target}): there is no llvm-bolt, so it rewrites nothing")
    return()
  endif()
  _pgo_ask(${target} pgo_${target}_bolt "${dir}" "${base}" "${PGO_BOLT_EXECUTABLE}" "" --stage use ${options})
  get_property(module_dir GLOBAL PROPERTY pgo_module_dir)
  set(flags "${base}/${dir}/${PGO_KEY}.cflags")
  set_property(TARGET ${target} APPEND PROPERTY LINK_DEPENDS "${flags}")
  add_custom_command(TARGET ${target} POST_BUILD WORKING_DIRECTORY "${base}"
    COMMAND "${CMAKE_COMMAND}" "-DBOLT=${PGO_BOLT_EXECUTABLE}" "-DPROGRAM=$<TARGET_FILE:${target}>" "-DFLAGS=${flags}"
      "-DREQUIRE=${PGO_REQUIRE}" -P "${module_dir}/pgoBolt.cmake" VERBATIM)
endfunction()
