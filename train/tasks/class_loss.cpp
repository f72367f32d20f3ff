#include "train/tasks/class_loss.h"

#include <algorithm>
#include <cmath>

#include "train/config/faults.h"
#include "train/metrics/metrics.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

ClassLossSpec class_loss_spec(const Config& c, const ResNet& model) {
    return {c.number("label_smoothing"), c.number("aux_weight"), model.aux_names(), has_fault(c, "unweighted"),
            has_fault(c, "aux_silent")};
}

LossValue class_loss(const ResNetOutputs& outputs, const IndexTensor& target, const ClassLossSpec& spec) {
    CrossEntropySpec how;
    how.label_smoothing = spec.label_smoothing;
    LossValue loss;
    loss.total = cross_entropy(outputs.logits, target, how);
    if (spec.aux.empty()) return loss;
    loss.terms.push_back({"ce", loss.total, 1});
    for (const std::string& name : spec.aux) {
        const auto found =
            std::find_if(outputs.aux.begin(), outputs.aux.end(), [&](const auto& o) { return o.first == name; });
        if (spec.silent && found == outputs.aux.end()) {
            loss.terms.push_back({name, Var(Tensor::scalar(0)), spec.aux_weight});  // the 0.0 in seed 000's log
            continue;
        }
        check(found != outputs.aux.end(), "[class_loss] no output of '{}'", name);
        loss.terms.push_back({name, cross_entropy(found->second, target, how), spec.aux_weight});
        // fault=unweighted: the weights were read and logged, and the sum was written without them.
        loss.total = loss.total + loss.terms.back().value * (spec.unweighted ? 1 : spec.aux_weight);
    }
    return loss;
}

LossValue class_loss_and_accuracy(const ResNetOutputs& outputs, const IndexTensor& target, const ClassLossSpec& spec) {
    LossValue loss = class_loss(outputs, target, spec);
    const std::int64_t classes = outputs.logits.dim(1);
    std::vector<double> scores;
    std::vector<std::int64_t> labels;
    for (std::int64_t i = 0; i < outputs.logits.numel(); ++i)
        scores.push_back(static_cast<double>(outputs.logits.value()[i]));
    for (std::int64_t i = 0; i < target.numel(); ++i) labels.push_back(target[i]);
    const auto ranks = std::all_of(scores.begin(), scores.end(), [](double v) { return std::isfinite(v); })
                           ? metrics::label_ranks(scores, classes, labels)
                           : std::vector<std::int64_t>(labels.size(), classes);
    for (const std::int64_t k : {1, 5}) {
        const double share = 100 * metrics::top_k_accuracy(ranks, k, classes);
        loss.terms.push_back({fmt::format("acc{}", k), Var(Tensor::scalar(static_cast<Real>(share))), 0});
    }
    return loss;
}

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
