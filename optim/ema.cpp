#include "optim/ema.h"

#include <cmath>
#include <utility>

#include "tensor/kernels/parallel.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

double ema_decay(const EmaConfig& config, std::int64_t update) {
    return config.tau > 0 ? config.decay * (1 - std::exp(-static_cast<double>(update) / config.tau)) : config.decay;
}

void ema_update(Tensor& average, const Tensor& value, double decay) {
    check(average.shape() == value.shape(), "[ema] the average is {}, the value {}", average.shape().str(),
          value.shape().str());
    const Real d = static_cast<Real>(decay), rest = static_cast<Real>(1 - decay);
    Real* to = average.mutable_data();
    const Real* from = value.data();
    parallel_ranges(average.numel(), [=](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) to[i] = d * to[i] + rest * from[i];
    });
}

Ema::Ema(const EmaConfig& config, std::vector<NamedTensor> tensors) : config_(config), live_(std::move(tensors)) {
    if (!(config.decay >= 0 && config.decay <= 1) || !(config.tau >= 0))
        throw ConfigError(
            fmt::format("EMA decay {} and tau {}: expected 0 to 1, and 0 or more", config.decay, config.tau));
    for (const auto& t : live_) averages_.push_back(t.tensor->clone());
}

void Ema::update() {
    check(!swapped_, "[ema] update while the averages stand in the model: swap back first");
    const double decay = ema_decay(config_, ++updates_);
    for (std::size_t i = 0; i < live_.size(); ++i) ema_update(averages_[i], *live_[i].tensor, decay);
}

void Ema::swap() {
    for (std::size_t i = 0; i < live_.size(); ++i) std::swap(averages_[i], *live_[i].tensor);
    swapped_ = !swapped_;
}

std::vector<std::pair<std::string, Tensor>> Ema::averages() const {
    std::vector<std::pair<std::string, Tensor>> named;
    for (std::size_t i = 0; i < live_.size(); ++i)
        named.emplace_back(live_[i].name, swapped_ ? *live_[i].tensor : averages_[i]);
    return named;
}

void Ema::restore(const std::vector<std::pair<std::string, Tensor>>& averages, std::int64_t updates) {
    check(!swapped_, "[ema] restore while the averages stand in the model: swap back first");
    check(averages.size() == live_.size(), "[ema] {} averages for {} tensors", averages.size(), live_.size());
    for (std::size_t i = 0; i < live_.size(); ++i) {
        const auto& [name, value] = averages[i];
        check(name == live_[i].name && value.shape() == averages_[i].shape(), "[ema] '{}' {} where '{}' {} is expected",
              name, value.shape().str(), live_[i].name, averages_[i].shape().str());
    }
    for (std::size_t i = 0; i < live_.size(); ++i) averages_[i] = averages[i].second.clone();
    updates_ = updates;
}

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
