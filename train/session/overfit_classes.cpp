#include "train/session/overfit_classes.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <numeric>

#include "data/image/draw.h"
#include "data/image/image.h"
#include "data/sets/dataset.h"
#include "data/sets/synthetic.h"
#include "nn/checkpoint.h"
#include "train/config/setup.h"
#include "train/doctor/monitor.h"
#include "train/step/data_setup.h"
#include "train/step/diagnosis.h"
#include "train/step/parameter_groups.h"
#include "train/step/trainer.h"
#include "train/tasks/class_task.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {
namespace {

constexpr std::int64_t check_every = 10;
constexpr double enough_loss = 0.005;   // and every picture right: stop early
constexpr double pass_loss = 0.01;      // the verdict
constexpr std::int64_t cycle = 300;     // steps from one warm restart of the learning rate to the next
constexpr double worth_going_on = 0.9;  // a cycle that leaves more than this share of the loss earns no other

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// What the network says of the pictures, in evaluation mode. Auxiliary heads count in training only: the verdict is
// about the answer.
struct Answers {
    std::vector<std::int64_t> answer;
    std::vector<double> right;  // probability of the picture's own class
    double loss = 0, accuracy = 0;
};

struct Job {
    const ClassPictures& data;
    const Config& config;
    Tensor images;
    IndexTensor labels;
    ResNetConfig model = class_model_config(config, static_cast<std::int64_t>(data.names.size()));
    ResNet net{model, static_cast<std::uint64_t>(config.integer("seed"))};
    ClassLossSpec loss = class_loss_spec(config, net);

    Job(const ClassPictures& d, const Config& c) : data(d), config(c) {
        const ClassPictureSpec spec = class_picture_spec(c);
        const auto n = static_cast<std::int64_t>(d.pictures.size());
        images = Tensor(Shape{n, spec.side, spec.side, 3});
        labels = IndexTensor(Shape{n});
        for (std::int64_t i = 0; i < n; ++i) {
            const ClassPicture& p = d.pictures[static_cast<std::size_t>(i)];
            const Pixels<float> pixels = centre_picture(p.image, spec);
            std::copy(pixels.values.begin(), pixels.values.end(),
                      images.mutable_data() + i * static_cast<std::int64_t>(pixels.values.size()));
            labels.mutable_data()[i] = p.class_id;
        }
    }
    std::int64_t count() const { return images.dim(0); }

