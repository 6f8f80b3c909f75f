# SPDX-License-Identifier: Apache-2.0
# After the link: llvm-bolt rewrites PROGRAM by the options in the file FLAGS, which is empty where there is no profile.
# What the linker made stays beside it as PROGRAM.linked: profiles of the rewritten program are brought back to it.
file(READ "${FLAGS}" flags)
if(flags STREQUAL "")
  return()
endif()
execute_process(COMMAND "${BOLT}" "${PROGRAM}" -o "${PROGRAM}.bolt" "@${FLAGS}" RESULT_VARIABLE code OUTPUT_QUIET
  ERROR_VARIABLE said)
if(code EQUAL 0)
  file(RENAME "${PROGRAM}" "${PROGRAM}.linked")
  file(RENAME "${PROGRAM}.bolt" "${PROGRAM}")
elseif(REQUIRE STREQUAL none)
  message(WARNING "llvm-bolt ended with ${code}: ${PROGRAM} is not rewritten\n${said}")
else()
  message(FATAL_ERROR "llvm-bolt ended with ${code}\n${said}")
endif()
