#include <fcntl.h>

#include <algorithm>
#include <unistd.h>

#include <cstring>
#include <exception>
#include <sstream>

#include "striate/par/together.hpp"
#include "striate/store/h5.hpp"

namespace striate::h5 {
namespace {

/// Everything of `path` that this rank's kernel holds goes to the disk.
void sync_to_disk(std::filesystem::path const& path) {
  int const fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) fail(Exit::io, "{}: cannot be opened to sync it ({})", path.string(), std::strerror(errno));
  int const failed = fsync(fd) == 0 ? 0 : errno;
  ::close(fd);
  if (failed && failed != EINVAL && failed != EROFS)
    fail(Exit::io, "{}: cannot sync to disk ({}{})", path.string(), failed == ENOSPC ? "disk full: " : "", std::strerror(failed));
}

/// The common settings of serial and parallel files.
Id access_list(Comm const& comm, bool parallel) {
  init();
  Id fapl(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
  H5Pset_libver_bounds(fapl.get(), H5F_LIBVER_V18, H5F_LIBVER_LATEST);  // readable by old h5py; no open-for-write mark
  H5Pset_sieve_buf_size(fapl.get(), 0);  // flags and sums go through at once
  H5Pset_fclose_degree(fapl.get(), H5F_CLOSE_STRONG);
#if H5_VERSION_GE(1, 12, 1) || (H5_VERS_MAJOR == 1 && H5_VERS_MINOR == 10 && H5_VERS_RELEASE >= 7)
  H5Pset_file_locking(fapl.get(), false, true);
#endif
  if (!parallel) return fapl;
  MPI_Info hints = MPI_INFO_NULL;
  MPI_Info_create(&hints);
  MPI_Info_set(hints, "romio_ds_write", "disable");  // never read-modify-write a neighbour's bytes
  herr_t const set = H5Pset_fapl_mpio(fapl.get(), *static_cast<MPI_Comm const*>(comm.native()), hints);
  MPI_Info_free(&hints);
  if (set < 0) raise(Exit::internal, "", "", "HDF5 refuses MPI-IO");
  H5Pset_coll_metadata_write(fapl.get(), true);
  return fapl;
}

bool is_parallel_comm(Comm const& comm) { return comm.has_mpi() && comm.size() > 1; }

void check_readable(std::filesystem::path const& path) {
  int const fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) fail(Exit::no_input, "{}: cannot be opened ({})", path.string(), std::strerror(errno));
  ::close(fd);
  if (std::filesystem::is_directory(path)) fail(Exit::no_input, "{}: is a directory, not an HDF5 file", path.string());
  htri_t const is = H5Fis_hdf5(path.c_str());
  if (is <= 0) {
    H5Eclear2(H5E_DEFAULT);
    fail(Exit::data, "{}: is not an HDF5 file", path.string());
  }
}

/// "a/b/c" → "a", "a/b", "a/b/c".
std::vector<std::string> prefixes(std::string const& name) {
  std::vector<std::string> all;
  std::istringstream parts(name);
  std::string part, so_far;
  while (std::getline(parts, part, '/')) {
    if (part.empty()) continue;
    so_far += (so_far.empty() ? "" : "/") + part;
    all.push_back(so_far);
  }
  return all;
}

}  // namespace

File& File::operator=(File&& o) noexcept {
  std::swap(comm_, o.comm_);
  std::swap(parallel_, o.parallel_);
  std::swap(uncaught_, o.uncaught_);
  std::swap(writable_, o.writable_);
  std::swap(path_, o.path_);
  std::swap(id_, o.id_);
  return *this;
}

File::~File() {
  if (parallel_ && std::uncaught_exceptions() > uncaught_) id_.leak();
}

