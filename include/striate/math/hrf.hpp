#pragma once
/// Haemodynamic response functions (HRF) in closed form, and what they make of a design of events.
///
/// Responses are computed by the integral of the HRF, not on a grid of samples: an event of onset o and duration d
/// adds amplitude · (H(t - o) - H(t - o - d)) at time t, with H(t) = ∫₀ᵗ h. Times are in seconds, h in 1/s.
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace striate {

/// P(a, x) = γ(a, x) / Γ(a), the distribution function of the gamma distribution of shape a > 0 and scale 1.
[[nodiscard]] double gamma_p(double a, double x);

/// A difference of two gamma densities on [onset, 32 s], scaled to an integral of 1.
///
/// spm: gamma(6, 1) - gamma(16, 1)/6, as spm_hrf.
/// glover: (t/(n₁t₁))^n₁ e^(n₁ - t/t₁) - 0.35 (t/(n₂t₂))^n₂ e^(n₂ - t/t₂), n = 6, 12, t = 0.9 (Glover 1999, as nipy).
class Hrf {
 public:
  enum class Kind { spm, glover };
  /// `dispersion` widens the response (not the undershoot), its mean time kept, as p(3) of spm_hrf.
  explicit Hrf(Kind kind, double onset = 0, double dispersion = 1);
  [[nodiscard]] double value(double t) const;
  [[nodiscard]] double integral(double t) const;  ///< from -∞ to t: exactly 0 before the onset and 1 after the end
  static constexpr double length = 32;

 private:
  struct Gamma {
    double weight, shape, scale;
  };
  [[nodiscard]] double raw_integral(double t) const;
  Gamma response_, undershoot_;
  double onset_, total_ = 1;
};

/// An occurrence of a stimulus. A duration of 0 is an impulse of area 1 s.
struct Event {
  double onset = 0, duration = 0, amplitude = 1;
  std::size_t stimulus = 0;
};

/// One function of time that events are turned into.
class Regressor {
 public:
  /// Of an HRF: itself, its derivative by time (difference to the same 1 s later), or by dispersion (difference to 1 %
  /// more, over 0.01), as spm_get_bf.
  enum class Part { hrf, time, dispersion };
  Regressor(Hrf::Kind kind, Part part);
  /// Finite impulse response: the events' mean over the interval of `width` s that begins `delay` s before t.
  Regressor(double delay, double width);
  /// What an event of amplitude 1 adds at time t.
  [[nodiscard]] double weight(Event const& event, double t) const;

 private:
  std::vector<std::pair<double, Hrf>> terms_;  ///< none: FIR
  double delay_ = 0, width_ = 1;
};

/// (stimulus, weight) of every stimulus with events that reach time t, by stimulus; events add in order.
[[nodiscard]] std::vector<std::pair<std::size_t, double>> weights_at(Regressor const& regressor,
                                                                     std::vector<Event> const& events, double t);

}  // namespace striate
