#pragma once
/// Arrays of other programs as a source: each layer is one array, or several one behind the other.
#include <optional>
#include <variant>

#include "convert_permute.hpp"
#include "convert_source.hpp"
#include "striate/brain/npy.hpp"
#include "striate/store/h5.hpp"

namespace striate::convert {

class ArraySource final : public Source {
 public:
  struct InFile {
    std::shared_ptr<h5::File> file;
    h5::Dataset data;
  };
  /// Rows of an array, row-major.
  using Piece = std::variant<NpyFile, std::vector<float>, InFile>;
  struct Array {
    std::string name, dtype = "float32";
    std::vector<std::size_t> shape;  ///< of a stimulus as it lies there
    std::string layout;
    std::vector<std::pair<std::size_t, Piece>> pieces;  ///< first row, values
    std::size_t rows = 0;
    void add(std::size_t rows_of_piece, Piece piece) {
      pieces.emplace_back(rows, std::move(piece));
      rows += rows_of_piece;
    }
  };

  /// `files`: what its values come from. Error(Exit::data) where arrays differ in their rows, or ids in their number.
  ArraySource(std::string name, std::vector<std::filesystem::path> files, std::vector<Array> arrays,
              std::vector<std::string> ids);
  [[nodiscard]] std::string fingerprint() const override;
  [[nodiscard]] double held_bytes() const override;
  void read(std::size_t layer, std::span<std::size_t const> rows, float* out) const override;

 private:
  std::vector<std::filesystem::path> files_;
  std::vector<Array> arrays_;
  std::vector<Permutation> orders_;
};

/// A .npy, whole where it is in Fortran's order. `layout` as in the config.
[[nodiscard]] ArraySource::Array array_of(std::string const& name, NpyFile file, std::string const& layout);

[[nodiscard]] std::unique_ptr<Source> open_mat(std::filesystem::path const& path, std::string const& layout);
[[nodiscard]] std::unique_ptr<Source> open_keract(std::filesystem::path const& path, std::string const& layout);
/// Lines of a text, without their ends.
[[nodiscard]] std::vector<std::string> lines_of(std::filesystem::path const& path);
/// What the file_names.txt of thingsvision or our ids.txt beside the arrays say; empty where there is none. `module`: the
/// folder is one module of thingsvision, whose file_names.txt may lie in the folder of all.
[[nodiscard]] std::vector<std::string> ids_beside(std::filesystem::path const& folder, bool module = false);

}  // namespace striate::convert
