#include "nn/losses.h"

#include <cmath>

namespace solobox {
inline namespace SOLOBOX_PRECISION {

Var reduced(const Var& x, Reduction reduction) {
    switch (reduction) {
        case Reduction::mean:
            return mean(x);
        case Reduction::sum:
            return sum(x);
        case Reduction::none:
            return x;
    }
    return x;
}

Var mse_loss(const Var& x, const Var& target, Reduction reduction) { return reduced(square(x - target), reduction); }
Var l1_loss(const Var& x, const Var& target, Reduction reduction) { return reduced(abs(x - target), reduction); }

namespace {

MaskTensor mask_of(const Tensor& x, auto condition) {
    MaskTensor mask(x.shape());
    for (std::int64_t i = 0; i < x.numel(); ++i) mask.mutable_data()[i] = condition(x[i]) ? 1 : 0;
    return mask;
}

}  // namespace

Var smooth_l1_loss(const Var& x, const Var& target, double beta, Reduction reduction) {
    check(beta >= 0, "[smooth_l1_loss] beta is {}, expected at least 0", beta);
    if (beta == 0) return l1_loss(x, target, reduction);
    const Var d = x - target, size = abs(d);
    const MaskTensor near = mask_of(size.value(), [beta](Real v) { return v < static_cast<Real>(beta); });
    return reduced(where(near, square(d) * (0.5 / beta), size - 0.5 * beta), reduction);
}

Var huber_loss(const Var& x, const Var& target, double delta, Reduction reduction) {
    check(delta > 0, "[huber_loss] delta is {}, expected more than 0", delta);
    const Var d = x - target, size = abs(d);
    const MaskTensor near = mask_of(size.value(), [delta](Real v) { return v <= static_cast<Real>(delta); });
    return reduced(where(near, square(d) * 0.5, (size - 0.5 * delta) * delta), reduction);
}

namespace {

// What the class targets of a batch amount to: where to read, with which weight, and the divisor of the mean.
struct Targets {
    IndexTensor index;  // the logits' shape with one class
    Tensor weight;      // per position: 0 where ignored, else the class weight or 1
    Tensor kept;        // per position: 1 or 0
    double total = 0;
};

Targets class_targets(const Shape& logits, const IndexTensor& target, const CrossEntropySpec& spec) {
    const std::int64_t classes = logits[1];
    check(target.shape() == logits.without(1), "[cross_entropy] targets {} do not match logits {} (classes on axis 1)",
          target.shape().str(), logits.str());
    check(!spec.weight.defined() || spec.weight.shape() == Shape{classes},
          "[cross_entropy] {} classes need as many weights", classes);
    Targets t{IndexTensor(logits.with(1, 1)), Tensor(target.shape()), Tensor(target.shape())};
    for (std::int64_t i = 0; i < target.numel(); ++i) {
        const bool keep = target[i] != spec.ignore_index;
        check(!keep || (target[i] >= 0 && target[i] < classes), "[cross_entropy] target {} is not one of {} classes",
              target[i], classes);
        const Real w = !keep ? Real(0) : spec.weight.defined() ? spec.weight[target[i]] : Real(1);
        t.index.mutable_data()[i] = keep ? target[i] : 0;
        t.weight.mutable_data()[i] = w;
        t.kept.mutable_data()[i] = keep ? 1 : 0;
        t.total += static_cast<double>(w);
    }
    return t;
}

// (1, C, 1, ..): class weights lined up with axis 1 of the logits.
Var class_weights(const Shape& logits, const Tensor& weight) {
    std::vector<std::int64_t> dims(static_cast<std::size_t>(logits.rank()), 1);
    dims[1] = logits[1];
    return Var(weight.defined() ? weight.reshaped(Shape(dims)) : Tensor::full(Shape(dims), 1));
}

Var averaged(const Var& per_position, double total, Reduction reduction) {
    return reduction == Reduction::mean ? sum(per_position) / total : reduced(per_position, reduction);
}

// A single sample of C logits as a batch of one.
bool single(const Var& logits) { return logits.rank() == 1; }
Var batch_of_one(const Var& logits) { return reshape(logits, {1, logits.dim(0)}); }

Var picked(const Var& log_p, const Targets& t) {
    return neg(reshape(gather(log_p, 1, t.index), t.weight.shape().dims())) * Var(t.weight);
}

}  // namespace

Var nll_loss(const Var& log_probabilities, const IndexTensor& target, const CrossEntropySpec& spec) {
    if (single(log_probabilities)) {
        const Var y = nll_loss(batch_of_one(log_probabilities), target.reshaped(Shape{1}), spec);
        return reshape(y, {});
    }
    const Targets t = class_targets(log_probabilities.shape(), target, spec);
    return averaged(picked(log_probabilities, t), t.total, spec.reduction);
}

Var cross_entropy(const Var& logits, const IndexTensor& target, const CrossEntropySpec& spec) {
    if (single(logits)) return reshape(cross_entropy(batch_of_one(logits), target.reshaped(Shape{1}), spec), {});
    const Var log_p = log_softmax(logits, 1);
    const Targets t = class_targets(logits.shape(), target, spec);
    const Var exact = averaged(picked(log_p, t), t.total, spec.reduction);
    const double s = spec.label_smoothing;
    if (s == 0) return exact;
    // The smoothed share goes to all classes evenly: minus the weighted sum of log p over the classes.
    const Var all = neg(sum(log_p * class_weights(logits.shape(), spec.weight), {1})) * Var(t.kept);
    return exact * (1 - s) + averaged(all, t.total, spec.reduction) * (s / static_cast<double>(logits.dim(1)));
}

Var cross_entropy(const Var& logits, const Tensor& probabilities, const CrossEntropySpec& spec) {
    check(probabilities.shape() == logits.shape(), "[cross_entropy] probabilities {} do not match logits {}",
          probabilities.shape().str(), logits.shape().str());
    if (single(logits))
        return reshape(cross_entropy(batch_of_one(logits), probabilities.reshaped(Shape{1, logits.dim(0)}), spec), {});
    const double s = spec.label_smoothing, classes = static_cast<double>(logits.dim(1));
    const Var target = Var(probabilities) * (1 - s) + s / classes;
    const Var weighted = log_softmax(logits, 1) * target * class_weights(logits.shape(), spec.weight);
    const Var per_position = neg(sum(weighted, {1}));
    return averaged(per_position, static_cast<double>(per_position.numel()), spec.reduction);
}

Var binary_cross_entropy_with_logits(const Var& x, const Tensor& target, const Tensor& weight, const Tensor& pos_weight,
                                     Reduction reduction) {
    check(target.shape() == x.shape(), "[binary_cross_entropy_with_logits] target {} does not match input {}",
          target.shape().str(), x.shape().str());
    // -log sigmoid(x) = softplus(-x), exact for large |x|: no logarithm of a rounded 0.
    const Var t(target), yes = softplus(neg(x), 1, 40), no = softplus(x, 1, 40);
    Var loss = (pos_weight.defined() ? yes * Var(pos_weight) : yes) * t + no * (1.0 - t);
    if (weight.defined()) loss = loss * Var(weight);
    return reduced(loss, reduction);
}

Var sigmoid_focal_loss(const Var& x, const Tensor& target, double alpha, double gamma, Reduction reduction) {
    const Var t(target), p = sigmoid(x);
    const Var bce = binary_cross_entropy_with_logits(x, target, {}, {}, Reduction::none);
    const Var missing = 1.0 - (p * t + (1.0 - p) * (1.0 - t));
    Var loss = bce * pow(missing, scalar(gamma));
    if (alpha >= 0) loss = loss * (t * alpha + (1.0 - t) * (1 - alpha));
    return reduced(loss, reduction);
}

Var dice_loss(const Var& x, const Tensor& target, double smooth, bool logits, Reduction reduction) {
    check(target.shape() == x.shape() && x.rank() >= 1, "[dice_loss] target {} does not match input {}",
          target.shape().str(), x.shape().str());
    const Var p = logits ? sigmoid(x) : x, t(target);
    const auto per_sample = [&](const Var& v) {
        return sum(reshape(v, {v.dim(0), v.numel() / std::max<std::int64_t>(v.dim(0), 1)}), {1});
    };
    return reduced(1.0 - (per_sample(p * t) * 2.0 + smooth) / (per_sample(p) + per_sample(t) + smooth), reduction);
}

Var distribution_focal_loss(const Var& logits, const Tensor& target, Reduction reduction) {
    check(logits.rank() == 2 && target.shape() == Shape{logits.dim(0)},
          "[distribution_focal_loss] logits {} and target {}: expected (M, K) and (M)", logits.shape().str(),
          target.shape().str());
    const std::int64_t bins = logits.dim(1);
    IndexTensor left(target.shape()), right(target.shape());
    Tensor to_left(target.shape()), to_right(target.shape());
    for (std::int64_t i = 0; i < target.numel(); ++i) {
        const auto l = static_cast<std::int64_t>(std::floor(target[i]));
        check(l >= 0 && l + 1 < bins, "[distribution_focal_loss] target {} lies outside [0, {})", target[i], bins - 1);
        left.mutable_data()[i] = l;
        right.mutable_data()[i] = l + 1;
        to_left.mutable_data()[i] = static_cast<Real>(l + 1) - target[i];
        to_right.mutable_data()[i] = target[i] - static_cast<Real>(l);
    }
    const CrossEntropySpec each{{}, -100, 0, Reduction::none};
    return reduced(
        cross_entropy(logits, left, each) * Var(to_left) + cross_entropy(logits, right, each) * Var(to_right),
        reduction);
}

Var distribution_focal_decode(const Var& logits, std::int64_t bins) {
    check(bins >= 1 && logits.rank() >= 1 && logits.dim(-1) == 4 * bins,
          "[distribution_focal_decode] input {} does not end in 4 x {} bins", logits.shape().str(), bins);
    auto dims = logits.shape().with(-1, 4).dims();
    const auto out = dims;
    dims.push_back(bins);
    Tensor values(Shape{bins});
    for (std::int64_t i = 0; i < bins; ++i) values.mutable_data()[i] = static_cast<Real>(i);
    return reshape(sum(softmax(reshape(logits, dims), -1) * Var(values), {-1}), out);
}

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
