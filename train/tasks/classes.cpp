#include "train/tasks/classes.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

#include "train/config/faults.h"
#include "train/metrics/class_meter.h"
#include "train/metrics/metrics.h"
#include "train/tasks/recipes.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {
namespace {

std::array<double, 3> three_numbers(const Config& c, const std::string& key) {
    const std::vector<double> values = parse_numbers(key, c.text(key));
    if (values.size() != 3)
        throw ConfigError(fmt::format("{}={}: expected three numbers, for red, green and blue", key, c.text(key)));
    return {values[0], values[1], values[2]};
}

// Pictures are in 0..1 here; PyTorch's own numbers are often written for 0..255.
void refuse_bytes(const Config& c, const std::string& key, const std::array<double, 3>& values, double most) {
    if (*std::max_element(values.begin(), values.end()) <= most) return;
    throw ConfigError(
        fmt::format("{}={}: numbers of the scale 0..255, pictures are in 0..1 here: {}={:.4g},{:.4g},{:.4g}", key,
                    c.text(key), key, values[0] / 255, values[1] / 255, values[2] / 255));
}

Recipe crop_recipe(const Config& c) {
    Recipe r;
    const int side = static_cast<int>(c.integer("image"));
    r.fit = Fit::centre_crop;
    r.size = {side, side};
    r.antialias = c.flag("antialias");
    r.mean = three_numbers(c, "mean"), r.deviation = three_numbers(c, "std");
    refuse_bytes(c, "mean", r.mean, 1), refuse_bytes(c, "std", r.deviation, 8);
    for (const double d : r.deviation)
        if (!(d > 0)) throw ConfigError(fmt::format("std={}: expected numbers above 0", c.text("std")));
    r.augment = common_augmentation(c);
    r.augment.random_crop = c.flag("random_crop"), r.augment.smallest_crop = c.number("crop_min");
    return r;
}

IndexTensor target_of(std::span<const Labels> labels) {
    IndexTensor target(Shape{static_cast<std::int64_t>(labels.size())});
    for (std::size_t i = 0; i < labels.size(); ++i) target.mutable_data()[i] = labels[i].class_id;
    return target;
}

std::vector<std::int64_t> per_class(const PictureStore& store, std::size_t classes) {
    std::vector<std::int64_t> count(classes);
    for (std::size_t i = 0; i < store.size(); ++i) ++count.at(static_cast<std::size_t>(store.labels(i).class_id));
    return count;
}

double chance_of(std::size_t classes) { return 100 / static_cast<double>(classes); }

// Of a picture, best first.
std::vector<std::size_t> best_five(const Prediction& p) {
    std::vector<std::size_t> order(p.classes.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t i, std::size_t k) { return p.classes[i] > p.classes[k]; });
    order.resize(std::min<std::size_t>(order.size(), 5));
    return order;
}

}  // namespace

ResNetConfig class_model_config(const Config& c, std::int64_t classes) {
    ResNetConfig r = resnet_config(c.text("model"), classes);
    r.image = c.integer("image");
    r.small_stem = c.text("stem") == "cifar";
    r.zero_init_residual = c.flag("zero_init_residual");
    r.recompute = c.integer("recompute") == 1;
    r.aux_heads = c.integer("aux_heads");
    r.detach_trunk = has_fault(c, "cut");
    r.detach_aux = has_fault(c, "aux_detached");
    r.silent_aux = has_fault(c, "aux_silent");
    r.shift_aux = has_fault(c, "aux_shifted");
    if (r.aux_heads == 0 && c.at("aux_weight").value != config_key("aux_weight").default_value)
        throw ConfigError(fmt::format("aux_weight={} ({}) would be ignored: aux_heads=0 has no auxiliary head",
                                      c.at("aux_weight").value, c.at("aux_weight").origin));
    return r;
}

