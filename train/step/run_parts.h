// What a run trains with, made from its configuration in one place: the same optimizer, averages, rate and stages for
// the training loop and for whoever examines them before it (the doctor).
#pragma once

#include <memory>
#include <vector>

#include "optim/ema.h"
#include "optim/optimizer.h"
#include "train/step/learner.h"
#include "train/step/parameter_groups.h"
#include "train/step/run_rate.h"
#include "train/step/trainer.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

struct RunParts {
    // The optimizer holds all parameters until begin_stage(). The learner must outlive it.
    explicit RunParts(Learner& learner);
    RunParts(const RunParts&) = delete;
    RunParts& operator=(const RunParts&) = delete;

    // Freezes what does not train at this step (from 0). After loading a checkpoint: what it knows of a part that
    // trains already has found its place.
    void begin_stage(std::int64_t step);
    // Lets the frozen part train when this step is the first of its stage.
    void enter(std::int64_t step) {
        if (frozen && step >= unfreeze_at) unfreeze();
    }
    void unfreeze();

    const Config& config;
    std::vector<NamedParameter> params;
    Prefixes heads, sometimes;  // of the model
    std::unique_ptr<Optimizer> optimizer;
    std::unique_ptr<Ema> ema;  // none with ema_decay=0
    RunRate rate;
    std::int64_t unfreeze_at;
    bool frozen = false;
    std::function<std::string()> batch_names;  // for messages of the trainer
    std::unique_ptr<Trainer> trainer;
};

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
