#pragma once
/// The life of MPI in this process.
#include <functional>
#include <string>

#include "striate/base/error.hpp"

namespace striate {

/// Initialises MPI (FUNNELED) and finalises it; one in main. Before MPI_Init it chooses ROMIO for MPI-IO
/// (OMPI_MCA_io=^ompio: Open MPI 4.1's OMPIO is slow and its vulcan component corrupts data, ompi#12718) unless the
/// environment names OMPI_MCA_io or OMPI_MCA_fcoll, and switches shared-memory single copy off where the kernel
/// forbids it (containers). MPI errors return as codes. Works without mpiexec (one rank).
/// The destructor never finalises while an exception is unwinding: that would hang the job; let main call end_all.
class Mpi {
 public:
  Mpi(int& argc, char**& argv);
  ~Mpi();
  Mpi(Mpi const&) = delete;
  Mpi& operator=(Mpi const&) = delete;

  [[nodiscard]] static bool active() noexcept;   ///< between init and finalize
  [[nodiscard]] static std::string library();    ///< "Open MPI v4.1.4 …", first line
  [[nodiscard]] static std::string io_choice();  ///< what rules MPI-IO: "io=^ompio (chosen by striate)", "fcoll=… (user)"

 private:
  int uncaught_ = 0;
};

/// Ends every process of the job with `code` (MPI_Abort; std::_Exit without MPI). Any thread.
[[noreturn]] void abort_all(Exit code);

/// How end_all says the last line; main sets it (default: "error: TEXT" on stderr).
void set_last_words(std::function<void(Error const&)> say);

/// For a rank that failed while others may be busy or stuck: says the error through set_last_words and ends all.
[[noreturn]] void end_all(Error const& error);

}  // namespace striate