void check_parts(const std::vector<LayerRow>& layers, std::int64_t image, std::int64_t pictures, std::int64_t batch,
                 std::int64_t parts, bool drop_last) {
    std::int64_t side = 1;
    for (const LayerRow& row : layers)
        if (row.type.starts_with("conv")) side = row.out.dims().at(0);
    if (side > 1 || pictures == 0) return;  // a picture alone has several values a channel
    const std::int64_t full = std::min(batch, pictures), rest = pictures % batch;
    for (const std::int64_t n : {full, drop_last && pictures >= batch ? full : rest})
        if (n > 0 && n / std::min(parts, n) < 2)
            throw ConfigError(fmt::format(
                "batch={}, accumulate={}, image={} with {} pictures: a part of one picture would reach the last batch "
                "norm as one value a channel: set drop_last=true, another batch, or a larger image",
                batch, parts, image, pictures));
}

ClassLossSpec class_loss_spec(const Config& c) {
    std::vector<std::string> aux;
    for (const LayerRow& row : describe(class_model_config(c, 2)))
        if (row.name.starts_with("aux_")) aux.push_back(row.name);
    return {c.number("label_smoothing"), c.number("aux_weight"), aux, has_fault(c, "unweighted"),
            has_fault(c, "aux_silent")};
}

LossValue class_loss(const Answers& answers, const IndexTensor& target, const ClassLossSpec& spec) {
    CrossEntropySpec how;
    how.label_smoothing = spec.label_smoothing;
    LossValue loss;
    loss.total = cross_entropy(answers["logits"], target, how);
    if (spec.aux.empty()) return loss;
    loss.terms.push_back({"ce", loss.total, 1});
    for (const std::string& name : spec.aux) {
        const Var* found = answers.find(name);
        if (spec.silent && !found) {
            loss.terms.push_back({name, Var(Tensor::scalar(0)), spec.aux_weight});  // the 0.0 in the exits report's log
            continue;
        }
        check(found != nullptr, "[class_loss] no output of '{}'", name);
        loss.terms.push_back({name, cross_entropy(*found, target, how), spec.aux_weight});
        // fault=unweighted: the weights were read and logged, and the sum was written without them.
        loss.total = loss.total + loss.terms.back().value * (spec.unweighted ? 1 : spec.aux_weight);
    }
    return loss;
}

std::vector<std::pair<std::string, double>> class_accuracy(const Answers& answers, const IndexTensor& target) {
    const Tensor& logits = answers["logits"].value();
    const std::int64_t classes = logits.dim(1);
    std::vector<double> scores;
    std::vector<std::int64_t> labels;
    for (std::int64_t i = 0; i < logits.numel(); ++i) scores.push_back(static_cast<double>(logits[i]));
    for (std::int64_t i = 0; i < target.numel(); ++i) labels.push_back(target[i]);
    const auto ranks = std::all_of(scores.begin(), scores.end(), [](double v) { return std::isfinite(v); })
                           ? metrics::label_ranks(scores, classes, labels)
                           : std::vector<std::int64_t>(labels.size(), classes);
    return {{"acc1", 100 * metrics::top_k_accuracy(ranks, 1, classes)},
            {"acc5", 100 * metrics::top_k_accuracy(ranks, 5, classes)}};
}

ClassTask::ClassTask(const Config& config)
    : config_(config), recipe_(crop_recipe(config)), loss_(class_loss_spec(config)) {}

TaskInfo ClassTask::info() const { return class_task_info(config_.integer("classes")); }

Recipe ClassTask::recipe(bool, std::int64_t) const { return recipe_; }

std::unique_ptr<Model> ClassTask::make_model(const Split& data) const {
    const std::int64_t set = config_.integer("classes"), there = static_cast<std::int64_t>(data.classes.size());
    return std::make_unique<ResNet>(class_model_config(config_, there ? there
                                                                : set ? set
                                                                      : 1000),
                                    static_cast<std::uint64_t>(config_.integer("seed")));
}

Objective ClassTask::objective(const Answers& answers, std::span<const Labels> labels) const {
    const IndexTensor target = target_of(labels);
    LossValue loss = class_loss(answers, target, loss_);
    return {std::move(loss), class_accuracy(answers, target)};
}

