// From configuration keys to a single-box model and its loss.
#pragma once

#include <memory>

#include "data/types.h"
#include "nn/box_loss.h"
#include "nn/models/single_box.h"
#include "train/config/config.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

SingleBoxConfig model_config(const Config& config);
DecodeSpec decode_spec(const Config& config);
BoxLossSpec loss_spec(const Config& config);

// The model with its head set up as the configuration says; the training boxes serve head_bias=prior and the mean map
// with which an occupancy head starts. classes: of the auxiliary head for class_weight; 0, as for prediction: none.
std::unique_ptr<SingleBox> make_single_box(const Config& config, const std::vector<UnitBox>& boxes,
                                           std::int64_t classes = 0);

Tensor box_tensor(const std::vector<UnitBox>& boxes, std::size_t first, std::size_t count);  // (count, 4)

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
