#include "train/step/learner.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "data/image/draw.h"
#include "tensor/kernels/parallel.h"
#include "train/config/faults.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {
namespace {

void require_finite(const Var& answer) {
    const Real* out = answer.value().data();
    if (!std::all_of(out, out + answer.numel(), [](Real v) { return std::isfinite(v); }))
        throw NonFiniteError(
            "validation: the network puts out NaN or infinity: it has diverged. Try a lower lr0, or a warm-up");
}

// The columns of an exit or an auxiliary head stand below its name.
std::string column_of(const std::string& of, const std::string& column) {
    return of.empty() ? column : of + "/" + column;
}

}  // namespace

Learner::Learner(const Config& config, std::unique_ptr<const Task> task, Split data)
    : config_(config),
      task_(std::move(task)),
      data_(std::move(data)),
      plan_{data_.train->size(), static_cast<std::size_t>(config.integer("batch")),
            static_cast<std::uint64_t>(config.integer("seed")), task_->sizes(), config.flag("drop_last")},
      model_(task_->make_model(data_)),
      stages_(task_->stages(config, model_->heads()), config.integer("epochs"),
              [this](const Stage& stage) { return plan_of(stage).per_epoch(); }),
      chunk_(static_cast<std::size_t>(task_->validation_batch())) {
    if (data_.empty()) return;
    for (const Stage& stage : stages_.all()) task_->check_plan(plan_of(stage), config.integer("accumulate"));
    blind_ = task_->blind(data_, *data_.val);
}

BatchPlan Learner::plan_of(const Stage& stage) const {
    BatchPlan plan = plan_;
    if (stage.batch > 0) plan.batch = static_cast<std::size_t>(stage.batch);
    return plan;
}

LiftVerdict Learner::judge(double score) const {
    LiftVerdict v = judge(score, blind_, data_.val->size());
    // Some pictures may be in both by mistake; where they are many, the score is about what was learned by heart.
    if (10 * data_.val_in_train > data_.val->size())
        v = {"WARN", v.facts,
             fmt::format("{} of the {} validation pictures are training pictures: what it has learned about others is "
                         "not measured.",
                         data_.val_in_train, data_.val->size())};
    return v;
}

LiftVerdict Learner::judge(double score, const std::vector<Blind>& blind, std::size_t pictures) const {
    constexpr std::size_t few = 8;
    LiftVerdict v = task_->judge(score, blind, pictures);
    if (pictures < few)
        v = {"INFO", v.facts,
             fmt::format("{} picture{}: too few to say whether it has learned.", pictures, pictures == 1 ? "" : "s")};
    return v;
}

std::string Learner::data_fingerprint() const {
    return fmt::format("{:08x}{:08x}", data_.train->fingerprint(), data_.val->fingerprint());
}

Batch Learner::make_batch(std::int64_t epoch, std::int64_t b) const {
    Batch batch =
        solobox::make_batch(*data_.train, plan_of(stages_.of_epoch(epoch)), task_->recipe(true, epoch), epoch, b);
    task_->finish_batch(batch);
    return batch;
}

std::string Learner::names(const Batch& batch) const {
    std::string names;
    for (const std::size_t i : batch.which) names += (names.empty() ? "" : ", ") + data_.train->name(i);
    return names;
}

Tensor images_of(const Batch& batch, std::size_t first, std::size_t count) {
    Tensor x(Shape{static_cast<std::int64_t>(count), batch.size.height, batch.size.width, 3});
    std::copy_n(batch.images.begin() + static_cast<std::ptrdiff_t>(first * batch.length()), count * batch.length(),
                x.mutable_data());
    return x;
}

Objective Learner::objective(const Batch& batch, std::size_t first, std::size_t count, const RandomKey& dropout) {
    return task_->objective(model_->answers(Var(images_of(batch, first, count)), dropout),
                            std::span(batch.labels).subspan(first, count));
}

std::vector<BatchPart> Learner::losses(const Batch& batch, std::int64_t parts, const RandomKey& dropout) {
    const std::size_t n = batch.count(), pieces = std::min<std::size_t>(static_cast<std::size_t>(parts), n);
    std::vector<BatchPart> out;
    for (std::size_t k = 0; k < pieces; ++k) {
        const std::size_t first = n * k / pieces, count = n * (k + 1) / pieces - first;
        RandomKey key = dropout;
        key.sample = static_cast<std::uint32_t>(k);
        // A sum over the batch adds up over the parts as it is; means are weighted by their share.
        const double share = task_->loss_is_a_sum() ? 1 : static_cast<double>(count) / static_cast<double>(n);
        out.push_back({[this, &batch, first, count, key] { return objective(batch, first, count, key); }, share});
    }
    return out;
}

std::vector<std::string> Learner::columns() const {
    std::vector<std::string> names{"val/loss"};
    for (const std::string& of : task_->readings())
        for (const std::string& column : task_->meter(data_, blind_, of)->columns())
            names.push_back(column_of(of, column));
    if (!task_->validation_terms() || data_.empty()) return names;
    // What the terms are called shows on a batch, in evaluation mode, without a trace in running statistics.
    const NoGrad quiet;
    set_training(*model_, false);
    const Batch sample = make_batch(0, 0);
    const Objective o = const_cast<Learner*>(this)->objective(sample, 0, sample.count(), {});
    set_training(*model_, true);
    for (const LossTerm& t : o.loss.terms) names.push_back("val/" + t.name);
    return names;
}

std::optional<Evaluation> Learner::validate(const std::function<bool()>& stop) {
    auto m = measure(*data_.val, stop);
    return m ? std::optional(std::move(m->evaluation)) : std::nullopt;
}

