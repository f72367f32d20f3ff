// What only the real objects can tell: the model, the optimizer, the averages and the loss as a run would build them,
// looked at and tried for a few steps on synthetic pictures.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "train/config/config.h"
#include "train/run/facts.h"
#include "train/step/learner.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

// The configuration's model on a handful of synthetic pictures. `settings` is what the task refers to: it must outlive
// it. Nothing of the configuration's own data is read.
std::unique_ptr<Learner> make_patient(const Config& config, Config& settings);

// Multiplications and additions of this machine's matrix product in 1e9 per second: the best of a few.
double measure_gmacs();

// Names, norms, groups, decay, first box: nothing is computed.
void read_built_facts(Learner& learner, const Config& config, doctor::Facts& facts);

// Forward, loss, backward, two optimizer steps, averages, stages, metric: the facts of the probe rules. The learner is
// not what it was afterwards. Returns the lines of each of the five tests that it does (all but the fourth).
struct ProbeTest {
    int test = 0;  // 1 to 5
    std::string title;
    std::vector<std::string> lines;
};
std::vector<ProbeTest> run_probes(Learner& learner, const Config& config, doctor::Facts& facts);

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