    // Pictures of a step's batch: a fresh order every epoch, a function of (seed, epoch).
    std::vector<std::int64_t> members(std::int64_t step) const {
        const BatchPlan plan{static_cast<std::size_t>(count()),
                             static_cast<std::size_t>(config.integer("batch")),
                             static_cast<std::uint64_t>(config.integer("seed")),
                             {}};
        const auto which = plan.members(step / plan.per_epoch(), step % plan.per_epoch());
        return {which.begin(), which.end()};
    }
    void batch(const std::vector<std::int64_t>& which, Tensor& x, IndexTensor& t) const {
        const std::int64_t length = images.numel() / count();
        x = Tensor(images.shape().with(0, std::ssize(which)));
        t = IndexTensor(Shape{std::ssize(which)});
        for (std::int64_t i = 0; i < std::ssize(which); ++i) {
            const std::int64_t from = which[static_cast<std::size_t>(i)];
            std::copy_n(images.data() + from * length, length, x.mutable_data() + i * length);
            t.mutable_data()[i] = labels[from];
        }
    }
    Answers ask(ResNet& model_) const {
        const NoGrad quiet;
        Answers a;
        set_training(model_, false);
        constexpr std::int64_t chunk = 16;
        for (std::int64_t first = 0; first < count(); first += chunk) {
            std::vector<std::int64_t> which(static_cast<std::size_t>(std::min(chunk, count() - first)));
            std::iota(which.begin(), which.end(), first);
            Tensor x;
            IndexTensor t;
            batch(which, x, t);
            const Var logits = model_.all_outputs(Var(x)).logits;
            const double share = static_cast<double>(which.size()) / static_cast<double>(count());
            a.loss += share * static_cast<double>(cross_entropy(logits, t).value().item());
            const Tensor p = softmax(logits, 1).value();
            for (std::int64_t i = 0; i < std::ssize(which); ++i) {
                const Real* row = p.data() + i * model.classes;
                a.answer.push_back(std::max_element(row, row + model.classes) - row);
                a.right.push_back(static_cast<double>(row[t[i]]));
                a.accuracy += a.answer.back() == t[i] ? 100.0 / static_cast<double>(count()) : 0;
            }
        }
        set_training(model_, true);
        return a;
    }
};

bool all_right(const Answers& a) { return a.accuracy > 100 - 1e-9; }

struct History {
    std::vector<double> step, loss, lr, check_step, check_loss, accuracy;
};

Measurements train(Job& job, const RunDirectory& run, const OverfitOptions& options, ClassOverfitResult& result,
                   History& h) {
    const auto params = parameters_of(job.net);
    const auto optimizer = make_optimizer(job.config, params);
    FlowRecorder flow(params);
    const std::int64_t cycle_steps = std::min(options.steps, cycle);
    const auto schedule = make_schedule(job.config, cycle_steps);
    Tensor x;
    IndexTensor t;
    std::vector<std::int64_t> which;
    TrainerConfig how{schedule, job.config.number("clip")};
    how.check_finite = job.config.flag("check_finite");
    how.batch_names = [&] {
        std::string names;
        for (const std::int64_t i : which)
            names += (names.empty() ? "" : ", ") + job.data.pictures[static_cast<std::size_t>(i)].name;
        return names;
    };
    Trainer trainer(params, *optimizer, how);
    std::vector<std::string> header{"step",     "time",     "train/loss",     "train/acc1",
                                    "val/loss", "val/acc1", "metrics/chance", "lr"};
    if (!job.loss.aux.empty()) header.push_back("train/ce");
    for (const std::string& head : job.loss.aux) header.push_back("train/" + head);
    CsvFile results(run.file("results.csv"), header);
    CsvFile steps(run.file("steps.csv"), {"step", "loss", "grad_norm", "lr"}),
        layers(run.file("layers.csv"), layer_columns());
    doctor::Facts known;
    known.set("clip", job.config.number("clip"));
    known.set("kind", std::string("classes"));
    known.set("classes", static_cast<double>(job.model.classes));
    known.set("aux_heads", job.config.number("aux_heads")), known.set("aux_weight", job.config.number("aux_weight"));
    doctor::Monitor watch(known, job.config.text("thresholds"), doctor::tell(run, [&](const std::string& line) {
                              if (options.talk) options.talk(line, false);
                          }));
    const auto start = Clock::now();
    Measurements m;
    double before = std::log(static_cast<double>(job.model.classes));
    for (std::int64_t step = 0; step < options.steps; ++step) {
        if (options.stop_signal && (result.stopped_by = options.stop_signal->load()) != 0) break;
        which = job.members(step);
        job.batch(which, x, t);
        const bool check = (step + 1) % check_every == 0 || step + 1 == options.steps;
        const bool watched = step < 3 || check || job.config.flag("trace");
        const StepReport s = watch.guarded([&] {
            return trainer.step([&] { return class_loss_and_accuracy(job.net.all_outputs(Var(x)), t, job.loss); },
                                watched ? &flow : nullptr);
        });
        m.largest_lr = std::max(m.largest_lr, s.lr);
        m.losses.push_back(s.loss);
        watch.step({static_cast<double>(s.step), s.loss, s.grad_norm, s.lr, NAN});
        steps.row({std::to_string(s.step), number_text(s.loss), number_text(s.grad_norm), number_text(s.lr)});
        h.step.push_back(static_cast<double>(s.step)), h.loss.push_back(s.loss), h.lr.push_back(s.lr);
        if (watched)
            for (const ParameterFlow& f : flow.flows()) layers.row(layer_row(f));
        if (!check) continue;
        watch.look();
        const Answers a = job.ask(job.net);
        h.check_step.push_back(static_cast<double>(s.step)), h.check_loss.push_back(a.loss),
            h.accuracy.push_back(a.accuracy);
        const std::size_t accuracy = s.terms.size() - 2;  // top-1, top-5; before them the terms of the loss
        std::vector<std::string> cells{std::to_string(s.step),
                                       fmt::format("{:.3f}", seconds_since(start)),
                                       number_text(s.loss),
                                       number_text(s.terms[accuracy].second),
                                       number_text(a.loss),
                                       number_text(a.accuracy),
                                       number_text(100 / static_cast<double>(job.model.classes)),
                                       number_text(s.lr)};
        for (std::size_t k = 0; k < accuracy; ++k) cells.push_back(number_text(s.terms[k].second));
        results.row(cells);
        if (options.talk)
            options.talk(
                fmt::format("step {:>4}/{}  loss {:.4f}  evaluation: loss {:.4f}, {:.0f} % right (chance {:.0f} %)  "
                            "lr {:.2e}  {:.0f} img/s",
                            s.step, options.steps, s.loss, a.loss, a.accuracy,
                            100 / static_cast<double>(job.model.classes), s.lr,
                            static_cast<double>(s.step * x.dim(0)) / std::max(seconds_since(start), 1e-9)),
                true);
        if (all_right(a) && a.loss < enough_loss && s.step >= 3) break;
        if (s.step % cycle_steps != 0) continue;
        if (a.loss > worth_going_on * before && s.step < options.steps) {
            if (options.talk)
                options.talk(fmt::format("stopping: {} steps brought nothing (loss {:.4f}, {:.4f} before)", cycle_steps,
                                         a.loss, before),
                             false);
            break;
        }
        before = a.loss;
    }
    result.steps = trainer.steps_done();
    result.seconds = seconds_since(start);
    m.flows = flow.flows();
    for (const doctor::Verdict& v : watch.said()) result.findings.push_back(doctor::finding_of(v));
    return m;
}

void judge(ClassOverfitResult& r, const Measurements& m) {
    const bool learned = r.accuracy > 100 - 1e-9 && r.loss < pass_loss, moved = everything_moved(m.flows);
    r.pass = learned && moved && r.stopped_by == 0;
    if (r.pass) {
        r.verdict_text = fmt::format(
            "Learned: in evaluation mode, from the reloaded checkpoint, every picture is right, "
            "loss {:.4f}; every tensor had a gradient and moved within the first 3 steps.",
            r.loss);
        return;
    }
    if (r.stopped_by) {
        r.verdict_text = fmt::format("Interrupted after {} steps, {:.0f} % right.", r.steps, r.accuracy);
        return;
    }
    const std::vector<ReportFinding> causes = diagnose(m);  // before what was seen on the way
    r.findings.insert(r.findings.begin(), causes.begin(), causes.end());
    r.verdict_text =
        learned ? "The pictures were learned, but some tensor had no gradient or did not move in the first 3 steps."
                : fmt::format(
                      "Not learned: {:.0f} % right (needs 100), loss {:.4f} (needs less than {}); always giving "
                      "the commonest class is right for {:.0f} %.",
                      r.accuracy, r.loss, pass_loss, r.common_share);
    if (!r.findings.empty()) r.verdict_text += " " + r.findings.front().message;
}

void write_pages(const Job& job, const RunDirectory& run, const ClassOverfitResult& r, const Measurements& m,
                 const History& h, const Answers& a) {
    Report report;
    report.title =
        fmt::format("overfit: {} pictures of {} classes, {}", job.count(), job.data.names.size(), job.model.name);
    report.verdict = r.pass ? "pass" : "fail";
    report.verdict_text = r.verdict_text;
    report.summary = {{"right", fmt::format("{:.0f} %", r.accuracy)},
                      {"loss", fmt::format("{:.4f}", r.loss)},
                      {"smallest probability", fmt::format("{:.4f}", r.smallest)},
                      {"commonest class", fmt::format("{:.0f} %", r.common_share)},
                      {"steps", std::to_string(r.steps)},
                      {"seconds", fmt::format("{:.1f}", r.seconds)},
                      {"parameters", std::to_string(r.parameters)},
                      {"data", job.data.source}};
    report.plots.push_back(
        {"Loss",
         "step",
         {{"training step", h.step, h.loss, true}, {"evaluation mode", h.check_step, h.check_loss, true}},
         "The same pictures in every step: both should fall towards 0."});
    report.plots.push_back(
        {"Right answers in %, evaluation mode", "step", {{"right", h.check_step, h.accuracy, false}}, ""});
    report.plots.push_back({"Learning rate", "step", {{"lr", h.step, h.lr, false}}, ""});
    for (std::size_t i = 0; i < job.data.pictures.size(); ++i) {
        ReportPicture p;
        p.name = job.data.pictures[i].name;
        p.image = scale_to_fit(job.data.pictures[i].image, 320, 320);
        p.score = a.right[i], p.score_name = "p";
        const auto truth = static_cast<std::size_t>(job.data.pictures[i].class_id),
                   answer = static_cast<std::size_t>(a.answer[i]);
        p.caption = truth == answer ? job.data.names[truth]
                                    : fmt::format("{}, taken for {}", job.data.names[truth], job.data.names[answer]);
        report.pictures.push_back(std::move(p));
    }
    add_flow_layers(report, m.flows);
    report.findings = r.findings;
    for (const auto& [key, value] : job.config.all()) report.config.push_back({key, value.value, value.origin});
    report.environment = environment_facts();
    run.write_text("report.html", render_report(report));
    std::stable_sort(report.pictures.begin(), report.pictures.end(),
                     [](const auto& x, const auto& y) { return x.score < y.score; });
    write_png(run.file("pictures.png"), draw_pictures(report.pictures, 4, 224));
}

}  // namespace

