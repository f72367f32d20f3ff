#include "train/session/overfit.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>

#include "data/image/image.h"
#include "data/sets/dataset.h"
#include "nn/checkpoint.h"
#include "train/config/setup.h"
#include "train/doctor/monitor.h"
#include "train/step/diagnosis.h"
#include "train/step/parameter_groups.h"
#include "train/step/trainer.h"
#include "train/tasks/single_box_setup.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {
namespace {

constexpr std::int64_t check_every = 10;
constexpr double enough_mean = 0.985, enough_min = 0.95;  // learned: stop early
constexpr double pass_mean = 0.95, pass_min = 0.90;       // the verdict
constexpr std::int64_t cycle = 300;      // steps from one warm restart of the learning rate to the next
constexpr double worth_going_on = 0.02;  // gain in mean IoU that a cycle must bring to earn another

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

struct Ious {
    std::vector<double> each;
    double mean = 0, min = 0;
};

// The whole job's state: what several steps of it share.
struct Job {
    const OverfitPictures& data;
    const Config& config;
    const RunDirectory& run;
    const OverfitOptions& options;
    DecodeSpec decode = decode_spec(config);
    BoxLossSpec loss = loss_spec(config);
    Tensor images, targets;  // (N, S, S, 3), (N, 4)
    std::vector<UnitBox> truths;
    std::unique_ptr<SingleBox> model;

    Job(const OverfitPictures& d, const Config& c, const RunDirectory& r, const OverfitOptions& o);
    std::int64_t count() const { return images.dim(0); }
    void talk(const std::string& line, bool live = false) const {
        if (options.talk) options.talk(line, live);
    }
    Tensor raw_outputs(SingleBox& net) const;
    std::vector<UnitBox> predictions(SingleBox& net) const;
    Ious evaluate(SingleBox& net) const;
    std::vector<std::int64_t> order(std::int64_t step) const;  // which pictures are in this step's batch
    void batch(std::int64_t step, Tensor& x, Tensor& t) const;
    std::string batch_names(std::int64_t step) const;
};

Job::Job(const OverfitPictures& d, const Config& c, const RunDirectory& r, const OverfitOptions& o)
    : data(d), config(c), run(r), options(o) {
    const int size = static_cast<int>(config.integer("image"));
    const auto n = static_cast<std::int64_t>(data.pictures.size());
    images = Tensor(Shape{n, size, size, 3});
    targets = Tensor(Shape{n, 4});
    for (std::int64_t i = 0; i < n; ++i) {
        const OverfitPicture& p = data.pictures[static_cast<std::size_t>(i)];
        const auto pixels = to_float_square(p.image, size, config.flag("antialias"));
        std::copy(pixels.begin(), pixels.end(), images.mutable_data() + i * static_cast<std::int64_t>(pixels.size()));
        const double box[4] = {p.box.cx, p.box.cy, p.box.w, p.box.h};
        for (std::int64_t k = 0; k < 4; ++k) targets.mutable_data()[4 * i + k] = static_cast<Real>(box[k]);
        truths.push_back(p.box);
    }
    model = make_single_box(config, truths);
}

// Some pictures of a (N, ..) tensor.
Tensor rows(const Tensor& all, const std::vector<std::int64_t>& which) {
    const std::int64_t length = all.numel() / all.dim(0);
    Tensor out(all.shape().with(0, static_cast<std::int64_t>(which.size())));
    for (std::size_t i = 0; i < which.size(); ++i)
        std::copy_n(all.data() + which[i] * length, length, out.mutable_data() + static_cast<std::int64_t>(i) * length);
    return out;
}

Tensor Job::raw_outputs(SingleBox& net) const {
    const NoGrad quiet;
    set_training(net, false);
    Tensor raw(Shape{count(), decode.outputs()});
    constexpr std::int64_t chunk = 16;
    for (std::int64_t i = 0; i < count(); i += chunk) {
        std::vector<std::int64_t> which(static_cast<std::size_t>(std::min(chunk, count() - i)));
        std::iota(which.begin(), which.end(), i);
        const Tensor part = net(Var(rows(images, which))).value();
        std::copy_n(part.data(), part.numel(), raw.mutable_data() + raw.dim(1) * i);
    }
    set_training(net, true);
    return raw;
}

std::vector<UnitBox> Job::predictions(SingleBox& net) const {
    const Tensor boxes = metric_boxes(raw_outputs(net), decode);
    std::vector<UnitBox> out;
    for (std::int64_t i = 0; i < count(); ++i)
        out.push_back({static_cast<double>(boxes[4 * i]), static_cast<double>(boxes[4 * i + 1]),
                       static_cast<double>(boxes[4 * i + 2]), static_cast<double>(boxes[4 * i + 3])});
    return out;
}

Ious ious_of(const std::vector<UnitBox>& predicted, const std::vector<UnitBox>& truths) {
    Ious r;
    for (std::size_t i = 0; i < truths.size(); ++i) r.each.push_back(unit_iou(predicted[i], truths[i]));
    r.mean = std::accumulate(r.each.begin(), r.each.end(), 0.0) / static_cast<double>(r.each.size());
    r.min = *std::min_element(r.each.begin(), r.each.end());
    return r;
}

Ious Job::evaluate(SingleBox& net) const { return ious_of(predictions(net), truths); }

std::vector<std::int64_t> Job::order(std::int64_t step) const {
    const std::int64_t size = std::min(config.integer("batch"), count());
    // A fresh order every epoch, a function of (seed, epoch); the last, smaller batch counts too.
    const std::int64_t per_epoch = (count() + size - 1) / size, epoch = step / per_epoch,
                       first = step % per_epoch * size;
    std::vector<std::int64_t> all(static_cast<std::size_t>(count()));
    std::iota(all.begin(), all.end(), 0);
    if (size == count()) return all;
    Random random(
        {static_cast<std::uint64_t>(config.integer("seed")), Stream::order, static_cast<std::uint32_t>(epoch)});
    shuffle(all.data(), count(), random);
    return {all.begin() + first, all.begin() + std::min(first + size, count())};
}

void Job::batch(std::int64_t step, Tensor& x, Tensor& t) const {
    const auto which = order(step);
    const bool whole = static_cast<std::int64_t>(which.size()) == count();
    x = whole ? images : rows(images, which);
    t = whole ? targets : rows(targets, which);
}

std::string Job::batch_names(std::int64_t step) const {
    std::string names;
    for (const std::int64_t i : order(step))
        names += (names.empty() ? "" : ", ") + data.pictures[static_cast<std::size_t>(i)].name;
    return names;
}

std::string metadata_number(std::int64_t v) { return std::to_string(v); }

void save(const Job& job, std::int64_t steps) {
    SafetensorsFile file;
    save_state(*job.model, file);
    file.metadata = {{"format", "solobox"}, {"step", metadata_number(steps)}, {"seed", job.config.at("seed").value}};
    write_safetensors(job.run.last_weights(), file);
}

// The curves that the report draws.
struct History {
    std::vector<double> loss_step, loss, lr, check_step, mean_iou, min_iou;
};

class Tables {
public:
    explicit Tables(const RunDirectory& run, const LossValue& sample)
        : results_(run.file("results.csv"), header(sample)),
          layers_(run.file("layers.csv"), layer_columns()),
          steps_(run.file("steps.csv"), {"step", "loss", "grad_norm", "lr"}) {}