std::vector<Reading> ClassTask::read(const Answers& answers) const {
    const Var& logits = answers["logits"];
    const Tensor p = softmax(logits, 1).value();
    const std::int64_t n = logits.dim(0), classes = logits.dim(1);
    Reading reading;
    for (std::int64_t i = 0; i < n; ++i) {
        Prediction one;
        for (std::int64_t k = 0; k < classes; ++k) {
            one.logits.push_back(static_cast<double>(logits.value()[i * classes + k]));
            one.classes.push_back(static_cast<double>(p[i * classes + k]));
        }
        reading.pictures.push_back(std::move(one));
    }
    return {reading};
}

std::unique_ptr<Meter> ClassTask::meter(const Split& data, const std::vector<Blind>& blind, const std::string&) const {
    return std::make_unique<ClassMeter>(data.classes, blind);
}

std::vector<Blind> ClassTask::blind(const Split& data, const PictureStore& on) const {
    const auto train = per_class(*data.train, data.classes.size()), there = per_class(on, data.classes.size());
    const auto common = static_cast<std::size_t>(std::max_element(train.begin(), train.end()) - train.begin());
    return {{"chance", "chance", chance_of(data.classes.size())},
            {"common_class_acc1", "most frequent class",
             100 * static_cast<double>(there[common]) / static_cast<double>(on.size())}};
}

Labels ClassTask::draw(Random& random, const Split& data) const {
    Labels labels;
    labels.class_id = static_cast<int>(random.below(static_cast<std::int64_t>(data.classes.size())));
    return labels;
}

std::vector<LayerRow> ClassTask::layers(std::int64_t classes) const {
    const std::int64_t set = config_.integer("classes");
    return describe(class_model_config(config_, classes ? classes : set ? set : 1000));
}

LiftVerdict ClassTask::judge(double score, const std::vector<Blind>& blind, std::size_t pictures) const {
    return judge_accuracy(score, std::max(blind.at(0).score, blind.at(1).score), static_cast<std::int64_t>(pictures));
}

// Every label within the list, every class on both sides: said now, not by an accuracy that nobody understands.
void ClassTask::check_data(const Split& d) const {
    const auto classes = static_cast<std::int64_t>(d.classes.size());
    const std::string& place = config_.text("data");
    if (config_.integer("classes") != 0 && config_.integer("classes") != classes)
        throw ConfigError(fmt::format("classes={} ({}), but {} has {}: leave the key out, or give that number",
                                      config_.integer("classes"), config_.at("classes").origin, place, classes));
    for (const auto& [part, store] : {std::pair{"training", d.train.get()}, std::pair{"validation", d.val.get()}}) {
        for (std::size_t i = 0; i < store->size(); ++i) {
            const int id = store->labels(i).class_id;
            if (id < 0)
                throw DataError(
                    fmt::format("{}: has no class for the whole picture: a classifier needs a folder a class "
                                "(ImageFolder) or a tiny-imagenet tree",
                                store->path(i)));
            if (id >= classes) throw DataError(fmt::format("{}: class {} of {}", store->path(i), id, classes));
        }
        const auto count = per_class(*store, d.classes.size());
        const auto none = std::find(count.begin(), count.end(), 0);
        if (none != count.end())
            throw DataError(fmt::format("{}: class {} has no {} picture: both parts must hold the same classes", place,
                                        d.classes[static_cast<std::size_t>(none - count.begin())], part));
    }
}

void ClassTask::check_plan(const BatchPlan& plan, std::int64_t parts) const {
    check_parts(layers(2), config_.integer("image"), static_cast<std::int64_t>(plan.pictures),
                static_cast<std::int64_t>(plan.batch), parts, plan.drop_last);
}

double ClassTask::answer_loss(const LossValue& loss) const {
    return static_cast<double>((loss.terms.empty() ? loss.total : loss.terms.front().value).value().item());
}

std::string ClassTask::describe_data(const Split& d) const {
    return fmt::format("{} of {} classes", Task::describe_data(d), d.classes.size());
}

std::vector<std::string> ClassTask::about(const Split& data, const std::vector<Blind>& blind) const {
    std::vector<std::string> lines{fmt::format(
        "  an answer that never looks is right for {:.2f} % (chance) or {:.2f} % (always the commonest class) of them",
        blind.at(0).score, blind.at(1).score)};
    if (data.classes.size() <= 5)
        lines.push_back(
            fmt::format("  top-5 accuracy is trivial with {} classes: it is always 100 %", data.classes.size()));
    return lines;
}

