// Facts of a configuration of this program: what its keys say, what its data set holds, what it is compared with.
#pragma once

#include <string>
#include <vector>

#include "train/config/config.h"
#include "train/run/facts.h"

namespace solobox::doctor {

// What the keys say, and what their schedule does over the run. `threads`: asked for on the command line; 0: not.
// Facts that are known already (steps per epoch, pictures) are taken into account: pass them in `known`.
Facts read_settings_facts(const Config& config, const Facts& known, int threads);

// Training and validation pictures and classes of the configuration's data set; nothing without `data`. Lists files,
// decodes none. DataError as in training.
Facts read_data_facts(const Config& config);

// "8 pictures at 0.00025": reference=NAME of the store, =batch=8,lr0=0.00025,image=384, or =RUN. ConfigError otherwise.
Facts read_reference(const std::string& reference);

// Known-good runs by name, for docs and error messages.
std::vector<std::string> reference_names();

}  // namespace solobox::doctor
