#pragma once
/// A small extraction and a small encoding without network or model, for tests: values are functions of their place.
#include <atomic>
#include <chrono>
#include <cmath>
#include <map>
#include <mutex>
#include <thread>

#include "striate/par/tiles.hpp"
#include "striate/store/act_store.hpp"
#include "striate/store/result.hpp"

namespace job {
using namespace striate;

inline ActSpec act_spec(std::size_t n, std::size_t batch) {
  ActSpec s;
  s.layers = {{"conv1", {6, 13, 11}, "channel row column", h5::Dtype::f32}, {"conv5", {300, 40, 40}, "channel row column", h5::Dtype::f16},
              {"fc6", {1000, 1, 1}, "feature row column", h5::Dtype::f32}};
  for (std::size_t i = 0; i < n; ++i) s.stimulus_ids.push_back("image" + std::to_string(i) + ".jpg");
  s.batch = batch;
  s.attributes = {{"network", "toy"}, {"weights_sha256", "00ff"}};
  s.identity = {{"network", "toy"}, {"layers", {"conv1", "conv5", "fc6"}}, {"batch", batch}};
  return s;
}

inline float act_value(std::size_t layer, std::size_t row, std::size_t unit) {
  if (row == 5) return std::nanf("");  // a skipped stimulus
  return float((row * 7919 + unit * 104729 + layer * 31) % 4001) / 800.f - 1.f;
}

/// Extracts through run_tiles; a tile is a batch of all layers.
class Extract : public TileWork {
 public:
  Extract(ActWriter& out, ActSpec const& spec, int milliseconds = 0) : out_(out), spec_(spec), pause_(milliseconds) {}
  void compute(std::size_t b) override {
    std::vector<ActBlock> blocks;
    for (std::size_t l = 0; l < spec_.layers.size(); ++l) {
      std::size_t const units = h5::volume(spec_.layers[l].shape);
      std::vector<float> v(out_.rows(b) * units);
      for (std::size_t i = 0; i < v.size(); ++i) v[i] = act_value(l, out_.first_row(b) + i / units, i % units);
      blocks.push_back(out_.encode(l, b, v.data()));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(pause_));
    std::lock_guard const held(lock_);
    ready_[b] = std::move(blocks);
  }
  void write(std::span<std::size_t const> mine) override {
    for (std::size_t b : mine) {
      std::vector<ActBlock> blocks;
      {
        std::lock_guard const held(lock_);
        blocks = std::move(ready_[b]);
        ready_.erase(b);
      }
      for (ActBlock const& block : blocks) out_.write_batch(block);
    }
  }
  void mark(std::span<std::size_t const> mine) override { out_.mark(mine); }
  void flush() override { out_.flush(); }

 private:
  ActWriter& out_;
  ActSpec const& spec_;
  int pause_;
  std::mutex lock_;
  std::map<std::size_t, std::vector<ActBlock>> ready_;
};

constexpr std::size_t folds = 3, targets = 1003, width = 64;
constexpr std::size_t result_tiles = 2 * ((targets + width - 1) / width);  // two layers

inline ResultSpec result_spec() {
  ResultSpec s;
  for (std::string const l : {"conv1", "vgg/fc6"}) {
    s.datasets.push_back({"/" + l + "/score/pearson_fold", h5::Dtype::f64, {folds, targets}, width});
    s.datasets.push_back({"/" + l + "/score/pearson", h5::Dtype::f64, {targets}, width});
    s.datasets.push_back({"/" + l + "/coef", h5::Dtype::f32, {17, targets}, width});
  }
  s.datasets.push_back({"/targets/index", h5::Dtype::u64, {targets}, 0});
  s.datasets.push_back({"/best/score", h5::Dtype::f64, {targets}, 0});
  s.texts = {{"/layers", {"conv1", "vgg/fc6"}}};
  s.tiles = result_tiles;
  s.identity = {{"model", {{"type", "ridge"}, {"folds", folds}}}};
  return s;
}

inline double score(std::size_t layer, std::size_t fold, std::size_t target) {
  return std::sin(double(layer * 1000003 + fold * 1009 + target));
}

class Encode : public TileWork {
 public:
  Encode(ResultFile& out, int milliseconds = 0) : out_(out), pause_(milliseconds) {}
  void compute(std::size_t) override { std::this_thread::sleep_for(std::chrono::milliseconds(pause_)); }
  void write(std::span<std::size_t const> mine) override {
    std::size_t const per_layer = result_tiles / 2;
    for (std::size_t tile : mine) {
      std::size_t const layer = tile / per_layer, first = tile % per_layer * width, count = std::min(width, targets - first);
      std::string const root = layer == 0 ? "/conv1" : "/vgg/fc6";
      std::vector<double> mean(count, 0);
      for (std::size_t k = 0; k < folds; ++k) {
        std::vector<double> v(count);
        for (std::size_t t = 0; t < count; ++t) v[t] = score(layer, k, first + t), mean[t] += v[t];
        out_.write_slice<double>(root + "/score/pearson_fold", k, first, v);
      }
      out_.write_slice<double>(root + "/score/pearson", 0, first, mean);
      std::vector<float> coef(17 * count);
      for (std::size_t t = 0; t < count; ++t)
        for (std::size_t p = 0; p < 17; ++p) coef[p + t * 17] = float(p * 10000 + first + t);
      out_.write_block<float>(root + "/coef", 0, first, {coef.data(), 17, count});
    }
  }
  void mark(std::span<std::size_t const> mine) override { out_.mark(mine); }
  void flush() override { out_.flush(); }

 private:
  ResultFile& out_;
  int pause_;
};

inline void derive(ResultFile& r) {
  auto const a = r.read<double>("/conv1/score/pearson"), b = r.read<double>("/vgg/fc6/score/pearson");
  std::vector<double> best(targets);
  std::vector<std::uint64_t> index(targets);
  for (std::size_t t = 0; t < targets; ++t) best[t] = std::max(a[t], b[t]), index[t] = 2 * t;
  r.write<double>("/best/score", best);
  r.write<std::uint64_t>("/targets/index", index);
}

}  // namespace job