File File::create(Comm const& comm, std::filesystem::path const& path) {
  File f;
  f.parallel_ = is_parallel_comm(comm);
  f.comm_ = comm, f.path_ = path, f.writable_ = true, f.uncaught_ = std::uncaught_exceptions();
  Id const fapl = access_list(comm, f.parallel_);
  together(comm, [&] {  // the system says better than MPI-IO why a place cannot be written
    if (!comm.root()) return;
    int const fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0)
      fail(errno == ENOSPC ? Exit::io : Exit::cant_create, "{}: cannot be created ({}{})", path.string(),
           errno == ENOSPC ? "disk full: " : "", std::strerror(errno));
    ::close(fd);
  });
  Id fcpl(H5Pcreate(H5P_FILE_CREATE), H5Pclose);
  H5Pset_attr_phase_change(fcpl.get(), 64, 32);  // root attributes stay in the object header: changed in one write
  together(comm, [&] {
    f.id_ = Id(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, fcpl.get(), fapl.get()), H5Fclose);
    if (!f.id_) raise(Exit::cant_create, path, "", "cannot be created");
  });
  return f;
}

File File::open_for_writing(Comm const& comm, std::filesystem::path const& path) {
  File f;
  f.parallel_ = is_parallel_comm(comm);
  f.comm_ = comm, f.path_ = path, f.writable_ = true, f.uncaught_ = std::uncaught_exceptions();
  Id const fapl = access_list(comm, f.parallel_);
  together(comm, [&] {
    if (comm.root()) check_readable(path);
  });
  together(comm, [&] {
    // A file that rank 0 has just renamed may show up later on other nodes of a network file system.
    for (int turn = 0; turn < 100 && ::access(path.c_str(), F_OK) != 0; ++turn) usleep(100000);
    if (::access(path.c_str(), W_OK) != 0)
      fail(Exit::cant_create, "{}: cannot be written ({})", path.string(), std::strerror(errno));
  }, 15);
  together(comm, [&] {
    f.id_ = Id(H5Fopen(path.c_str(), H5F_ACC_RDWR, fapl.get()), H5Fclose);
    if (!f.id_) raise(Exit::data, path, "", "cannot be opened, it may be damaged");
  });
  return f;
}

File File::open(std::filesystem::path const& path) {
  File f;
  f.path_ = path, f.uncaught_ = std::uncaught_exceptions();
  Id const fapl = access_list({}, false);
  check_readable(path);
  f.id_ = Id(H5Fopen(path.c_str(), H5F_ACC_RDONLY, fapl.get()), H5Fclose);
  if (!f.id_) raise(Exit::data, path, "", "cannot be opened, it may be damaged");
  return f;
}

void File::flush() {
  if (!id_) return;
  if (H5Fflush(id_.get(), H5F_SCOPE_GLOBAL) < 0) raise(Exit::io, path_, "", "cannot write to disk");
  sync_to_disk(path_);  // a parallel flush has done it for this rank's writes; it costs nothing then
}

void File::close() {
  if (!id_) return;
  if (writable_ && H5Fflush(id_.get(), H5F_SCOPE_GLOBAL) < 0) raise(Exit::io, path_, "", "cannot write to disk");
  hid_t const id = id_.get();
  id_.leak();
  if (H5Fclose(id) < 0) raise(Exit::io, path_, "", "cannot be closed");
  if (writable_) sync_to_disk(path_);
}

bool File::has(std::string const& name) const {
  for (std::string const& p : prefixes(name))
    if (H5Lexists(id_.get(), p.c_str(), H5P_DEFAULT) <= 0) return H5Eclear2(H5E_DEFAULT), false;
  return true;
}

bool File::is_dataset(std::string const& name) const {
  if (!has(name)) return false;
  Id const object(H5Oopen(id_.get(), name.c_str(), H5P_DEFAULT), H5Oclose);
  return object && H5Iget_type(object.get()) == H5I_DATASET;
}

std::vector<std::string> File::names(std::string const& group) const {
  Id const g(H5Gopen2(id_.get(), group.c_str(), H5P_DEFAULT), H5Gclose);
  if (!g) raise(Exit::data, path_, group, "there is no such group");
  H5G_info_t info = {};
  H5Gget_info(g.get(), &info);
  std::vector<std::string> all;
  for (hsize_t i = 0; i < info.nlinks; ++i) {
    auto const by_name = [&](char* out, std::size_t size) {
      return H5Lget_name_by_idx(g.get(), ".", H5_INDEX_NAME, H5_ITER_INC, i, out, size, H5P_DEFAULT);
    };
    ssize_t const length = by_name(nullptr, 0);
    if (length < 0) raise(Exit::io, path_, group, "cannot be listed");
    std::string name(static_cast<std::size_t>(length) + 1, '\0');
    by_name(name.data(), name.size());
    name.pop_back();
    all.push_back(std::move(name));
  }
  return all;
}

