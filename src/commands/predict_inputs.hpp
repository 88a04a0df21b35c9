#pragma once
/// `predict`: its settings, and what it finds in a finished encode, in the new stores and in the new responses.
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "encode_inputs.hpp"
#include "striate/par/comm.hpp"
#include "striate/store/act_store.hpp"

namespace striate::predict {

/// A store of new stimuli.
struct Features {
  std::string name;
  std::filesystem::path store;
  StimuliConfig stimuli;
};

/// Responses to some of the new stimuli: the truth.
struct Truth {
  std::vector<std::filesystem::path> data;
  bool transpose = false;
  std::optional<std::filesystem::path> mask, stimuli;
};

struct Config {
  std::filesystem::path encode_file, output;
  std::vector<Features> features;
  std::optional<Truth> responses;
  std::optional<std::string> run;                ///< column of `volumes`, where the encode delays its features
  std::optional<std::filesystem::path> volumes;  ///< nothing: the stimuli of the first store
  std::string units = "responses";
  std::vector<std::string> scores{"pearson", "r2"};
  std::optional<double> memory;
};

void describe(Schema& s, Features& f);
void describe(Schema& s, Truth& t);
void declare(Schema& s, Config& c);

/// Units [first, first + count) of the coefficients come from a layer of a store.
struct Part {
  std::size_t store = 0;
  std::string layer;
  std::size_t units = 0;
  std::size_t delay = 0;  ///< volumes that they look back
};

/// One model of the encode.
struct Layer {
  std::string name;         ///< in its results
  std::vector<Part> parts;  ///< one, or the bands of a joint model
  std::size_t units = 0;
};

/// Equal on all ranks, but for `responses` and `rows`, which the first rank alone holds.
struct Inputs {
  std::filesystem::path result;  ///< result.h5 of the encode
  encode::Config encode;
  std::vector<Layer> layers;
  std::vector<std::filesystem::path> stores;         ///< of new stimuli, in the order of the encode's
  std::vector<std::string> ids;                      ///< (n) of the first store, or of the volumes
  encode::Series series;                             ///< of the volumes, where features are delayed
  std::vector<std::vector<std::size_t>> store_rows;  ///< per store: the row of each stimulus
  std::vector<std::uint64_t> index;                  ///< (t)
  std::vector<double> mean, sd;                      ///< (t) of the responses that the encode was fitted to
  std::size_t tile = 0;                              ///< targets of a unit: whole chunks of the coefficients
  std::vector<std::size_t> scored;                   ///< per row of the new responses: the stimulus
  nlohmann::ordered_json identity;                   ///< what must agree on resume
  std::unique_ptr<Responses> responses;
  RowPlan rows;
  std::vector<std::filesystem::path> files;  ///< read by the job, for their sha256

  static constexpr std::size_t none = static_cast<std::size_t>(-1);
  /// Of each stimulus the row of the store that a part looks at; `none` before its run began.
  [[nodiscard]] std::vector<std::size_t> rows_of(Part const& part) const;
  [[nodiscard]] std::size_t n() const { return ids.size(); }
  [[nodiscard]] std::size_t t() const { return index.size(); }
};

/// Opens everything and checks that it fits together. Collective.
/// Throws Error(Exit::config | Exit::data | Exit::no_input | Exit::cant_create), naming the key.
[[nodiscard]] Inputs load_inputs(Config const& config, Comm const& comm);

}  // namespace striate::predict
