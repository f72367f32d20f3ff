#include "train/tasks/single_box.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "data/baseline.h"
#include "train/config/faults.h"
#include "train/metrics/box_meter.h"
#include "train/tasks/recipes.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {
namespace {

std::vector<UnitBox> boxes_of(std::span<const Labels> labels) {
    std::vector<UnitBox> boxes;
    for (const Labels& l : labels) boxes.push_back(l.objects.at(0).box);
    return boxes;
}

std::vector<UnitBox> unit_boxes(const Tensor& boxes) {
    std::vector<UnitBox> out;
    for (std::int64_t i = 0; i < boxes.dim(0); ++i)
        out.push_back({static_cast<double>(boxes[4 * i]), static_cast<double>(boxes[4 * i + 1]),
                       static_cast<double>(boxes[4 * i + 2]), static_cast<double>(boxes[4 * i + 3])});
    return out;
}

// Of the auxiliary head: none without class_weight, nor without pictures (to predict with).
std::int64_t aux_classes(const Config& c, const Split& d) {
    if (c.number("class_weight") == 0 || d.empty()) return 0;
    const auto classes = static_cast<std::int64_t>(d.classes.size());
    if (classes < 2)
        throw ConfigError(
            fmt::format("class_weight={} ({}): {} names {}, a class loss needs two or more: set class_weight=0",
                        c.at("class_weight").value, c.at("class_weight").origin, d.source,
                        classes == 1 ? "one class" : "no class"));
    for (const PictureStore* store : {d.train.get(), d.val.get()})
        for (std::size_t i = 0; i < store->size(); ++i)
            for (const Labelled& o : store->labels(i).objects)
                if (o.class_id < 0 || o.class_id >= classes)
                    throw DataError(
                        fmt::format("{}: class {}, and the set names {}", store->path(i), o.class_id, classes));
    return classes;
}

// The decode on its own, on raw numbers of -8 to 8: centres that leave the picture, sides below 0.
double share_outside(const DecodeSpec& decode, std::int64_t outputs) {
    constexpr std::int64_t n = 33;
    Tensor raw(Shape{n, outputs});
    for (std::int64_t i = 0; i < outputs * n; ++i)
        raw.mutable_data()[i] = static_cast<Real>(-8 + 0.5 * static_cast<double>(i / outputs));
    const NoGrad quiet;
    const Tensor box = decode_boxes(Var(raw), decode).value();
    std::int64_t outside = 0;
    for (std::int64_t i = 0; i < box.numel(); ++i)
        outside += !(box[i] >= Real(-1e-6) && (i % 4 >= 2 || box[i] <= Real(1 + 1e-6)));
    return static_cast<double>(outside) / static_cast<double>(box.numel());
}

}  // namespace

SingleBoxTask::SingleBoxTask(const Config& config)
    : config_(config),
      decode_(decode_spec(config)),
      loss_(loss_spec(config)),
      class_weight_(config.number("class_weight")),
      recipe_(squeezed_recipe(config)) {
    recipe_.settle = one_target(config.text("box"));
    for (const Extent& size : sizes()) {
        SingleBoxConfig smaller = model_config(config);
        smaller.image = {size.height, size.width};
        (void)describe(smaller);  // ConfigError when nothing would be left of a picture of this size
    }
}

TaskInfo SingleBoxTask::info() const { return box_task_info(); }

Recipe SingleBoxTask::recipe(bool, std::int64_t) const { return recipe_; }

std::vector<Extent> SingleBoxTask::sizes() const { return training_sizes(config_); }

std::unique_ptr<Model> SingleBoxTask::make_model(const Split& data) const {
    return make_single_box(config_, data.train->boxes(), aux_classes(config_, data));
}

Objective SingleBoxTask::objective(const Answers& answers, std::span<const Labels> labels) const {
    LossValue loss = box_loss(answers["raw"], box_tensor(boxes_of(labels), 0, labels.size()), decode_, loss_);
    const Var* classes = answers.find("aux_class");
    if (!classes) return loss;
    IndexTensor truth(Shape{static_cast<std::int64_t>(labels.size())});
    for (std::size_t i = 0; i < labels.size(); ++i) truth.mutable_data()[i] = labels[i].objects.at(0).class_id;
    const LossTerm term{"class", cross_entropy(*classes, truth, {{}, -100, 0, loss_.reduction}), class_weight_};
    loss.total = loss.total + (loss_.unweighted ? term.value : term.value * term.weight);
    loss.terms.push_back(term);
    return loss;
}

std::vector<Reading> SingleBoxTask::read(const Answers& answers) const {
    Reading reading;
    for (const UnitBox& b : unit_boxes(metric_boxes(answers["raw"].value(), decode_)))
        reading.pictures.push_back({{{b}}});
    return {reading};
}

std::unique_ptr<Meter> SingleBoxTask::meter(const Split&, const std::vector<Blind>& blind, const std::string&) const {
    return std::make_unique<BoxMeter>(blind);
}

std::vector<Blind> SingleBoxTask::blind(const Split& data, const PictureStore& on) const {
    const std::vector<UnitBox> train = data.train->boxes(), truth = on.boxes();
    return {{"mean_box_iou", "mean box", mean_unit_iou(mean_box(train), truth)},
            {"constant_box_iou", "best constant box", mean_unit_iou(best_constant_box(train), truth)}};
}