    void step(const StepReport& s) {
        steps_.row({std::to_string(s.step), number_text(s.loss), number_text(s.grad_norm), number_text(s.lr)});
    }

    void result(double seconds, const StepReport& s, const Ious& ious, double mean_box, double constant_box) {
        std::vector<std::string> cells{std::to_string(s.step), fmt::format("{:.3f}", seconds), number_text(s.loss)};
        for (const auto& [name, value] : s.terms) cells.push_back(number_text(value));
        for (const double v : {ious.mean, ious.min, mean_box, constant_box, s.lr}) cells.push_back(number_text(v));
        results_.row(cells);
    }
    void flows(const std::vector<ParameterFlow>& flows) {
        for (const auto& f : flows) layers_.row(layer_row(f));
    }

private:
    static std::vector<std::string> header(const LossValue& sample) {
        std::vector<std::string> names{"step", "time", "train/loss"};
        for (const auto& term : sample.terms) names.push_back("train/" + term.name);
        for (const char* name :
             {"metrics/iou", "metrics/min_iou", "metrics/mean_box_iou", "metrics/constant_box_iou", "lr"})
            names.push_back(name);
        return names;
    }
    CsvFile results_, layers_, steps_;
};

bool learned(const Ious& ious) { return ious.mean >= enough_mean && ious.min >= enough_min; }

// The steps themselves. Returns what was measured on the way.
Measurements train(Job& job, OverfitResult& result, History& history) {
    const auto params = parameters_of(*job.model);
    const auto optimizer = make_optimizer(job.config, params);
    FlowRecorder flow(params);
    double largest_lr = 0;
    const std::int64_t cycle_steps = std::min(job.options.steps, cycle);
    const auto schedule = make_schedule(job.config, cycle_steps);
    double iou_before =
        result.constant_box_iou;  // of the last cycle; a network that knows no more than that learned nothing
    Tensor x, t;
    std::int64_t step = 0;
    TrainerConfig how{schedule, job.config.number("clip")};
    how.check_finite = job.config.flag("check_finite");
    how.batch_names = [&] { return job.batch_names(step); };
    Trainer trainer(params, *optimizer, how);
    const auto loss = [&] {
        const RandomKey key{static_cast<std::uint64_t>(job.config.integer("seed")), Stream::dropout,
                            static_cast<std::uint32_t>(step)};
        return box_loss((*job.model)(Var(x), key), t, job.decode, job.loss);
    };
    job.batch(0, x, t);
    Tables tables(job.run, [&] {
        const NoGrad quiet;
        return loss();
    }());
    doctor::Facts known;
    known.set("clip", job.config.number("clip"));
    known.set("kind", std::string("box"));
    doctor::Monitor watch(known, job.config.text("thresholds"),
                          doctor::tell(job.run, [&](const std::string& line) { job.talk(line); }));
    const auto start = Clock::now();
    Measurements m;
    for (; step < job.options.steps; ++step) {
        if (job.options.stop_signal && (result.stopped_by = job.options.stop_signal->load()) != 0) break;
        job.batch(step, x, t);
        const bool check = (step + 1) % check_every == 0 || step + 1 == job.options.steps;
        const bool watched = step < 3 || check || job.config.flag("trace");
        const StepReport s = watch.guarded([&] { return trainer.step(loss, watched ? &flow : nullptr); });
        largest_lr = std::max(largest_lr, s.lr);
        m.losses.push_back(s.loss);
        tables.step(s);
        watch.step({static_cast<double>(s.step), s.loss, s.grad_norm, s.lr, NAN});
        history.loss_step.push_back(static_cast<double>(s.step));
        history.loss.push_back(s.loss);
        history.lr.push_back(s.lr);
        if (watched) tables.flows(flow.flows());
        if (!check) continue;
        watch.look();
        const Ious ious = job.evaluate(*job.model);
        history.check_step.push_back(static_cast<double>(s.step));
        history.mean_iou.push_back(ious.mean);
        history.min_iou.push_back(ious.min);
        tables.result(seconds_since(start), s, ious, result.mean_box_iou, result.constant_box_iou);
        const double rate =
            static_cast<double>(s.step) * static_cast<double>(x.dim(0)) / std::max(seconds_since(start), 1e-9);
        job.talk(
            fmt::format("step {:>4}/{}  loss {:.4f}  mean IoU {:.4f} (constant box {:.4f})  min {:.4f}  lr {:.2e}  "
                        "{:.0f} img/s",
                        s.step, job.options.steps, s.loss, ious.mean, result.constant_box_iou, ious.min, s.lr, rate),
            true);
        if (learned(ious) && s.step >= 3) break;
        if (s.step % cycle_steps != 0) continue;
        if (ious.mean < iou_before + worth_going_on && s.step < job.options.steps) {
            job.talk(fmt::format("stopping: {} steps brought nothing (mean IoU {:.4f}, {:.4f} before)", cycle_steps,
                                 ious.mean, iou_before));
            break;
        }
        iou_before = ious.mean;
    }
    result.steps = trainer.steps_done();
    result.seconds = seconds_since(start);
    m.flows = flow.flows();
    m.largest_lr = largest_lr;
    for (const doctor::Verdict& v : watch.said()) result.findings.push_back(doctor::finding_of(v));
    return m;
}

Report make_report(const Job& job, const OverfitResult& r, const History& h, const Measurements& m,
                   const std::vector<UnitBox>& predicted, const Ious& ious) {
    Report report;
    report.title = fmt::format("overfit: {} pictures, {}", job.count(), job.config.text("model"));
    report.verdict = r.pass ? "pass" : "fail";
    report.verdict_text = r.verdict_text;
    report.summary = {{"mean IoU", fmt::format("{:.4f}", r.mean_iou)},
                      {"smallest IoU", fmt::format("{:.4f}", r.min_iou)},
                      {"mean-box IoU", fmt::format("{:.4f}", r.mean_box_iou)},
                      {"best constant box", fmt::format("{:.4f}", r.constant_box_iou)},
                      {"lift over constant", fmt::format("{:+.4f}", r.mean_iou - r.constant_box_iou)},
                      {"steps", std::to_string(r.steps)},
                      {"seconds", fmt::format("{:.1f}", r.seconds)},
                      {"parameters", fmt::format("{}", r.parameters)},
                      {"data", job.data.source}};
    report.plots.push_back({"Training loss",
                            "step",
                            {{"loss", h.loss_step, h.loss, true}},
                            "Should fall towards 0: the same pictures in every step."});
    const std::vector<double> ends =
        h.check_step.empty() ? std::vector<double>{} : std::vector<double>{h.check_step.front(), h.check_step.back()};
    const auto level = [&](double v) { return std::vector<double>(ends.size(), v); };
    report.plots.push_back({"IoU on the same pictures, evaluation mode",
                            "step",
                            {{"mean IoU", h.check_step, h.mean_iou, false},
                             {"smallest IoU", h.check_step, h.min_iou, false},
                             {"best constant box", ends, level(r.constant_box_iou), false},
                             {"pass", ends, level(pass_mean), false}},
                            "A network that only learned one box stays at the constant-box line."});
    report.plots.push_back({"Learning rate", "step", {{"lr", h.loss_step, h.lr, false}}, ""});
    for (std::size_t i = 0; i < job.data.pictures.size(); ++i)
        report.pictures.push_back(
            {job.data.pictures[i].name, job.data.pictures[i].image, job.truths[i], predicted[i], ious.each[i]});
    add_flow_layers(report, m.flows);
    report.findings = r.findings;
    for (const auto& [key, value] : job.config.all()) report.config.push_back({key, value.value, value.origin});
    report.environment = environment_facts();
    return report;
}

void judge(OverfitResult& r, const Measurements& m) {
    const bool ious = r.mean_iou >= pass_mean && r.min_iou >= pass_min;
    r.all_moved = everything_moved(m.flows);
    r.pass = ious && r.all_moved && r.stopped_by == 0;
    if (r.pass) {
        r.verdict_text = fmt::format(
            "Learned: in evaluation mode, from the reloaded checkpoint, mean IoU {:.4f} and smallest {:.4f}; every "
            "tensor had a gradient and moved within the first 3 steps.",
            r.mean_iou, r.min_iou);
        return;
    }
    if (r.stopped_by) {
        r.verdict_text = fmt::format("Interrupted after {} steps, mean IoU {:.4f}.", r.steps, r.mean_iou);
        return;
    }
    const std::vector<ReportFinding> causes = diagnose(m);  // before what was seen on the way
    r.findings.insert(r.findings.begin(), causes.begin(), causes.end());
    r.verdict_text =
        ious ? "The pictures were learned, but some tensor had no gradient or did not move in the first 3 steps."
             : fmt::format(
                   "Not learned: mean IoU {:.4f} (needs {:.2f}), smallest {:.4f} (needs {:.2f}); a constant box "
                   "reaches {:.4f}.",
                   r.mean_iou, pass_mean, r.min_iou, pass_min, r.constant_box_iou);
    if (!r.findings.empty()) r.verdict_text += " " + r.findings.front().message;
}

}  // namespace

