// What an op reads: numbers, or numbers that nobody has worked out yet.
//
// A normalisation and its activation are act(scale * z + shift), channel by channel. Most of what follows them reads
// every pixel anyway (a convolution, a pool, a sum) and can work that out on the way; so they leave their result
// pending. Who needs the numbers themselves asks for tensor() and gets them, worked out once.
#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "tensor/kernels/source.h"
#include "tensor/tensor.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

// act(scale * z + shift)
struct Pending {
    Tensor z;             // (N, .., C)
    Tensor scale, shift;  // (N, C), or (1, C) for all images alike
    Act act = Act::none();
    std::shared_ptr<const struct Origin> origin = {};  // tensor/pending.h
};

class Operand {
public:
    Operand() = default;
    Operand(Tensor numbers) : numbers_(std::move(numbers)) {}
    Operand(Pending pending) : state_(std::make_shared<State>(State{std::move(pending), {}, {}, {}})) {}
    // Numbers that `make` can compute again, from what is kept anyhow: less memory for more time.
    Operand(const Tensor& numbers, std::function<Tensor()> make)
        : state_(std::make_shared<State>(State{{}, std::move(make), numbers.shape(), numbers})) {}

    bool defined() const { return state_ || numbers_.defined(); }
    const Shape& shape() const;
    const Tensor& tensor() const;
    const Pending* pending() const { return state_ && state_->pending.z.defined() ? &state_->pending : nullptr; }

    // For kernels that work a pending value out while they read.
    Source<Real> source() const;
    // The same without what can be worked out again: what a closure keeps for backward.
    Operand forgetful() const;

private:
    struct State {
        Pending pending;               // or
        std::function<Tensor()> make;  // with its shape
        Shape shape;
        Tensor worked_out;
    };
    Tensor numbers_;
    std::shared_ptr<State> state_;
};

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
