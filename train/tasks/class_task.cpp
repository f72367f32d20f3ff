#include "train/tasks/class_task.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "data/image/draw.h"
#include "data/image/image.h"
#include "tensor/kernels/parallel.h"
#include "train/config/faults.h"
#include "train/metrics/metrics.h"
#include "train/step/training_schedule.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {
namespace {

struct ClassTaskBatch : TaskBatch {
    ClassBatch pictures;
};
const ClassBatch& pictures_of(const TaskBatch& batch) { return static_cast<const ClassTaskBatch&>(batch).pictures; }

std::array<double, 3> three_numbers(const Config& c, const std::string& key) {
    const std::vector<double> values = parse_numbers(key, c.text(key));
    if (values.size() != 3)
        throw ConfigError(fmt::format("{}={}: expected three numbers, for red, green and blue", key, c.text(key)));
    return {values[0], values[1], values[2]};
}

}  // namespace

ClassPictureSpec class_picture_spec(const Config& c) {
    ClassPictureSpec s;
    s.side = static_cast<int>(c.integer("image"));
    s.antialias = c.flag("antialias");
    s.mean = three_numbers(c, "mean"), s.deviation = three_numbers(c, "std");
    for (const double d : s.deviation)
        if (!(d > 0)) throw ConfigError(fmt::format("std={}: expected numbers above 0", c.text("std")));
    s.random_crop = c.flag("random_crop"), s.smallest_crop = c.number("crop_min");
    s.fliplr = c.number("fliplr");
    s.brightness = c.number("brightness"), s.contrast = c.number("contrast"), s.saturation = c.number("saturation");
    s.hsv_h = c.number("hsv_h"), s.hsv_s = c.number("hsv_s"), s.hsv_v = c.number("hsv_v");
    return s;
}

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

void check_parts(const ResNetConfig& model, std::int64_t pictures, std::int64_t batch, std::int64_t parts,
                 bool drop_last) {
    std::int64_t side = 1;
    for (const LayerRow& row : describe(model))
        if (row.type.starts_with("conv")) side = row.out.dims().at(0);
    if (side > 1 || pictures == 0) return;  // a picture alone has several values a channel
    const std::int64_t full = std::min(batch, pictures), rest = pictures % batch;
    for (const std::int64_t n : {full, drop_last && pictures >= batch ? full : rest})
        if (n > 0 && n / std::min(parts, n) < 2)
            throw ConfigError(
                fmt::format("batch={}, accumulate={}, image={} with {} pictures: a part of one picture would "
                            "reach the last batch norm as one value a channel: set drop_last=true, another "
                            "batch, or a larger image",
                            batch, parts, model.image, pictures));
}

ClassTask::ClassTask(const Config& config, const ClassData& data)
    : config_(config),
      data_(data),
      pictures_(class_picture_spec(config)),
      plan_{data.train->size(),
            static_cast<std::size_t>(config.integer("batch")),
            static_cast<std::uint64_t>(config.integer("seed")),
            {pictures_.side},
            config.flag("drop_last")},
      model_(class_model_config(config, static_cast<std::int64_t>(data.names.size())),
             static_cast<std::uint64_t>(config.integer("seed"))),
      loss_(class_loss_spec(config, model_)) {
    check_parts(model_.config(), static_cast<std::int64_t>(plan_.pictures), static_cast<std::int64_t>(plan_.batch),
                config.integer("accumulate"), plan_.drop_last);
}

std::string ClassTask::data_fingerprint() const {
    return fmt::format("{:08x}{:08x}", data_.train->fingerprint(), data_.val->fingerprint());
}

std::unique_ptr<TaskBatch> ClassTask::make_batch(std::int64_t epoch, std::int64_t b) const {
    auto batch = std::make_unique<ClassTaskBatch>();
    batch->pictures = make_class_batch(*data_.train, plan_, pictures_, epoch, b);
    return batch;
}

std::string ClassTask::names(const TaskBatch& batch) const {
    std::string names;
    for (const std::size_t i : pictures_of(batch).which)
        names += (names.empty() ? "" : ", ") + data_.train->target(i).name;
    return names;
}

