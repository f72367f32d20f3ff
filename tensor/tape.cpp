#include "tensor/tape.h"

#include <atomic>

#include "tensor/kernels/parallel.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {
namespace {

thread_local Tape* current_tape = nullptr;
std::atomic<std::uint64_t> next_id{1};

void add_in_place(Tensor& sum, const Tensor& term) {
    Real* to = sum.mutable_data();
    const Real* from = term.data();
    parallel_ranges(sum.numel(), [=](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) to[i] += from[i];
    });
}

}  // namespace

Tape::Tape(bool check_finite) : id_(next_id++), check_finite_(check_finite), previous_(current_tape) {
    current_tape = this;
}

Tape::~Tape() { current_tape = previous_; }

Tape* Tape::current() { return current_tape; }

Var Tape::place(Operand value, Node node) {
    Var out(std::move(value));
    out.node_ = static_cast<std::int64_t>(nodes_.size());
    out.tape_ = id_;
    nodes_.push_back(std::move(node));
    return out;
}

std::int64_t Tape::node_of(const Var& v, const char* op) {
    if (!v.tracked()) return -1;
    check(v.tape_ == id_, "[{}] an operand belongs to another tape: use detached(), or compute it under this one", op);
    return v.later_ ? join(*v.later_) : v.node_;
}

Var Tape::leaf(Parameter& p) {
    const auto found = leaf_nodes_.find(&p);
    if (found != leaf_nodes_.end()) {
        Var out(p.value);
        out.node_ = found->second;
        out.tape_ = id_;
        return out;
    }
    leaf_nodes_[&p] = static_cast<std::int64_t>(nodes_.size());
    leaves_.push_back(&p);
    return place(p.value, {"leaf", {}, {}, nullptr, &p});
}

Var Tape::record(const char* op, Operand value, const std::vector<Var>& inputs, Backward backward) {
    if (check_finite_ && !all_finite(value.tensor())) complain(op, inputs);
    Node node{op, {}, {}, std::move(backward), nullptr};
    for (const Var& input : inputs) {
        node.inputs.push_back(node_of(input, op));
        node.wanted.wanted_.push_back(node.inputs.back() >= 0);
        if (node.inputs.back() >= 0) ++nodes_[static_cast<std::size_t>(node.inputs.back())].uses;
    }
    return place(std::move(value), std::move(node));
}

void Tape::complain(const char* op, const std::vector<Var>& inputs) const {
    std::string shapes, origin = fmt::format("born in the forward pass of [{}]", op);
    std::vector<const Parameter*> parameters;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
        if (!inputs[i].defined()) continue;
        const Parameter* leaf = inputs[i].node_ >= 0 ? nodes_[static_cast<std::size_t>(inputs[i].node_)].leaf : nullptr;
        if (leaf) parameters.push_back(leaf);
        shapes += (shapes.empty() ? "" : ", ") + inputs[i].shape().str();
        // What earlier ops made was looked at when they made it: this one is a parameter or came from outside.
        if (!all_finite(inputs[i].value())) {
            origin = fmt::format("brought into [{}] by its input {}, a {}", op, i, leaf ? "parameter" : "constant");
            parameters = leaf ? std::vector<const Parameter*>{leaf} : std::vector<const Parameter*>{};
            break;
        }
    }
    throw NonFiniteError(fmt::format("NaN or infinity {} (node {}, inputs {})", origin, nodes_.size(), shapes),
                         std::move(parameters));
}

void Tape::add_to(Slot& slot, Tensor term) {
    if (!slot.sum.defined()) {
        slot = {std::move(term), false};
        return;
    }
    // A term may be somebody else's storage too: the sum goes into one that nobody else holds.
    if (!slot.owned && !slot.sum.unique() && term.unique()) std::swap(slot.sum, term);
    if (!slot.owned && !slot.sum.unique()) slot.sum = slot.sum.clone();
    slot.owned = true;
    add_in_place(slot.sum, term);
}

void Tape::deliver(Parameter& leaf, Tensor grad) {
    check(grad.shape() == leaf.value.shape(), "[backward] a gradient of shape {} reached a parameter of shape {}",
          grad.shape().str(), leaf.value.shape().str());
    if (leaf.sink) {
        leaf.sink({0, grad.numel(), grad.data()});
    } else if (!leaf.grad.defined()) {
        leaf.grad = grad.unique() ? std::move(grad) : grad.clone();  // the optimizer's side may scale it in place
    } else {
        add_in_place(leaf.grad, grad);
    }
}

// A parameter that was used once: its gradient is finished as soon as that op has it.
const GradSink* Tape::takes_parts(std::int64_t node) const {
    if (node < 0 || check_finite_) return nullptr;
    const Node& from = nodes_[static_cast<std::size_t>(node)];
    return from.leaf && from.leaf->sink && from.uses == 1 ? &from.leaf->sink : nullptr;
}

void Tape::backward(const std::vector<std::pair<Var, Tensor>>& roots_and_seeds) {
    for (const auto& [root, seed] : roots_and_seeds) node_of(root, "backward");  // what is still to come, comes now
    std::vector<Slot> slots(nodes_.size());
    for (const auto& [root, seed] : roots_and_seeds) {
        check(root.shape() == seed.shape(), "[backward] the seed is {}, the root {}", seed.shape().str(),
              root.shape().str());
        const std::int64_t node = node_of(root, "backward");
        if (node >= 0) add_to(slots[static_cast<std::size_t>(node)], seed);
    }
    const NoGrad no_recording;
    for (std::size_t i = nodes_.size(); i-- > 0;) {
        Node& node = nodes_[i];
        const Backward run = std::move(node.backward);  // and with it what the op saved, gone at the end of this turn
        node.backward = nullptr;
        Tensor dy = std::move(slots[i].sum);
        if (!dy.defined()) continue;  // nothing that follows used it
        if (node.leaf) {
            deliver(*node.leaf, std::move(dy));
            continue;
        }
        check(run != nullptr, "[{}] backward ran before on this tape: open a new one for every step", node.op);
        for (const std::int64_t input : node.inputs) node.wanted.sinks_.push_back(takes_parts(input));
        Grads grads = run(dy, node.wanted);
        check(grads.size() == node.inputs.size(), "[{}] backward returned {} gradients for {} inputs", node.op,
              grads.size(), node.inputs.size());
        dy = {};
        for (std::size_t k = 0; k < grads.size(); ++k) {
            if (!node.wanted[k] || !grads[k].defined()) continue;
            if (check_finite_ && !all_finite(grads[k])) {
                const Parameter* leaf = nodes_[static_cast<std::size_t>(node.inputs[k])].leaf;
                throw NonFiniteError(
                    fmt::format("NaN or infinity born in the backward pass of [{}] (node {}, input {} of shape {})",
                                node.op, i, k, grads[k].shape().str()),
                    leaf ? std::vector<const Parameter*>{leaf} : std::vector<const Parameter*>{});
            }
            add_to(slots[static_cast<std::size_t>(node.inputs[k])], std::move(grads[k]));
        }
    }
}

NoGrad::NoGrad() : previous_(current_tape) { current_tape = nullptr; }
NoGrad::~NoGrad() { current_tape = previous_; }

Var use(Parameter& p) {
    Tape* tape = Tape::current();
    return tape && p.trainable ? tape->leaf(p) : Var(p.value);
}

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