ClassPictures load_class_pictures(const std::string& dir, const std::string& format, std::int64_t n, bool skip_bad,
                                  const Config& config) {
    ClassPictures out;
    if (dir.empty()) {
        const int side = static_cast<int>(std::max<std::int64_t>(config.integer("image"), 16));
        for (std::int64_t i = 0; i < n; ++i) {
            SyntheticSample s = make_synthetic(0, static_cast<std::uint64_t>(i), side);
            out.pictures.push_back({fmt::format("shape {}", i + 1), std::move(s.image), s.object.class_id});
        }
        out.names = shape_names();
        out.source = "synthetic shapes, made in memory";
        return out;
    }
    OpenOptions options = open_options(config);
    options.format = format;
    options.skip_bad = skip_bad;
    const DataSet set = open_dataset(dir, options);
    if (set.classes.size() < 2)
        throw DataError(fmt::format("{}: has {} classes: nothing to tell apart", dir, set.classes.size()));
    if (config.integer("classes") != 0 && config.integer("classes") != std::ssize(set.classes))
        throw ConfigError(fmt::format("classes={}, but {} has {}", config.integer("classes"), dir, set.classes.size()));
    out.names = set.classes;
    out.source = fmt::format("{} data set {}", set.format, dir);
    std::vector<std::vector<const Sample*>> by_class(set.classes.size());
    for (const Sample& s : set.train) {
        if (s.class_id < 0)
            throw DataError(
                fmt::format("{}: has no class for the whole picture: a classifier needs a folder a class "
                            "(ImageFolder) or a tiny-imagenet tree",
                            s.path));
        by_class.at(static_cast<std::size_t>(s.class_id)).push_back(&s);
    }
    for (std::size_t turn = 0; std::ssize(out.pictures) < n; ++turn) {
        bool any = false;
        for (const auto& samples : by_class) {
            if (turn >= samples.size() || std::ssize(out.pictures) == n) continue;
            any = true;
            try {
                out.pictures.push_back({std::filesystem::path(samples[turn]->path).filename().string(),
                                        read_image(samples[turn]->path), samples[turn]->class_id});
            } catch (const DataError& e) {
                if (!skip_bad) throw;
                out.notes.push_back(fmt::format("left out: {}", e.what()));
            }
        }
        if (!any)
            throw DataError(
                fmt::format("{}: only {} usable training pictures, asked for {}", dir, out.pictures.size(), n));
    }
    return out;
}

