#include "tensor/operand.h"

#include "tensor/kernels/norm.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

const Shape& Operand::shape() const {
    if (!state_) return numbers_.shape();
    return state_->make ? state_->shape : state_->pending.z.shape();
}

const Tensor& Operand::tensor() const {
    if (!state_) return numbers_;
    if (state_->worked_out.defined()) return state_->worked_out;
    if (state_->make) return state_->worked_out = state_->make();
    const Pending& p = state_->pending;
    const std::int64_t n = p.scale.dim(0), c = p.scale.dim(1);
    Tensor y(p.z.shape());
    channel_affine({n, n * c > 0 ? p.z.numel() / (n * c) : 0, c}, p.z.data(), p.scale.data(), p.shift.data(), p.act,
                   y.mutable_data());
    return state_->worked_out = y;
}

Source<Real> Operand::source() const {
    if (!pending()) return tensor().data();
    const Pending& p = state_->pending;
    return {p.z.data(), p.scale.data(), p.shift.data(), p.scale.dim(0) == 1 ? 0 : p.scale.dim(1), p.act};
}

Operand Operand::forgetful() const {
    if (!state_) return *this;
    Operand copy;
    copy.state_ = std::make_shared<State>();
    const Pending& p = state_->pending;
    copy.state_->pending = {p.z, p.scale, p.shift, p.act, nullptr};
    copy.state_->make = state_->make;
    copy.state_->shape = state_->shape;
    return copy;
}

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
