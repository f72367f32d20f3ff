// What the doctor asks of the single-box task.
#include <algorithm>
#include <cmath>

#include "nn/init.h"
#include "train/step/diagnosis.h"
#include "train/tasks/single_box_task.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {
namespace {

// Boxes that lie within the picture.
Tensor random_boxes(std::int64_t n, std::uint64_t seed) {
    Random random({seed, Stream::test, 1, 0, 0});
    Tensor t(Shape{n, 4});
    for (std::int64_t i = 0; i < n; ++i) {
        const double w = random.uniform(0.1, 0.8), h = random.uniform(0.1, 0.8);
        const double box[4] = {random.uniform(w / 2, 1 - w / 2), random.uniform(h / 2, 1 - h / 2), w, h};
        for (std::int64_t k = 0; k < 4; ++k) t.mutable_data()[4 * i + k] = static_cast<Real>(box[k]);
    }
    return t;
}

}  // namespace

ModelOutputs SingleBoxTask::outputs(const Var& images, const RandomKey& dropout) {
    const SingleBoxOutputs out = model_->all_outputs(images, dropout);
    ModelOutputs named{out.raw, {}};
    if (out.classes.defined()) named.aux.emplace_back("aux_class", out.classes);
    return named;
}

LossValue SingleBoxTask::loss_of(const ModelOutputs& outputs, std::uint64_t seed) {
    const std::int64_t n = outputs.main.dim(0);
    IndexTensor classes(Shape{n});
    Random random({seed, Stream::test, 3, 0, 0});
    for (std::int64_t i = 0; i < n; ++i)
        classes.mutable_data()[i] = random.below(std::max<std::int64_t>(data_.classes, 1));
    return loss_on({outputs.main, outputs.aux.empty() ? Var() : outputs.aux.front().second}, random_boxes(n, seed),
                   classes);
}

Tensor SingleBoxTask::decoded(const Tensor& raw) {
    const NoGrad quiet;
    return decode_boxes(Var(raw), decode_).value();
}

std::optional<double> SingleBoxTask::blocked_outputs(std::uint64_t seed) {
    constexpr std::int64_t n = 64;
    const Tensor raw = normal({n, decode_.outputs()}, 0, 1.5, Random({seed, Stream::test, 2, 0, 0})),
                 target = random_boxes(n, seed);
    const OutputSignal signal = measure_outputs(
        raw, output_targets(target, decode_), [&](const Var& r) { return box_loss(r, target, decode_, loss_); },
        [&](const Tensor& r) { return output_values(r, decode_); });
    return static_cast<double>(signal.blocked) / static_cast<double>(signal.numbers);
}

std::int64_t SingleBoxTask::bad_targets(const TaskBatch& batch) const {
    const auto& boxes = pictures_of(batch).boxes;
    return std::count_if(boxes.begin(), boxes.end(), [](const UnitBox& b) {
        const double low = -1e-6, high = 1 + 1e-6;
        return !(b.w > 0 && b.h > 0 && b.cx - b.w / 2 >= low && b.cx + b.w / 2 <= high && b.cy - b.h / 2 >= low &&
                 b.cy + b.h / 2 <= high);  // a NaN fits nowhere
    });
}

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