std::int64_t ClassTask::size(const TaskBatch& batch) const {
    return static_cast<std::int64_t>(pictures_of(batch).which.size());
}

std::vector<BatchPart> ClassTask::losses(const TaskBatch& batch, std::int64_t parts, const RandomKey&) {
    const ClassBatch& p = pictures_of(batch);
    const std::size_t n = p.which.size(), length = p.images.size() / std::max<std::size_t>(n, 1);
    const auto pieces = std::min<std::size_t>(static_cast<std::size_t>(parts), n);
    std::vector<BatchPart> out;
    for (std::size_t k = 0; k < pieces; ++k) {
        const std::size_t first = n * k / pieces, count = n * (k + 1) / pieces - first;
        out.push_back({[this, &p, first, count, length] {
                           Tensor x(Shape{static_cast<std::int64_t>(count), pictures_.side, pictures_.side, 3});
                           std::copy_n(p.images.begin() + static_cast<std::ptrdiff_t>(first * length), count * length,
                                       x.mutable_data());
                           IndexTensor target(Shape{static_cast<std::int64_t>(count)});
                           for (std::size_t i = 0; i < count; ++i) target.mutable_data()[i] = p.classes[first + i];
                           return class_loss_and_accuracy(model_.all_outputs(Var(x)), target, loss_);
                       },
                       static_cast<double>(count) / static_cast<double>(n)});
    }
    return out;
}

ModelOutputs ClassTask::outputs(const Var& images, const RandomKey&) {
    ResNetOutputs out = model_.all_outputs(images);
    return {out.logits, std::move(out.aux)};
}

LossValue ClassTask::loss_of(const ModelOutputs& outputs, std::uint64_t seed) {
    const std::int64_t n = outputs.main.dim(0);
    Random random({seed, Stream::test, 0, 0, 0});
    IndexTensor target(Shape{n});
    for (std::int64_t i = 0; i < n; ++i) target.mutable_data()[i] = random.below(classes());
    return class_loss({outputs.main, outputs.aux}, target, loss_);
}

std::vector<std::string> ClassTask::columns() const {
    std::vector<std::string> names{"val/loss",       "val/acc1",           "val/acc5",
                                   "metrics/chance", "metrics/blind_acc1", "metrics/val_images"};
    if (!loss_.aux.empty()) names.push_back("val/ce");
    for (const std::string& head : loss_.aux) names.push_back("val/" + head);
    return names;
}

Tensor ClassTask::probabilities(const Tensor& images) {
    const NoGrad quiet;
    return softmax(model_(Var(images)), 1).value();
}

