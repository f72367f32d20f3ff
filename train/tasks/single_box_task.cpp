#include "train/tasks/single_box_task.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numeric>

#include "data/baseline.h"
#include "data/image/draw.h"
#include "data/image/image.h"
#include "data/sets/synthetic.h"
#include "train/config/faults.h"
#include "train/metrics/metrics.h"
#include "train/step/data_setup.h"
#include "train/step/training_schedule.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {
namespace {

struct BoxBatch : TaskBatch {
    PictureBatch pictures;
};

PictureStore::Options store_options(const Config& c, int side, bool skip_bad) {
    return {side, c.flag("antialias"), c.integer("cache_mb") << 20, skip_bad};
}

std::vector<int> training_sides(const Config& c) {
    std::vector<int> sides;
    for (const std::int64_t side : parse_list("multi_scale", c.text("multi_scale"))) {
        if (side < 8 || side > 2048)
            throw ConfigError(
                fmt::format("multi_scale={}: {} is not within 8 to 2048 pixels", c.text("multi_scale"), side));
        sides.push_back(static_cast<int>(side));
    }
    if (sides.empty()) sides.push_back(static_cast<int>(c.integer("image")));
    return sides;
}

std::shared_ptr<const PictureStore> synthetic_store(const Config& c, int side, const SyntheticPart& part,
                                                    std::vector<Tally>& tallies) {
    const int drawn = std::max(side, 16);
    std::vector<StoredTarget> targets;
    for (std::uint64_t i = 0; i < part.count; ++i) {
        const Object o = make_synthetic(0, part.first + i, drawn).object;
        const double s = drawn;
        const std::string name = fmt::format("shape {}", part.first + i);
        targets.push_back({name,
                           name,
                           {(o.x1 + o.x2) / 2 / s, (o.y1 + o.y2) / 2 / s, (o.x2 - o.x1) / s, (o.y2 - o.y1) / s},
                           o.class_id});
    }
    const auto read = [part, drawn](std::size_t i) { return make_synthetic(0, part.first + i, drawn).image; };
    return std::make_shared<PictureStore>(std::move(targets), read, store_options(c, side, false), tallies);
}

std::shared_ptr<const PictureStore> file_store(const Config& c, int side, const std::vector<Target>& found,
                                               bool skip_bad, std::vector<Tally>& tallies) {
    std::vector<StoredTarget> targets;
    std::vector<std::string> paths;
    for (const Target& t : found) {
        targets.push_back({std::filesystem::path(t.sample.path).filename().string(), t.sample.path, t.box, t.class_id});
        paths.push_back(t.sample.path);
    }
    const auto read = [paths](std::size_t i) { return read_image(paths[i]); };
    return std::make_shared<PictureStore>(std::move(targets), read, store_options(c, side, skip_bad), tallies);
}

BoxPolicy policy_of(const std::string& name) {
    return name == "first" ? BoxPolicy::first : name == "error" ? BoxPolicy::error : BoxPolicy::largest;
}

AugmentSpec augment_spec(const Config& c) {
    AugmentSpec a;
    for (const auto& [key, number] : {std::pair<const char*, double AugmentSpec::*>{"fliplr", &AugmentSpec::fliplr},
                                      {"translate", &AugmentSpec::translate},
                                      {"scale", &AugmentSpec::scale},
                                      {"degrees", &AugmentSpec::degrees},
                                      {"min_visible", &AugmentSpec::min_visible},
                                      {"brightness", &AugmentSpec::brightness},
                                      {"contrast", &AugmentSpec::contrast},
                                      {"saturation", &AugmentSpec::saturation},
                                      {"hsv_h", &AugmentSpec::hsv_h},
                                      {"hsv_s", &AugmentSpec::hsv_s},
                                      {"hsv_v", &AugmentSpec::hsv_v},
                                      {"mosaic", &AugmentSpec::mosaic},
                                      {"mixup", &AugmentSpec::mixup}})
        a.*number = c.number(key);
    return a;
}

void spread_of(const std::vector<UnitBox>& boxes, std::array<double, 4>& mean, std::array<double, 4>& deviation) {
    const auto coordinates = [](const UnitBox& b) { return std::array<double, 4>{b.cx, b.cy, b.w, b.h}; };
    const double n = static_cast<double>(std::max<std::size_t>(boxes.size(), 1));
    mean = deviation = {};
    for (const UnitBox& b : boxes)
        for (std::size_t k = 0; k < 4; ++k) mean[k] += coordinates(b)[k] / n;
    for (const UnitBox& b : boxes)
        for (std::size_t k = 0; k < 4; ++k)
            deviation[k] += (coordinates(b)[k] - mean[k]) * (coordinates(b)[k] - mean[k]) / n;
    for (double& d : deviation) d = std::sqrt(d);
}

IndexTensor class_tensor(const PictureStore& store, const std::vector<std::size_t>& which, std::size_t first,
                         std::size_t count) {
    IndexTensor t(Shape{static_cast<std::int64_t>(count)});
    for (std::size_t i = 0; i < count; ++i) t.mutable_data()[i] = store.target(which[first + i]).class_id;
    return t;
}

// Of the auxiliary head: none without class_weight, nor without pictures (to predict with).
std::int64_t aux_classes(const Config& c, const SingleBoxData& d) {
    if (c.number("class_weight") == 0 || d.train->size() == 0) return 0;
    if (d.classes < 2)
        throw ConfigError(
            fmt::format("class_weight={} ({}): {} names {}, a class loss needs two or more: set "
                        "class_weight=0",
                        c.at("class_weight").value, c.at("class_weight").origin, d.source,
                        d.classes == 1 ? "one class" : "no class"));
    for (const PictureStore* store : {d.train.get(), d.val.get()})
        for (std::size_t i = 0; i < store->size(); ++i)
            if (const int id = store->target(i).class_id; id < 0 || id >= d.classes)
                throw DataError(
                    fmt::format("{}: class {}, and the set names {}", store->target(i).path, id, d.classes));
    return d.classes;
}

std::vector<UnitBox> unit_boxes(const Tensor& boxes) {
    std::vector<UnitBox> out;
    for (std::int64_t i = 0; i < boxes.dim(0); ++i)
        out.push_back({static_cast<double>(boxes[4 * i]), static_cast<double>(boxes[4 * i + 1]),
                       static_cast<double>(boxes[4 * i + 2]), static_cast<double>(boxes[4 * i + 3])});
    return out;
}

}  // namespace

