// Whether a configuration's model can learn eight pictures by heart.
#pragma once

#include "train/config/config.h"
#include "train/run/facts.h"

namespace solobox {

// Sets overfit_iou or overfit_loss_share. Error with the signal's exit code when somebody interrupts it.
void overfit_facts(const Config& asked, doctor::Facts& facts);

}  // namespace solobox
