execute_process(COMMAND git -C ${SOURCE} describe --always --dirty --abbrev=12 OUTPUT_VARIABLE commit
                OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
if(NOT commit)
  set(commit "unknown")
endif()
set(text "#include \"striate/base/version.hpp\"
namespace striate {
char const* version() noexcept { return \"${VERSION}\"; }
char const* git_commit() noexcept { return \"${commit}\"; }
char const* build_type() noexcept { return \"${BUILD_TYPE}\"; }
}  // namespace striate
")
if(EXISTS ${OUT})
  file(READ ${OUT} old)
endif()
if(NOT "${old}" STREQUAL "${text}")
  file(WRITE ${OUT} "${text}")
endif()