SingleBoxData load_single_box_data(const Config& c) {
    SingleBoxData d;
    const std::string& place = c.text("data");
    if (place.empty())
        throw ConfigError("no data set: give data=DIRECTORY, or data=synthetic for shapes made in memory");
    const std::vector<int> sides = training_sides(c);
    const int train_side = *std::max_element(sides.begin(), sides.end()),
              val_side = static_cast<int>(c.integer("image"));
    const bool skip_bad = c.flag("skip_bad");
    std::vector<Tally> tallies;
    if (place == "synthetic") {
        d.source = "synthetic shapes, made in memory";
        d.classes = std::ssize(shape_names());
        d.train = synthetic_store(c, train_side, synthetic_part(c, true), tallies);
        d.val = synthetic_store(c, val_side, synthetic_part(c, false), tallies);
    } else {
        const DataSet set = open_dataset(place, open_options(c));
        tallies = set.tallies;
        d.source = fmt::format("{} data set {}", set.format, place);
        d.classes = std::ssize(set.classes);
        const BoxPolicy policy = policy_of(c.text("box"));
        d.train = file_store(c, train_side, limited(usable(set.train, policy, tallies), c, "train_images"), skip_bad,
                             tallies);
        d.val = file_store(c, val_side, limited(usable(set.val, policy, tallies), c, "val_images"), skip_bad, tallies);
    }
    for (const auto& [name, store] : {std::pair{"training", d.train.get()}, std::pair{"validation", d.val.get()}})
        if (store->size() == 0) throw DataError(fmt::format("{}: no usable {} picture with a box in it", place, name));
    for (const Tally& t : tallies) d.notes.push_back(fmt::format("{}: {} (first: {})", t.what, t.count, t.example));
    const std::vector<UnitBox> train = d.train->boxes(), val = d.val->boxes();
    d.mean = mean_box(train), d.constant = best_constant_box(train);
    d.mean_iou = mean_unit_iou(d.mean, val), d.constant_iou = mean_unit_iou(d.constant, val);
    return d;
}

SingleBoxTask::SingleBoxTask(const Config& config, const SingleBoxData& data)
    : config_(config),
      data_(data),
      decode_(decode_spec(config)),
      loss_(loss_spec(config)),
      class_weight_(config.number("class_weight")),
      augment_(augment_spec(config)),
      plan_{data.train->size(), static_cast<std::size_t>(config.integer("batch")),
            static_cast<std::uint64_t>(config.integer("seed")), training_sides(config), config.flag("drop_last")},
      model_(make_single_box(config, data.train->boxes(), aux_classes(config, data))) {
    for (const int side : plan_.sides) {
        SingleBoxConfig smaller = model_config(config);
        smaller.image = side;
        (void)describe(smaller);  // ConfigError when nothing would be left of a picture of this size
    }
}

std::string SingleBoxTask::data_fingerprint() const {
    return fmt::format("{:08x}{:08x}", data_.train->fingerprint(), data_.val->fingerprint());
}