ClassOverfitResult overfit_classes(const ClassPictures& data, const Config& config, const RunDirectory& run,
                                   const OverfitOptions& options, const std::function<void(ResNet&)>& patch) {
    ClassOverfitResult result;
    Job job(data, config);
    check_parts(job.model, job.count(), config.integer("batch"), 1, false);
    std::vector<std::int64_t> count(data.names.size());
    for (const ClassPicture& p : data.pictures) ++count[static_cast<std::size_t>(p.class_id)];
    result.common_share =
        100 * static_cast<double>(*std::max_element(count.begin(), count.end())) / static_cast<double>(job.count());
    result.parameters = count_parameters(job.net);
    if (patch) patch(job.net);
    History history;
    Measurements m = train(job, run, options, result, history);
    result.loss_first = m.losses.empty() ? 0 : m.losses.front();
    result.loss_last = m.losses.empty() ? 0 : m.losses.back();
    SafetensorsFile file;
    save_state(job.net, file);
    file.metadata = {{"format", "solobox"}, {"step", std::to_string(result.steps)}, {"seed", config.at("seed").value}};
    write_safetensors(run.last_weights(), file);

    // The verdict is about what was saved: a fresh model that has only the file.
    ResNet reloaded(job.model, 0);
    load_state(reloaded, read_safetensors(run.last_weights()), run.last_weights());
    const Answers a = job.ask(reloaded);
    result.loss = a.loss, result.accuracy = a.accuracy;
    result.smallest = *std::min_element(a.right.begin(), a.right.end());
    m.scores = fmt::format("{:.0f} % right, evaluation loss {:.4f}", a.accuracy, a.loss);
    set_training(reloaded, false);
    m.activations = measure_activations([&] { (void)job.ask(reloaded); });
    judge(result, m);
    write_pages(job, run, result, m, history, a);
    return result;
}

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
