// How much memory a training run will take, before it takes it. Nothing is guessed about the network: a few pictures go
// forward and backward through the real one, and what that took is extended to the whole batch.
#pragma once

#include <cstdint>
#include <string>

#include "train/config/config.h"
#include "train/step/learner.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

struct MemoryForecast {
    std::int64_t before = 0;       // of the process: program, decoded pictures, weights
    std::int64_t optimizer = 0;    // its state and the averages
    std::int64_t step = 0;         // activations and gradients of a whole batch, at their peak
    std::int64_t batches = 0;      // pictures prepared ahead
    std::int64_t checkpoint = 0;   // while it is written
    std::int64_t per_picture = 0;  // of step
    // The peak. What a step took stays reserved for the next one while a checkpoint is written.
    std::int64_t total() const;
};

// Tries pieces of 2, 4, 8 .. pictures of the first batch: up to 4 of them for a `quick` answer, which is never too
// high, else up to half a batch. Stops early at what would not fit `limit` bytes. Leaves weights, statistics and
// gradients as they were.
MemoryForecast forecast_memory(Learner& learner, bool quick, std::int64_t limit);

std::int64_t available_memory();  // bytes that this process may still take: of the machine and of its control group
std::int64_t peak_memory();       // bytes that it has held at most

// ConfigError saying how much is needed, how much there is and what to change, when a run cannot fit.
void refuse_what_does_not_fit(const MemoryForecast& forecast, const Config& config, std::int64_t available);

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
