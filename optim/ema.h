// Exponential moving average of a model: of its parameters and of its running statistics.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tensor/parameter.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

// average = d average + (1 - d) w, with d = decay, or decay (1 - exp(-t / tau)) when tau > 0: young averages follow
// faster. t counts updates from 1.
struct EmaConfig {
    double decay = 0.999;
    double tau = 0;
};
double ema_decay(const EmaConfig& config, std::int64_t update);
void ema_update(Tensor& average, const Tensor& value, double decay);

class Ema {
public:
    // Starts at the values of now. The tensors (tensors_of in nn/visit.h) must outlive it.
    Ema(const EmaConfig& config, std::vector<NamedTensor> tensors);
    void update();  // once after every optimizer step

    // Exchanges the model's tensors with the averages: evaluate, then swap back. Training in between is refused.
    void swap();
    bool swapped() const { return swapped_; }

    std::int64_t updates() const { return updates_; }
    // By name, in the model's order, for checkpoints; restore() checks names and shapes.
    std::vector<std::pair<std::string, Tensor>> averages() const;
    void restore(const std::vector<std::pair<std::string, Tensor>>& averages, std::int64_t updates);

private:
    EmaConfig config_;
    std::vector<NamedTensor> live_;
    std::vector<Tensor> averages_;
    std::int64_t updates_ = 0;
    bool swapped_ = false;
};

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
