#pragma once
/// The self-test of a card: a known input, and what the network must give for it. Not collective.
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "striate/net/network.hpp"

namespace striate {

/// The input of this kind (CardCheck::input) as the network takes it, `floats` numbers in C order; number i of n is
///   noise     multiples of 1/32768 in [-1, 1) by a hash: h = (i + 12345) · 2654435761; h ^= h >> 15; h *= 2246822519
///             (all modulo 2³²); (h >> 16) / 32768 − 1
///   gradient  2 i / (n − 1) − 1
///   picture   test_picture() through the card's preprocessing
[[nodiscard]] std::vector<float> check_input(std::string const& kind, std::size_t floats, Preprocessing const& how);
/// 320 × 240 pixels; at column x and row y: red 255 x / 319, green 255 y / 239 (rounded down), blue (x xor y) mod 256.
[[nodiscard]] Image test_picture();

/// SHA-256 of what the network has learnt, whatever file it stands in: of each parameter and buffer in the byte order
/// of their names (those that end in num_batches_tracked left out) the line "NAME:3x64x7x7", a line feed, and the
/// values: float32 of numbers with a point, int64 of whole ones, little-endian, C order. Throws Error as Network does.
[[nodiscard]] std::string state_sha256(std::filesystem::path const& weights);

/// Whether the network converts its input, as torchvision's GoogLeNet and Inception v3 say of themselves; nothing where
/// it says nothing (other networks, and traced files).
[[nodiscard]] std::optional<bool> transform_input_of(std::filesystem::path const& weights);

/// Runs the card's check for these weights, on the device of `options`, and says in one line how it went: passed,
/// skipped (the card's numbers are for other weights), or none. Throws Error(Exit::data) where the network gives other
/// numbers.
[[nodiscard]] std::string self_test(Card const& card, std::filesystem::path const& weights,
                                    std::string const& weights_sha256, NetworkOptions const& options);

}  // namespace striate
