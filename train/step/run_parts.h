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
    // The optimizer holds all parameters until begin(). The learner must outlive it.
    explicit RunParts(Learner& learner);
    ~RunParts();  // leaves the parameters as free to train as it found them
    RunParts(const RunParts&) = delete;
    RunParts& operator=(const RunParts&) = delete;

    // Freezes what does not train in this epoch (from 0). After loading a checkpoint: what it knows of a part that
    // trains already has found its place.
    void begin(std::int64_t epoch);
    // Goes on to the epoch's stage: what trains from now on joins the optimizer, what does not leaves it.
    void enter(std::int64_t epoch);

    const Config& config;
    std::vector<NamedParameter> params;
    Prefixes heads, sometimes;  // of the model
    std::unique_ptr<Optimizer> optimizer;
    std::unique_ptr<Ema> ema;  // none with ema_decay=0
    const Stages& stages;
    RunRate rate;
    std::function<std::string()> batch_names;  // for messages of the trainer
    std::unique_ptr<Trainer> trainer;

private:
    void freeze(const Stage& stage);
    std::vector<GroupRule> groups_;
    std::vector<bool> may_train_;  // of params: as the model made them
    std::size_t stage_ = 0;
};

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
