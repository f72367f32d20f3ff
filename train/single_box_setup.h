// From configuration keys to a single-box model and its loss.
#pragma once

#include <memory>

#include "data/types.h"
#include "nn/box_loss.h"
#include "nn/models/single_box.h"
#include "train/config.h"

namespace solobox::inline SOLOBOX_PRECISION {

SingleBoxConfig model_config(const Config& config);
DecodeSpec decode_spec(const Config& config);
BoxLossSpec loss_spec(const Config& config);

// The model with its head set up as the configuration says; `mean_box` serves head_bias=prior.
std::unique_ptr<SingleBox> make_single_box(const Config& config, const UnitBox& mean_box);

}  // namespace solobox::inline SOLOBOX_PRECISION
