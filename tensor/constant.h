// Values that backward treats as constants although they were computed from tracked ones: CIoU's alpha, a detached IoU,
// a mask. Losses pass them through here, so that a gradient check can hold them fixed while it moves the inputs.
#pragma once

#include <functional>

#include "tensor/tensor.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

Tensor constant_in_backward(const Tensor& value);
// What it returns instead, on this thread (train/proof/freeze_constants.h); empty: the value itself.
std::function<Tensor(const Tensor& value)>& constant_instead();

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