std::optional<ClassScores> ClassTask::measure(const PictureStore& store, const std::function<bool()>& stop) {
    const NoGrad quiet;
    const std::size_t n = store.size(),
                      length = 3 * static_cast<std::size_t>(pictures_.side) * static_cast<std::size_t>(pictures_.side);
    ClassScores s;
    std::vector<double> scores;
    // fault=batch_metric: nobody called eval(), so the batch's own statistics answer, and the running ones move.
    set_training(model_, has_fault(config_, "batch_metric"));
    for (std::size_t first = 0; first < n; first += chunk_) {
        if (stop && stop()) {
            set_training(model_, true);
            return std::nullopt;
        }
        const std::size_t count = std::min(chunk_, n - first);
        Tensor x(Shape{static_cast<std::int64_t>(count), pictures_.side, pictures_.side, 3});
        Real* to = x.mutable_data();
        parallel_for(static_cast<std::int64_t>(count), [&](std::int64_t i) {
            const Pixels<float> p = centre_picture(store.image(first + static_cast<std::size_t>(i)), pictures_);
            std::copy(p.values.begin(), p.values.end(), to + static_cast<std::size_t>(i) * length);
        });
        IndexTensor target(Shape{static_cast<std::int64_t>(count)});
        for (std::size_t i = 0; i < count; ++i) target.mutable_data()[i] = store.target(first + i).class_id;
        const ResNetOutputs outputs = model_.all_outputs(Var(x));
        const Var& logits = outputs.logits;
        const Real* out = logits.value().data();
        if (!std::all_of(out, out + logits.numel(), [](Real v) { return std::isfinite(v); }))
            throw NonFiniteError(
                "validation: the network puts out NaN or infinity: it has diverged. Try a lower lr0, or a warm-up");
        // Weighted by pictures: the last chunk may be smaller.
        const auto share = [&](const Var& v) {
            return static_cast<double>(v.value().item()) * static_cast<double>(count) / static_cast<double>(n);
        };
        const LossValue loss = class_loss(outputs, target, loss_);
        s.loss += share(loss.total);
        for (std::size_t k = 0; k < loss.terms.size(); ++k) {
            if (k == s.terms.size()) s.terms.emplace_back(loss.terms[k].name, 0.0);
            s.terms[k].second += share(loss.terms[k].value);
        }
        const Tensor p = softmax(logits, 1).value();
        for (std::size_t i = 0; i < count; ++i) {
            const Real* row = p.data() + static_cast<std::int64_t>(i) * classes();
            const std::int64_t truth = target[static_cast<std::int64_t>(i)],
                               answer = std::max_element(row, row + classes()) - row;
            s.truth.push_back(truth), s.answer.push_back(answer);
            s.right.push_back(static_cast<double>(row[truth])), s.sure.push_back(static_cast<double>(row[answer]));
            for (std::int64_t k = 0; k < classes(); ++k)
                scores.push_back(static_cast<double>(logits.value()[static_cast<std::int64_t>(i) * classes() + k]));
        }
    }
    set_training(model_, true);
    s.rank = metrics::label_ranks(scores, classes(), s.truth);
    s.acc1 = 100 * metrics::top_k_accuracy(s.rank, 1, classes());
    s.acc5 = 100 * metrics::top_k_accuracy(s.rank, 5, classes());
    return s;
}

std::optional<Evaluation> ClassTask::validate(const std::function<bool()>& stop) {
    const auto s = measure(*data_.val, stop);
    if (!s) return std::nullopt;
    const double chance = 100 / static_cast<double>(classes());
    Evaluation e;
    e.score = s->acc1;
    e.loss = s->loss;
    std::vector<double> values{s->loss,
                               s->acc1,
                               s->acc5,
                               chance,
                               std::max(chance, data_.common_share),
                               static_cast<double>(data_.val->size())};
    for (const auto& term : s->terms) values.push_back(term.second);
    const auto names = columns();
    for (std::size_t i = 0; i < names.size(); ++i) e.columns.emplace_back(names[i], values[i]);
    e.text = fmt::format("top-1 {:.2f} % (chance {:.2f} %), top-5 {:.2f} %{}", s->acc1, chance, s->acc5,
                         classes() <= 5 ? " (trivial)" : "");
    return e;
}

std::vector<std::string> ClassTask::introduction() const {
    std::vector<std::string> lines{fmt::format("data: {}: {} training and {} validation pictures of {} classes",
                                               data_.source, data_.train->size(), data_.val->size(), classes())};
    for (const auto& note : data_.notes) lines.push_back("  " + note);
    lines.push_back(
        fmt::format("  an answer that never looks is right for {:.2f} % (chance) or {:.2f} % (always the "
                    "commonest class) of them",
                    100 / static_cast<double>(classes()), data_.common_share));
    if (classes() <= 5)
        lines.push_back(fmt::format("  top-5 accuracy is trivial with {} classes: it is always 100 %", classes()));
    return lines;
}

std::vector<std::pair<std::string, double>> ClassTask::baselines() const {
    return {{"chance", 100 / static_cast<double>(classes())}, {"common_class_acc1", data_.common_share}};
}

LiftVerdict ClassTask::judge(double score) const {
    return judge_accuracy(score, std::max(100 / static_cast<double>(classes()), data_.common_share),
                          static_cast<std::int64_t>(data_.val->size()));
}

