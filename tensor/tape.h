// Numbers that remember: a Var is a Tensor and its place on a Tape.
//
// A Tape is a list of nodes in the order of execution. Each op that ran appends one node: the closure that turns the
// gradient of its output into one gradient per input. Backward walks the list from its end. No graph, no recursion, no
// topological sort: the order of execution already is one.
//
//     Tape tape;                                  // opens: ops are recorded until it goes out of scope
//     Var loss = mse_loss(linear(x, use(w)), t);
//     tape.backward(loss);                        // w.grad now holds dloss/dw
//
// No tape open means inference: ops compute and record nothing. A closure captures Tensors, never Vars (a Var would
// tie the node to itself), and returns its gradients; the tape alone adds them up.
//
// Two things may be passed over at first reading, they change no result: a node that waits until somebody needs it
// (`later`: tensor/pending.h), and a gradient that is handed on part by part (`sink`: tensor/parameter.h).
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

#include "tensor/operand.h"
#include "tensor/parameter.h"
#include "tensor/tensor.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

class Var {
public:
    Var() = default;
    Var(Tensor value) : operand_(std::move(value)) {}  // a constant: implicit, so that ops take Tensors too
    explicit Var(Operand value) : operand_(std::move(value)) {}

    const Tensor& value() const { return operand_.tensor(); }
    const Operand& operand() const { return operand_; }  // for ops that can read a value which is still pending
    const Shape& shape() const { return operand_.shape(); }
    int rank() const { return shape().rank(); }
    std::int64_t dim(int axis) const { return shape()[axis]; }
    std::int64_t numel() const { return shape().numel(); }
    bool defined() const { return operand_.defined(); }
    bool tracked() const { return node_ >= 0 || later_; }
    Var detached() const;  // the same numbers, forgotten by the tape (tensor/constant.h)

private:
    friend class Tape;
    Operand operand_;
    std::int64_t node_ = -1;
    std::uint64_t tape_ = 0;
    std::shared_ptr<struct Joining> later_;  // instead of a node: one that is still to come
};

using Grads = std::vector<Tensor>;  // one per input of the op; undefined = no gradient

// Which inputs need a gradient; computing the others is wasted, not wrong. Where sink(i) is not null, the op may hand
// the i-th gradient to it part by part and leave its place undefined.
class Wanted {
public:
    bool operator[](std::size_t i) const { return wanted_[i]; }
    const GradSink* sink(std::size_t i) const { return sinks_.empty() ? nullptr : sinks_[i]; }

private:
    friend class Tape;
    std::vector<bool> wanted_;
    std::vector<const GradSink*> sinks_;
};

using Backward = std::function<Grads(const Tensor& dy, const Wanted& wanted)>;

// Raised on a tape with `check_finite`: names the op, its place on the tape and its inputs. `parameters` are those
// among the inputs, in order, for whoever knows their names.
struct NonFiniteError : Error {
    explicit NonFiniteError(const std::string& message, std::vector<const Parameter*> involved = {})
        : Error(message, ExitCode::diverged), parameters(std::move(involved)) {}
    std::vector<const Parameter*> parameters;
};

class Tape {
public:
    explicit Tape(bool check_finite = false);
    ~Tape();
    Tape(const Tape&) = delete;
    Tape& operator=(const Tape&) = delete;

    static Tape* current();  // the innermost open tape of this thread, or nullptr

    // A leaf: backward adds the gradient into p.grad, or hands it to p.sink. The same parameter is one leaf however
    // often it is used.
    Var leaf(Parameter& p);
    Var record(const char* op, Operand value, const std::vector<Var>& inputs, Backward backward);
    Var record_later(const char* op, Pending value, const std::vector<Var>& inputs, Backward backward);

    // Gradients of sum(root * seed) with respect to every leaf; the seed of a scalar root is 1. Consumes the nodes.
    void backward(const Var& root) { backward({{root, Tensor::full(root.shape(), Real(1))}}); }
    void backward(const std::vector<std::pair<Var, Tensor>>& roots_and_seeds);

    // The parameters used since the tape was opened, in order of first use.
    const std::vector<Parameter*>& leaves() const { return leaves_; }
    std::size_t size() const { return nodes_.size(); }

private:
    struct Node {
        const char* op;
        std::vector<std::int64_t> inputs;  // node numbers, -1 for constants
        Wanted wanted;
        Backward backward;
        Parameter* leaf = nullptr;
        int uses = 0;  // as an input
    };
    struct Slot {
        Tensor sum;
        bool owned = false;  // the tape made it: further terms may be added in place
    };
    Var place(Operand value, Node node);
    std::int64_t node_of(const Var& v, const char* op);
    std::int64_t join(struct Joining& later);              // tensor/pending.h
    const GradSink* takes_parts(std::int64_t node) const;  // of the gradient; nullptr: takes it whole
    [[noreturn]] void complain(const char* op, const std::vector<Var>& inputs) const;
    static void add_to(Slot& slot, Tensor term);
    static void deliver(Parameter& leaf, Tensor grad);

    std::vector<Node> nodes_;
    std::vector<Parameter*> leaves_;
    std::unordered_map<Parameter*, std::int64_t> leaf_nodes_;
    std::uint64_t id_;
    bool check_finite_;
    Tape* previous_;
};

// No tape while it lives: the ops inside compute and record nothing.
class NoGrad {
public:
    NoGrad();
    ~NoGrad();
    NoGrad(const NoGrad&) = delete;
    NoGrad& operator=(const NoGrad&) = delete;

private:
    Tape* previous_;
};

// A parameter as an operand: a leaf of the open tape, or a constant when there is none or it is frozen.
Var use(Parameter& p);

// How every op ends. `backward` is (dy) -> Grads or (dy, wanted) -> Grads; it is dropped unless some input is tracked.
template <class F>
Var record(const char* op, Operand value, const std::vector<Var>& inputs, F&& backward) {
    bool tracked = false;
    for (const Var& input : inputs) tracked = tracked || input.tracked();
    Tape* tape = Tape::current();
    if (!tape || !tracked) return Var(std::move(value));
    if constexpr (std::is_invocable_v<F, const Tensor&>) {
        auto plain = [f = std::forward<F>(backward)](const Tensor& dy, const Wanted&) { return f(dy); };
        return tape->record(op, std::move(value), inputs, std::move(plain));
    } else {
        return tape->record(op, std::move(value), inputs, std::forward<F>(backward));
    }
}

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