std::unique_ptr<TaskBatch> SingleBoxTask::make_batch(std::int64_t epoch, std::int64_t b) const {
    auto batch = std::make_unique<BoxBatch>();
    batch->pictures = solobox::make_batch(*data_.train, plan_, augment_, epoch, b);
    // fault=degenerate_boxes: a crop that clips boxes at its border without asking what is left of them.
    if (has_fault(config_, "degenerate_boxes"))
        for (std::size_t i = 4; i < batch->pictures.boxes.size(); i += 5) batch->pictures.boxes[i].w = 0;
    return batch;
}

const PictureBatch& SingleBoxTask::pictures_of(const TaskBatch& batch) {
    return static_cast<const BoxBatch&>(batch).pictures;
}

std::string SingleBoxTask::names(const TaskBatch& batch) const {
    std::string names;
    for (const std::size_t i : pictures_of(batch).which)
        names += (names.empty() ? "" : ", ") + data_.train->target(i).name;
    return names;
}

std::int64_t SingleBoxTask::size(const TaskBatch& batch) const {
    return static_cast<std::int64_t>(pictures_of(batch).which.size());
}

std::vector<BatchPart> SingleBoxTask::losses(const TaskBatch& batch, std::int64_t parts, const RandomKey& dropout) {
    const PictureBatch& p = pictures_of(batch);
    const std::size_t n = p.which.size(), length = p.images.size() / std::max<std::size_t>(n, 1);
    const auto pieces = std::min<std::size_t>(static_cast<std::size_t>(parts), n);
    std::vector<BatchPart> out;
    for (std::size_t k = 0; k < pieces; ++k) {
        const std::size_t first = n * k / pieces, count = n * (k + 1) / pieces - first;
        RandomKey key = dropout;
        key.sample = static_cast<std::uint32_t>(k);
        // A sum over the batch adds up over the parts as it is; means are weighted by their share.
        const double share =
            loss_.reduction == Reduction::sum ? 1 : static_cast<double>(count) / static_cast<double>(n);
        out.push_back({[this, &p, first, count, length, key] {
                           Tensor x(Shape{static_cast<std::int64_t>(count), p.side, p.side, 3});
                           std::copy_n(p.images.begin() + static_cast<std::ptrdiff_t>(first * length), count * length,
                                       x.mutable_data());
                           return loss_on(model_->all_outputs(Var(x), key), box_tensor(p.boxes, first, count),
                                          class_tensor(*data_.train, p.which, first, count));
                       },
                       share});
    }
    return out;
}

LossValue SingleBoxTask::loss_on(const SingleBoxOutputs& out, const Tensor& boxes, const IndexTensor& classes) const {
    LossValue loss = box_loss(out.raw, boxes, decode_, loss_);
    if (!out.classes.defined()) return loss;
    const LossTerm term{"class", cross_entropy(out.classes, classes, {{}, -100, 0, loss_.reduction}), class_weight_};
    loss.total = loss.total + (loss_.unweighted ? term.value : term.value * term.weight);
    loss.terms.push_back(term);
    return loss;
}

std::vector<std::string> SingleBoxTask::columns() const {
    return {"val/loss",           "metrics/iou",          "metrics/iou50",
            "metrics/median_iou", "metrics/mean_box_iou", "metrics/constant_box_iou",
            "metrics/lift",       "metrics/spread"};
}

std::vector<UnitBox> SingleBoxTask::predict(const Tensor& images) {
    const NoGrad quiet;
    return unit_boxes(metric_boxes((*model_)(Var(images)).value(), decode_));
}

