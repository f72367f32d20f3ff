// What only the real objects can tell: the model, the optimizer, the averages and the loss as a run would build them,
// looked at and tried for a few steps on synthetic pictures.
#pragma once

#include <functional>
#include <memory>

#include "train/config/config.h"
#include "train/doctor/facts.h"
#include "train/step/task.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

// The configuration's model on a handful of synthetic pictures. `settings` is what the task refers to: it must outlive
// it. Nothing of the configuration's own data is read.
std::unique_ptr<Task> make_patient(const Config& config, Config& settings);

// Multiplications and additions of this machine's matrix product in 1e9 per second: the best of a few.
double measure_gmacs();

// Names, norms, groups, decay, first box: nothing is computed.
void read_built_facts(Task& task, const Config& config, doctor::Facts& facts);

// Forward, loss, backward, two optimizer steps, averages, stages, metric: the facts of the probe rules. The task is not
// what it was afterwards. `talk` gets the lines of the five pre-flight tests.
void run_probes(Task& task, const Config& config, doctor::Facts& facts,
                const std::function<void(const std::string&)>& talk);

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
