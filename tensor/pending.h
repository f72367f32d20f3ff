// What an op needs that leaves its result pending (tensor/operand.h), or reads such results and knows a shorter way
// back.
#pragma once

#include "tensor/kernels/pool.h"
#include "tensor/tape.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

// What comes back to a max pool whose windows tile its input: the gradient of each window and which pixel it belongs
// to.
struct PooledGrad {
    PoolShape shape;
    Tensor dy, y;                 // (N, out_h, out_w, C); y is the pool's result
    Array<std::uint16_t> winner;  // of dy's shape
};

// Where a pending value came from: a max pool that reads it takes the short way back, to the inputs it was made of,
// instead of spelling out the gradient of every pixel in between.
struct Origin {
    std::vector<Var> inputs;
    std::function<Grads(const PooledGrad& grad)> backward;
};

// The node of a pending value that nobody has asked for yet. If all readers take the short way, nobody will: the node
// never exists, and what its backward would have kept is free at once.
struct Joining {
    const char* op;
    Operand value;
    std::vector<Var> inputs;
    Backward backward;
    std::int64_t node = -1;
};

// How an op ends whose result is pending: as record(), but its node may wait.
Var record_later(const char* op, Pending value, const std::vector<Var>& inputs, Backward backward);

// A result that whoever needs it in backward computes anew instead of keeping it: less memory for more time.
Operand recomputed(const Tensor& result, std::function<Tensor()> make);

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