std::optional<BoxScores> SingleBoxTask::measure(const PictureStore& store, const std::function<bool()>& stop,
                                                std::vector<std::pair<std::string, double>>* loss) {
    const NoGrad quiet;
    const int side = static_cast<int>(config_.integer("image"));
    const std::size_t n = store.size();
    const std::vector<UnitBox> truths = store.boxes();
    std::vector<std::size_t> all(n);
    std::iota(all.begin(), all.end(), 0);
    BoxScores scores;
    // fault=batch_metric: nobody called eval(), so the batch's own statistics answer, and the running ones move.
    set_training(*model_, has_fault(config_, "batch_metric"));
    for (std::size_t first = 0; first < n; first += chunk_) {
        if (stop && stop()) {
            set_training(*model_, true);
            return std::nullopt;
        }
        const std::size_t count = std::min(chunk_, n - first);
        Tensor x(Shape{static_cast<std::int64_t>(count), side, side, 3});
        for (std::size_t i = 0; i < count; ++i) {
            const AugmentedPicture p = plain(store, first + i, side);
            std::copy(p.pixels.values.begin(), p.pixels.values.end(), x.mutable_data() + i * p.pixels.values.size());
        }
        const SingleBoxOutputs out = model_->all_outputs(Var(x));
        if (loss) {
            const LossValue value =
                loss_on(out, box_tensor(truths, first, count), class_tensor(store, all, first, count));
            const bool sum = loss_.reduction == Reduction::sum;
            const double weight = (sum ? 1.0 : static_cast<double>(count)) / static_cast<double>(n);
            const auto add = [&](std::size_t at, const std::string& name, const Var& v) {
                if (loss->size() <= at) loss->emplace_back(name, 0.0);
                (*loss)[at].second += weight * static_cast<double>(v.value().item());
            };
            add(0, "loss", value.total);
            for (std::size_t k = 0; k < value.terms.size(); ++k) add(k + 1, value.terms[k].name, value.terms[k].value);
        }
        for (const UnitBox& b : unit_boxes(metric_boxes(out.raw.value(), decode_))) scores.predictions.push_back(b);
    }
    set_training(*model_, true);
    for (std::size_t i = 0; i < n; ++i) scores.ious.push_back(unit_iou(scores.predictions[i], truths[i]));
    scores.mean = metrics::mean(scores.ious);
    scores.median = metrics::median(scores.ious);
    scores.share50 =
        static_cast<double>(std::count_if(scores.ious.begin(), scores.ious.end(), [](double v) { return v >= 0.5; })) /
        static_cast<double>(n);
    spread_of(scores.predictions, scores.predicted_mean, scores.predicted_deviation);
    spread_of(truths, scores.truth_mean, scores.truth_deviation);
    return scores;
}

// How much the answers to different pictures differ, against how much the truth does: 0 is one answer for all.
double relative_spread(const BoxScores& s) {
    double predicted = 0, truth = 0;
    for (std::size_t k = 0; k < 4; ++k) {
        predicted += s.predicted_deviation[k] * s.predicted_deviation[k];
        truth += s.truth_deviation[k] * s.truth_deviation[k];
    }
    return truth > 0 ? std::sqrt(predicted / truth) : std::nan("");
}

std::optional<Evaluation> SingleBoxTask::validate(const std::function<bool()>& stop) {
    std::vector<std::pair<std::string, double>> loss;
    const auto scores = measure(*data_.val, stop, &loss);
    if (!scores) return std::nullopt;
    Evaluation e;
    e.score = scores->mean;
    e.loss = loss.at(0).second;
    const double values[] = {e.loss,
                             scores->mean,
                             scores->share50,
                             scores->median,
                             data_.mean_iou,
                             data_.constant_iou,
                             scores->mean - data_.constant_iou,
                             relative_spread(*scores)};
    const auto names = columns();
    for (std::size_t i = 0; i < names.size(); ++i) e.columns.emplace_back(names[i], values[i]);
    e.text = fmt::format("IoU {:.4f} (constant box {:.4f}, lift {:+.4f})", e.score, data_.constant_iou,
                         e.score - data_.constant_iou);
    return e;
}

std::vector<std::string> SingleBoxTask::introduction() const {
    std::vector<std::string> lines{fmt::format("data: {}: {} training and {} validation pictures", data_.source,
                                               data_.train->size(), data_.val->size())};
    for (const auto& note : data_.notes) lines.push_back("  " + note);
    if (data_.train->cached() < data_.train->size())
        lines.push_back(fmt::format("  {} of {} pictures fit cache_mb={}; the others are decoded in every epoch",
                                    data_.train->cached(), data_.train->size(), config_.at("cache_mb").value));
    lines.push_back(
        fmt::format("  a box that never looks reaches IoU {:.4f} (mean box) and {:.4f} (best constant box) there",
                    data_.mean_iou, data_.constant_iou));
    return lines;
}

std::vector<ReportPicture> shown_pictures(const PictureStore& store, const BoxScores& scores, std::size_t most,
                                          bool worst_first) {
    std::vector<std::size_t> order(store.size());
    std::iota(order.begin(), order.end(), 0);
    if (worst_first)
        std::stable_sort(order.begin(), order.end(),
                         [&](std::size_t a, std::size_t b) { return scores.ious[a] < scores.ious[b]; });
    order.resize(std::min(order.size(), most));
    std::vector<ReportPicture> out;
    for (const std::size_t i : order)
        out.push_back({store.target(i).name, scale_to_fit(store.picture(i), 320, 320), store.target(i).box,
                       scores.predictions[i], scores.ious[i]});
    return out;
}

Exhibit SingleBoxTask::exhibit() {
    const BoxScores s = *measure(*data_.val, {});
    return {shown_pictures(*data_.val, s, 24, true),
            shown_pictures(*data_.val, s, 16, false),
            {},
            {{"iou50", s.share50}, {"median_iou", s.median}}};
}

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