OverfitResult overfit(const OverfitPictures& data, const Config& config, const RunDirectory& run,
                      const OverfitOptions& options) {
    OverfitResult result;
    Job job(data, config, run, options);
    result.mean_box_iou = mean_unit_iou(mean_box(job.truths), job.truths);
    result.constant_box_iou = mean_unit_iou(best_constant_box(job.truths), job.truths);
    result.parameters = count_parameters(*job.model);
    if (options.patch) options.patch(*job.model);
    History history;
    Measurements m = train(job, result, history);
    result.loss_first = m.losses.empty() ? 0 : m.losses.front();
    result.loss_last = m.losses.empty() ? 0 : m.losses.back();
    save(job, result.steps);

    // The verdict is about what was saved: a fresh model that has only the file.
    const auto reloaded = make_single_box(config, job.truths);
    reloaded->between_trunk_and_head = job.model->between_trunk_and_head;
    load_state(*reloaded, read_safetensors(run.last_weights()), run.last_weights());
    const auto predicted = job.predictions(*reloaded);
    const Ious ious = ious_of(predicted, job.truths);
    result.mean_iou = ious.mean, result.min_iou = ious.min;
    m.scores = fmt::format("mean IoU {:.3f}, smallest {:.3f}", ious.mean, ious.min);
    const Tensor raw = job.raw_outputs(*reloaded);
    std::vector<std::int64_t> some(static_cast<std::size_t>(std::min<std::int64_t>(job.count(), 16)));
    std::iota(some.begin(), some.end(), 0);
    set_training(*reloaded, false);
    m.activations = measure_activations([&] { (void)(*reloaded)(Var(rows(job.images, some))); });
    m.outputs = measure_outputs(
        raw, output_targets(job.targets, job.decode),
        [&](const Var& r) { return box_loss(r, job.targets, job.decode, job.loss); },
        [&](const Tensor& r) { return output_values(r, job.decode); });
    judge(result, m);
    result.report = make_report(job, result, history, m, predicted, ious);
    run.write_text("report.html", render_report(result.report));
    auto worst_first = result.report.pictures;
    std::stable_sort(worst_first.begin(), worst_first.end(),
                     [](const auto& a, const auto& b) { return a.score < b.score; });
    write_png(run.file("pictures.png"), draw_pictures(worst_first, 4, 224));
    return result;
}

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