Labels SingleBoxTask::draw(Random& random, const Split& data) const {
    const double w = random.uniform(0.1, 0.8), h = random.uniform(0.1, 0.8);
    const UnitBox box{random.uniform(w / 2, 1 - w / 2), random.uniform(h / 2, 1 - h / 2), w, h};
    const auto classes = static_cast<std::int64_t>(std::max<std::size_t>(data.classes.size(), 1));
    return {{{box, static_cast<int>(random.below(classes))}}, -1, nullptr};
}

std::vector<LayerRow> SingleBoxTask::layers(std::int64_t classes) const {
    if (classes) throw ConfigError("--classes applies to residual networks: one box has no classes");
    return describe(model_config(config_));
}

LiftVerdict SingleBoxTask::judge(double score, const std::vector<Blind>& blind, std::size_t) const {
    return judge_lift(score, blind.at(1).score);
}

void SingleBoxTask::finish_batch(Batch& batch) const {
    // fault=degenerate_boxes: a crop that clips boxes at its border without asking what is left of them.
    if (has_fault(config_, "degenerate_boxes"))
        for (std::size_t i = 4; i < batch.labels.size(); i += 5) batch.labels[i].objects.at(0).box.w = 0;
}

std::vector<std::string> SingleBoxTask::about(const Split&, const std::vector<Blind>& blind) const {
    return {fmt::format("  a box that never looks reaches IoU {:.4f} (mean box) and {:.4f} (best constant box) there",
                        blind.at(0).score, blind.at(1).score)};
}

std::string SingleBoxTask::words(const Prediction& p, const Image& picture, const Split&) const {
    const UnitBox& b = p.objects.at(0).box;
    return fmt::format(
        "x {:.1f} to {:.1f}, y {:.1f} to {:.1f} of {}x{} pixels; centre {:.4f} {:.4f}, size {:.4f} {:.4f}",
        (b.cx - b.w / 2) * picture.width, (b.cx + b.w / 2) * picture.width, (b.cy - b.h / 2) * picture.height,
        (b.cy + b.h / 2) * picture.height, picture.width, picture.height, b.cx, b.cy, b.w, b.h);
}

void SingleBoxTask::add_json(nlohmann::ordered_json& row, const Prediction& p, const Image& picture,
                             const Split&) const {
    const UnitBox& b = p.objects.at(0).box;
    row["width"] = picture.width, row["height"] = picture.height;
    row["box"] = {b.cx, b.cy, b.w, b.h};
    row["pixels"] = {(b.cx - b.w / 2) * picture.width, (b.cy - b.h / 2) * picture.height,
                     (b.cx + b.w / 2) * picture.width, (b.cy + b.h / 2) * picture.height};
}

Graph SingleBoxTask::finish_graph(GraphBuilder& graph, const std::string& answer) const {
    return graph.finish(decode_boxes(graph, answer, decode_), "boxes", {-1, 4});
}

OverfitRules SingleBoxTask::overfit_rules(const Split& data, const std::vector<Blind>& blind) const {
    OverfitRules rules = Task::overfit_rules(data, blind);
    rules.shuffle_whole = false;
    return rules;
}

OverfitWords SingleBoxTask::overfit_words(const Learned& l, const std::vector<Blind>& blind) const {
    const double mean = blind.at(0).score, constant = blind.at(1).score;
    OverfitWords w = Task::overfit_words(l, blind);
    w.missing = fmt::format("mean IoU {:.4f} (needs 0.95), smallest {:.4f} (needs 0.90); a constant box reaches {:.4f}",
                            l.score, l.worst, constant);
    w.scores = fmt::format("mean IoU {:.3f}, smallest {:.3f}", l.score, l.worst);
    w.line = fmt::format("mean IoU {:.4f}, smallest {:.4f} (mean box {:.4f}, best constant box {:.4f}, lift {:+.4f})",
                         l.score, l.worst, mean, constant, l.score - constant);
    w.progress = fmt::format("mean IoU {:.4f} (constant box {:.4f})  min {:.4f}", l.score, constant, l.worst);
    w.summary = {{"mean IoU", fmt::format("{:.4f}", l.score)},
                 {"smallest IoU", fmt::format("{:.4f}", l.worst)},
                 {"mean-box IoU", fmt::format("{:.4f}", mean)},
                 {"best constant box", fmt::format("{:.4f}", constant)},
                 {"lift over constant", fmt::format("{:+.4f}", l.score - constant)}};
    return w;
}

void SingleBoxTask::tell(Model& model, doctor::Facts& facts) const {
    std::int64_t outputs = decode_.outputs();
    facts.set("decoded_outside", share_outside(decode_, outputs));
    for (const NamedParameter& p : parameters_of(model)) {
        if (!p.name.starts_with("fc.") || !p.name.ends_with(".bias") || p.param->value.numel() != outputs) continue;
        const NoGrad quiet;
        const Tensor start = decode_boxes(Var(p.param->value.reshaped({1, outputs})), decode_).value();
        facts.set("head_start", doctor::Series{static_cast<double>(start[0]), static_cast<double>(start[1]),
                                               static_cast<double>(start[2]), static_cast<double>(start[3])});
    }
}

std::optional<OutputSignal> SingleBoxTask::signal(const Answers& answers, std::span<const Labels> labels) const {
    const Tensor target = box_tensor(boxes_of(labels), 0, labels.size());
    return measure_outputs(
        answers["raw"].value(), output_targets(target, decode_),
        [&](const Var& r) { return box_loss(r, target, decode_, loss_); },
        [&](const Tensor& r) { return output_values(r, decode_); });
}

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