ReportPicture ClassTask::show(const Prediction& p, const Labels& truth, const Split& data) const {
    ReportPicture shown;
    shown.score_name = "p";
    const auto right = static_cast<std::size_t>(truth.class_id),
               answer =
                   static_cast<std::size_t>(std::max_element(p.classes.begin(), p.classes.end()) - p.classes.begin());
    shown.caption = right == answer ? data.classes[right]
                                    : fmt::format("{}, taken for {}", data.classes[right], data.classes[answer]);
    return shown;
}

std::string ClassTask::words(const Prediction& p, const Image&, const Split& data) const {
    std::string text;
    for (const std::size_t k : best_five(p))
        text += fmt::format("{}{} {:.1f} %", text.empty() ? "" : ", ", data.classes.at(k), 100 * p.classes[k]);
    return text;
}

void ClassTask::add_json(nlohmann::ordered_json& row, const Prediction& p, const Image&, const Split& data) const {
    row["answers"] = nlohmann::ordered_json::array();
    for (const std::size_t k : best_five(p))
        row["answers"].push_back({{"class", data.classes.at(k)}, {"index", k}, {"p", p.classes[k]}});
}

Graph ClassTask::finish_graph(GraphBuilder& graph, const std::string& answer) const {
    const std::int64_t set = config_.integer("classes");
    return graph.finish(answer, "logits", {-1, set ? set : 1000});
}

OverfitRules ClassTask::overfit_rules(const Split& data, const std::vector<Blind>&) const {
    OverfitRules rules;
    rules.enough = {100 - 1e-9, -1e300, 0.005}, rules.pass = {100 - 1e-9, -1e300, 0.01};
    rules.needs_loss = true;
    rules.start = std::log(static_cast<double>(std::max<std::size_t>(data.classes.size(), 2)));
    rules.fall = 0.9;
    rules.watched = {"acc1"};
    return rules;
}

OverfitWords ClassTask::overfit_words(const Learned& l, const std::vector<Blind>& blind) const {
    const double chance = blind.at(0).score, common = blind.at(1).score;
    OverfitWords w;
    w.learned = fmt::format("every picture is right, loss {:.4f}", l.loss);
    w.missing = fmt::format(
        "{:.0f} % right (needs 100), loss {:.4f} (needs less than 0.01); always giving the commonest class is right "
        "for {:.0f} %",
        l.score, l.loss, common);
    w.short_of = fmt::format("{:.0f} % right", l.score);
    w.scores = fmt::format("{:.0f} % right, evaluation loss {:.4f}", l.score, l.loss);
    w.line = fmt::format("{:.0f} % right (commonest class {:.0f} %), loss {:.4f}", l.score, common, l.loss);
    w.progress = fmt::format("evaluation: loss {:.4f}, {:.0f} % right (chance {:.0f} %)", l.loss, l.score, chance);
    w.measure = fmt::format("loss {:.4f}", l.loss);
    w.summary = {{"right", fmt::format("{:.0f} %", l.score)},
                 {"loss", fmt::format("{:.4f}", l.loss)},
                 {"smallest probability", fmt::format("{:.4f}", l.worst)},
                 {"commonest class", fmt::format("{:.0f} %", common)}};
    w.numbers = {{"loss", l.loss}, {"acc1", l.score}, {"smallest_probability", l.worst}, {"common_class_acc1", common}};
    return w;
}

std::vector<std::pair<std::string, double>> ClassTask::overfit_columns(const Learned& l,
                                                                       const std::vector<Blind>& blind) const {
    return {{"val/loss", l.loss}, {"val/acc1", l.score}, {"metrics/chance", blind.at(0).score}};
}

void ClassTask::tell(Model& model, doctor::Facts& facts) const {
    for (const NamedParameter& p : parameters_of(model))
        if (p.name == "fc.bias") facts.set("head_outputs", static_cast<double>(p.param->value.numel()));
    // As many as the configuration asks for, which the synthetic pictures have not.
    if (const double* n = facts.number("classes")) facts.set("head_outputs", std::max(2.0, *n));
}

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
