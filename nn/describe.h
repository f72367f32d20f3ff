// One row of the table of layers that `model show` prints; models fill it from their configuration alone.
#pragma once

#include <cstdint>
#include <string>

#include "tensor/shape.h"

namespace solobox {

// Shapes without the batch.
struct LayerRow {
    std::string name, type;
    Shape in, out;  // (H, W, C) or (features)
    std::int64_t parameters = 0, macs = 0;
    std::int64_t kernel = 0, stride = 1, padding = 0, groups = 1;  // of a convolution; kernel 0: it is none
};

}  // namespace solobox