Dataset File::create_dataset(std::string const& name, Dtype type, Shape const& shape, Layout const& layout) {
  std::vector<hsize_t> const dims(shape.begin(), shape.end());
  Id const space(dims.empty() ? H5Screate(H5S_SCALAR)
                              : H5Screate_simple(static_cast<int>(dims.size()), dims.data(), nullptr), H5Sclose);
  Id const dcpl(H5Pcreate(H5P_DATASET_CREATE), H5Pclose), lcpl(H5Pcreate(H5P_LINK_CREATE), H5Pclose);
  H5Pset_create_intermediate_group(lcpl.get(), 1);
  H5Pset_char_encoding(lcpl.get(), H5T_CSET_UTF8);
  H5Pset_fill_time(dcpl.get(), H5D_FILL_TIME_NEVER);
  H5Pset_alloc_time(dcpl.get(), H5D_ALLOC_TIME_EARLY);
  H5Pset_obj_track_times(dcpl.get(), false);
  if (!layout.chunk.empty() && volume(shape) > 0) {
    std::vector<hsize_t> const chunk(layout.chunk.begin(), layout.chunk.end());
    H5Pset_chunk(dcpl.get(), static_cast<int>(chunk.size()), chunk.data());
    if (layout.gzip > 0) {
      H5Pset_shuffle(dcpl.get());
      H5Pset_deflate(dcpl.get(), static_cast<unsigned>(layout.gzip));
      H5Pset_alloc_time(dcpl.get(), H5D_ALLOC_TIME_INCR);
    }
  }
  Id const dapl(H5Pcreate(H5P_DATASET_ACCESS), H5Pclose);
  H5Pset_chunk_cache(dapl.get(), 1, 0, 1.0);  // values go straight to the file
  // For this dataset alone: a newer file as a whole would be marked as being written, and refused after a kill.
#if H5_VERSION_GE(1, 10, 2)
  if (layout.dense) H5Fset_libver_bounds(id_.get(), H5F_LIBVER_V110, H5F_LIBVER_LATEST);
#endif
  Dataset d;
  d.id_ = Id(H5Dcreate2(id_.get(), name.c_str(), type_id(type), space.get(), lcpl.get(), dcpl.get(), dapl.get()), H5Dclose);
#if H5_VERSION_GE(1, 10, 2)
  if (layout.dense) H5Fset_libver_bounds(id_.get(), H5F_LIBVER_V18, H5F_LIBVER_LATEST);
#endif
  if (!d.id_) raise(Exit::io, path_, name, "cannot be created in the file");
  d.name_ = name, d.file_ = path_, d.shape_ = shape;
  return d;
}

Dataset File::dataset(std::string const& name) const {
  if (!has(name)) fail(Exit::data, "{}: has no dataset '{}'", path_.string(), name);
  Id const dapl(H5Pcreate(H5P_DATASET_ACCESS), H5Pclose);
  // Writing goes straight to the file; reading keeps some chunks, which compressed files need badly.
  H5Pset_chunk_cache(dapl.get(), writable_ ? 1 : 12421, writable_ ? 0 : std::size_t{64} << 20, 1.0);
  Dataset d;
  d.id_ = Id(H5Dopen2(id_.get(), name.c_str(), dapl.get()), H5Dclose);
  if (!d.id_) raise(Exit::data, path_, name, "is not a dataset");
  Id const space(H5Dget_space(d.id_.get()), H5Sclose);
  std::vector<hsize_t> dims(static_cast<std::size_t>(std::max(0, H5Sget_simple_extent_ndims(space.get()))));
  if (!dims.empty()) H5Sget_simple_extent_dims(space.get(), dims.data(), nullptr);
  if (H5Sget_simple_extent_type(space.get()) == H5S_NULL) dims = {0};
  d.name_ = name, d.file_ = path_, d.shape_.assign(dims.begin(), dims.end());
  return d;
}

}  // namespace striate::h5
