// The engine, for programs of one's own: tensors, the tape, every op, layers, losses, boxes, optimizers, schedules,
// weights on disk, and what can be seen of a step (flow of gradients, the diagnosis, a page).
//
//     #include <solobox/engine.h>                  find_package(solobox), link solobox::engine
//
// docs/library.md walks through it; examples/xor.cpp is the shortest program.
#pragma once

#include "nn/attention.h"
#include "nn/blocks.h"
#include "nn/box_loss.h"
#include "nn/boxes.h"
#include "nn/checkpoint.h"
#include "nn/init.h"
#include "nn/layers.h"
#include "nn/losses.h"
#include "nn/model.h"
#include "nn/models/resnet.h"
#include "nn/models/single_box.h"
#include "optim/ema.h"
#include "optim/optimizer.h"
#include "optim/schedule.h"
#include "tensor/ops.h"
#include "tensor/print.h"
#include "tensor/random.h"
#include "tensor/tape.h"
#include "train/report/report.h"
#include "train/step/diagnosis.h"
#include "train/step/trainer.h"