std::vector<ReportPicture> shown_classes(const PictureStore& store, const ClassScores& s,
                                         const std::vector<std::string>& names, std::size_t most, bool worst_first) {
    std::vector<std::size_t> order(store.size());
    std::iota(order.begin(), order.end(), 0);
    if (worst_first)
        std::stable_sort(order.begin(), order.end(),
                         [&](std::size_t a, std::size_t b) { return s.right[a] < s.right[b]; });
    order.resize(std::min(order.size(), most));
    std::vector<ReportPicture> out;
    for (const std::size_t i : order) {
        ReportPicture p;
        p.name = store.target(i).name;
        p.image = scale_to_fit(store.picture(i), 320, 320);
        p.score = s.right[i];
        p.score_name = "p";
        const std::string &truth = names[static_cast<std::size_t>(s.truth[i])],
                          &answer = names[static_cast<std::size_t>(s.answer[i])];
        p.caption = s.truth[i] == s.answer[i] ? truth : fmt::format("{}, taken for {}", truth, answer);
        out.push_back(std::move(p));
    }
    return out;
}

Exhibit ClassTask::exhibit() {
    const ClassScores s = *measure(*data_.val, {});
    return {shown_classes(*data_.val, s, data_.names, 24, true),
            shown_classes(*data_.val, s, data_.names, 16, false),
            class_tables(s, data_.names),
            {{"acc5", s.acc5}, {"loss", s.loss}}};
}

std::vector<ReportTable> class_tables(const ClassScores& s, const std::vector<std::string>& names) {
    constexpr std::size_t readable = 25;  // classes; a larger matrix is a list of its largest confusions
    metrics::Confusion confusion(static_cast<std::int64_t>(names.size()));
    for (std::size_t i = 0; i < s.truth.size(); ++i) confusion.add(s.truth[i], s.answer[i]);
    const auto at = [&](std::size_t t, std::size_t a) { return confusion.matrix()[t * names.size() + a]; };
    const auto support = confusion.support();
    const auto each = confusion.per_class();
    ReportTable table{"Each class",
                      "Validation pictures. Recall: share of the class that was found; precision: share of "
                      "the answers that were right.",
                      {"class", "pictures", "recall", "precision", "F1"},
                      {},
                      {}};
    for (std::size_t k = 0; k < names.size(); ++k) {
        table.rows.push_back({names[k], std::to_string(support[k]), fmt::format("{:.3f}", each[k].recall),
                              fmt::format("{:.3f}", each[k].precision), fmt::format("{:.3f}", each[k].f1)});
        table.shades.push_back({0, 0, each[k].recall, each[k].precision, each[k].f1});
    }
    std::vector<ReportTable> out{std::move(table)};
    if (names.size() <= readable) {
        ReportTable matrix{
            "Confusion", "A row a true class, a column an answer; numbers of validation pictures.", {"truth"}, {}, {}};
        for (std::size_t a = 0; a < names.size(); ++a) matrix.header.push_back(names[a]);
        for (std::size_t t = 0; t < names.size(); ++t) {
            matrix.rows.push_back({names[t]});
            matrix.shades.push_back({0});
            for (std::size_t a = 0; a < names.size(); ++a) {
                matrix.rows.back().push_back(at(t, a) ? std::to_string(at(t, a)) : "");
                matrix.shades.back().push_back(
                    support[t] ? static_cast<double>(at(t, a)) / static_cast<double>(support[t]) : 0);
            }
        }
        out.push_back(std::move(matrix));
        return out;
    }
    std::vector<std::array<std::size_t, 2>> wrong;
    for (std::size_t t = 0; t < names.size(); ++t)
        for (std::size_t a = 0; a < names.size(); ++a)
            if (t != a && at(t, a) > 0) wrong.push_back({t, a});
    std::stable_sort(wrong.begin(), wrong.end(),
                     [&](const auto& x, const auto& y) { return at(x[0], x[1]) > at(y[0], y[1]); });
    ReportTable list{
        "Largest confusions", "Which class was most often taken for which.", {"truth", "answer", "pictures"}, {}, {}};
    for (std::size_t i = 0; i < std::min<std::size_t>(wrong.size(), 30); ++i)
        list.rows.push_back({names[wrong[i][0]], names[wrong[i][1]], std::to_string(at(wrong[i][0], wrong[i][1]))});
    out.push_back(std::move(list));
    return out;
}

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
