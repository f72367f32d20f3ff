#include "tensor/operand.h"

#include "tensor/kernels/norm.h"

namespace solobox::inline SOLOBOX_PRECISION {

const Tensor& Operand::tensor() const {
    if (!state_) return numbers_;
    if (state_->worked_out.defined()) return state_->worked_out;
    const Pending& p = state_->pending;
    const std::int64_t n = p.scale.dim(0), c = p.scale.dim(1);
    Tensor y(p.z.shape());
    channel_affine({n, n * c > 0 ? p.z.numel() / (n * c) : 0, c}, p.z.data(), p.scale.data(), p.shift.data(), p.slope,
                   y.mutable_data());
    return state_->worked_out = y;
}

Source<Real> Operand::source() const {
    if (!state_) return numbers_.data();
    const Pending& p = state_->pending;
    return {p.z.data(), p.scale.data(), p.shift.data(), p.scale.dim(0) == 1 ? 0 : p.scale.dim(1), p.slope};
}

}  // namespace solobox::inline SOLOBOX_PRECISION
