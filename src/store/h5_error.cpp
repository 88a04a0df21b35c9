#include <sys/statvfs.h>

#include <cstdlib>
#include <cstring>

#include "striate/store/h5.hpp"

namespace striate::h5 {
namespace {

struct Stack {
  std::string innermost, all;
};

herr_t collect(unsigned depth, H5E_error2_t const* e, void* data) {
  auto& stack = *static_cast<Stack*>(data);
  std::string const text = e->desc ? e->desc : "";
  if (depth == 0)
    stack.innermost = text;
  else if (depth == 1 && e->min_num == H5E_MPIERRSTR)  // MPI's own words stand one level above
    stack.innermost += ": " + text;
  stack.all += text + "\n";
  return 0;
}

bool disk_is_full(std::string const& stack, std::filesystem::path const& file, Exit code) {
  for (char const* sign : {"errno = 28", "errno = 122", "No space left", "NO_SPACE", "quota exceeded", "ERR_QUOTA"})
    if (stack.find(sign) != std::string::npos) return true;
  struct statvfs fs = {};  // some MPI-IO layers report only "I/O error"
  return code == Exit::io && statvfs(file.c_str(), &fs) == 0 && fs.f_blocks > 0 && fs.f_bavail == 0;
}

}  // namespace

void init() {
  static bool const once = [] {
    // striate holds its own lock on every output; HDF5's fail on NFS and Lustre.
    setenv("HDF5_USE_FILE_LOCKING", "FALSE", 0);
    H5dont_atexit();  // closing at exit is collective on parallel files: a dying rank would hang in it
    if (H5open() < 0) fail(Exit::internal, "the HDF5 library does not start");
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
    return true;
  }();
  static_cast<void>(once);
}

std::string version() {
  unsigned a = 0, b = 0, c = 0;
  H5get_libversion(&a, &b, &c);
  return fmt::format("{}.{}.{}", a, b, c);
}

bool is_parallel() {
#ifdef H5_HAVE_PARALLEL
  return true;
#else
  return false;
#endif
}

void raise(Exit code, std::filesystem::path const& file, std::string const& object, std::string const& what) {
  Stack stack;
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, collect, &stack);
  H5Eclear2(H5E_DEFAULT);
  for (char& c : stack.innermost)
    if (c == '\n') c = ' ';
  std::string const where = file.string() + (object.empty() ? "" : ": " + object);
  if (disk_is_full(stack.all, file, code))
    fail(Exit::io, "{}: {} (disk full: no space left on the device); free some and run the same command again", where,
         what);
  fail(code, "{}: {} ({})", where, what, stack.innermost.empty() ? "HDF5 gave no reason" : stack.innermost);
}

}  // namespace striate::h5
