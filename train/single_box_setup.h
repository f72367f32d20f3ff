// From configuration keys to a single-box model, its loss and its optimizer.
#pragma once

#include <memory>

#include "data/types.h"
#include "nn/box_loss.h"
#include "nn/models/single_box.h"
#include "optim/optimizer.h"
#include "train/config.h"

namespace solobox::inline SOLOBOX_PRECISION {

// Fills the keys that the user left alone with what is usual for the model (toy: 448 px, 4096 features, no norm;
// resnets: 224 px, colours as they are).
void apply_model_defaults(Config& config);

SingleBoxConfig model_config(const Config& config);
DecodeSpec decode_spec(const Config& config);
BoxLossSpec loss_spec(const Config& config);

// The model with its head set up as the configuration says; `mean_box` serves head_bias=prior.
std::unique_ptr<SingleBox> make_single_box(const Config& config, const UnitBox& mean_box);
std::unique_ptr<Optimizer> make_optimizer(const Config& config, const std::vector<NamedParameter>& params);
// Learning rate by step. The cosine falls once over `cycle_steps` and then starts again (warm restarts).
std::function<double(std::int64_t)> make_schedule(const Config& config, std::int64_t cycle_steps);

}  // namespace solobox::inline SOLOBOX_PRECISION