std::optional<Measurement> Learner::measure(const PictureStore& store, const std::function<bool()>& stop) {
    const NoGrad quiet;
    const Recipe recipe = task_->recipe(false, 0);
    const std::size_t n = store.size();
    Measurement m;
    m.blind = &store == data_.val.get() ? blind_ : task_->blind(data_, store);
    const std::vector<std::string> readings = task_->readings();
    std::vector<std::shared_ptr<Meter>> meters;
    for (const std::string& of : readings) meters.push_back(task_->meter(data_, m.blind, of));
    std::vector<std::pair<std::string, double>> terms;
    // fault=batch_metric: nobody called eval(), so the batch's own statistics answer, and the running ones move.
    set_training(*model_, has_fault(config_, "batch_metric"));
    for (std::size_t first = 0; first < n; first += chunk_) {
        if (stop && stop()) {
            set_training(*model_, true);
            return std::nullopt;
        }
        const std::size_t count = std::min(chunk_, n - first);
        Batch batch;
        batch.size = recipe.size;
        batch.images.resize(count * batch.length());
        batch.labels.resize(count);
        parallel_for(static_cast<std::int64_t>(count), [&](std::int64_t tile) {
            const auto i = static_cast<std::size_t>(tile);
            Frame frame = plain(store, first + i, recipe);
            std::copy(frame.pixels.values.begin(), frame.pixels.values.end(),
                      batch.images.begin() + static_cast<std::ptrdiff_t>(i * batch.length()));
            batch.labels[i] = std::move(frame.labels);
        });
        const Answers answers = model_->answers(Var(images_of(batch, 0, count)), {});
        require_finite(answers.main());
        const LossValue loss = task_->objective(answers, batch.labels).loss;
        // Weighted by pictures: the last chunk may be smaller.
        const auto pictures = static_cast<double>(count), all = static_cast<double>(n);
        const auto share = [&](double v) {
            if (task_->loss_is_a_sum()) return 1.0 / all * v;
            return task_->share_first() ? pictures / all * v : v * pictures / all;
        };
        m.evaluation.loss += share(static_cast<double>(loss.total.value().item()));
        m.evaluation.answer_loss += share(task_->answer_loss(loss));
        for (std::size_t k = 0; k < loss.terms.size(); ++k) {
            if (k == terms.size()) terms.emplace_back(loss.terms[k].name, 0.0);
            terms[k].second += share(static_cast<double>(loss.terms[k].value.value().item()));
        }
        std::vector<Reading> read = task_->read(answers);
        for (std::size_t r = 0; r < meters.size(); ++r)
            for (std::size_t i = 0; i < count; ++i) meters[r]->add(read.at(r).pictures.at(i), batch.labels[i]);
        for (Prediction& p : read.front().pictures) m.predictions.push_back(std::move(p));
    }
    set_training(*model_, true);
    m.evaluation.columns.emplace_back("val/loss", m.evaluation.loss);
    for (std::size_t r = 0; r < meters.size(); ++r) {
        Measured result = meters[r]->result();
        for (const auto& [name, v] : result.columns) m.evaluation.columns.emplace_back(column_of(readings[r], name), v);
        if (r == 0) m.measured = std::move(result);
    }
    if (task_->validation_terms())
        for (const auto& [name, v] : terms) m.evaluation.columns.emplace_back("val/" + name, v);
    m.evaluation.score = m.measured.score;
    m.evaluation.text = m.measured.text;
    m.meter = meters.front();
    return m;
}

Prediction Learner::predict(const Image& picture) {
    const NoGrad quiet;
    const Recipe recipe = task_->recipe(false, 0);
    Batch batch;
    batch.size = recipe.size;
    batch.images = look(picture, {}, recipe).pixels.values;
    return task_->read(model_->answers(Var(images_of(batch, 0, 1)), {})).front().pictures.front();
}

std::vector<std::string> Learner::introduction() const {
    std::vector<std::string> lines{task_->describe_data(data_)};
    for (const auto& note : data_.notes) lines.push_back("  " + note);
    if (data_.train->cached() < data_.train->size())
        lines.push_back(fmt::format("  {} of {} pictures fit cache_mb={}; the others are decoded in every epoch",
                                    data_.train->cached(), data_.train->size(), config_.at("cache_mb").value));
    for (auto& line : task_->about(data_, blind_)) lines.push_back(std::move(line));
    return lines;
}

std::vector<ReportPicture> shown_pictures(const Learner& learner, const PictureStore& store, const Measurement& m,
                                          std::size_t most, bool worst_first) {
    std::vector<std::size_t> order(store.size());
    std::iota(order.begin(), order.end(), 0);
    const std::vector<double>& each = m.measured.each;
    if (worst_first)
        std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return each[a] < each[b]; });
    order.resize(std::min(order.size(), most));
    std::vector<ReportPicture> out;
    for (const std::size_t i : order) {
        ReportPicture p = learner.task().show(m.predictions[i], store.labels(i), learner.data());
        p.name = store.name(i);
        p.image = scale_to_fit(store.picture(i), 320, 320);
        p.score = each[i];
        out.push_back(std::move(p));
    }
    return out;
}

std::int64_t bad_targets(const Batch& batch) {
    const auto bad = [](const Labelled& o) {
        const UnitBox& b = o.box;
        const double low = -1e-6, high = 1 + 1e-6;
        return !(b.w > 0 && b.h > 0 && b.cx - b.w / 2 >= low && b.cx + b.w / 2 <= high && b.cy - b.h / 2 >= low &&
                 b.cy + b.h / 2 <= high);  // a NaN fits nowhere
    };
    std::int64_t count = 0;
    for (const Labels& labels : batch.labels) count += std::count_if(labels.objects.begin(), labels.objects.end(), bad);
    return count;
}

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
