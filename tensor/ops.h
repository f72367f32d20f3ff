// Every op there is.
#pragma once

#include "tensor/ops/activation.h"
#include "tensor/ops/arith.h"
#include "tensor/ops/conv2d.h"
#include "tensor/ops/matmul.h"
#include "tensor/ops/norm.h"
#include "tensor/ops/pool.h"
#include "tensor/ops/reduce.h"
#include "tensor/ops/view.h"
