#include "tensor/pending.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

std::int64_t Tape::join(Joining& j) {
    if (j.node < 0) {
        j.node = record(j.op, j.value, j.inputs, std::move(j.backward)).node_;
        j.inputs.clear();
        j.value = {};
    }
    return j.node;
}

Var Tape::record_later(const char* op, Pending value, const std::vector<Var>& inputs, Backward backward) {
    Var out{Operand(std::move(value))};
    if (check_finite_) return record(op, out.operand_, inputs, std::move(backward));  // looked at where it is born
    out.tape_ = id_;
    out.later_ = std::make_shared<Joining>(Joining{op, out.operand_, inputs, std::move(backward), -1});
    return out;
}

Var record_later(const char* op, Pending value, const std::vector<Var>& inputs, Backward backward) {
    bool tracked = false;
    for (const Var& input : inputs) tracked = tracked || input.tracked();
    Tape* tape = Tape::current();
    if (!tape || !tracked) return Var(Operand(std::move(value)));
    return tape->record_later(op, std::move(value), inputs, std::move(backward));
}

Operand recomputed(const Tensor& result, std::function<Tensor()> make) {
    return Tape::current() ? Operand(result, std::move(make)) : Operand(result);
}

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
