#include "train/session/session.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "data/feed/loader.h"
#include "data/text.h"
#include "nn/checkpoint.h"
#include "train/config/faults.h"
#include "train/doctor/rules.h"
#include "train/session/clock.h"
#include "train/session/run_watch.h"
#include "train/session/state.h"
#include "train/step/run_parts.h"
#include "train/tasks/kinds.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {
namespace {

// The seconds of the last row of results.csv: a resumed run counts on from there.
double seconds_so_far(const std::string& results) {
    std::ifstream in(results, std::ios::binary);
    double seconds = 0;
    for (std::string line; std::getline(in, line) && !in.eof();) {
        const std::size_t from = line.find(',') + 1, to = line.find(',', from);
        double value = 0;
        if (to != std::string::npos && std::from_chars(line.data() + from, line.data() + to, value).ec == std::errc())
            seconds = value;
    }
    return seconds;
}

class Run {
public:
    Run(Learner& learner, const RunDirectory& run, const SessionOptions& options);
    SessionResult go();
    void diverged(const std::string& what) { watch_.diverged(what); }

private:
    std::int64_t epochs() const { return config_.integer("epochs"); }
    bool validation_due() const {  // at the end of this epoch
        const double every = config_.number("val_every");
        return every < 1 || (state_.epoch + 1) % std::llround(every) == 0 || state_.epoch + 1 == epochs();
    }
    // Behind this many batches of the epoch, or before the first step, and not done yet.
    bool look_due() const {
        if (state_.looked == state_.step) return false;
        if (state_.step == 0) return config_.flag("val_first");
        if (state_.batch == 0 || state_.batch >= batches() || config_.number("val_every") >= 1) return false;
        const auto part = std::max<std::int64_t>(
            static_cast<std::int64_t>(static_cast<double>(batches()) * config_.number("val_every")), 1);
        return state_.batch / part > parts_.stages.begun(state_.epoch, state_.batch) / part;
    }
    // In epochs: whole at their ends.
    double position() const {
        return static_cast<double>(state_.epoch) + static_cast<double>(state_.batch) / static_cast<double>(batches());
    }
    std::int64_t batches() const { return parts_.stages.batches().in(state_.epoch); }  // of this epoch

    int signal() const { return options_.stop_signal ? options_.stop_signal->load() : 0; }
    bool leave();  // somebody wants to stop
    void talk(const std::string& line, bool live = false) const {
        if (options_.talk) options_.talk(line, live);
    }
    void open_tables();
    void step(const std::vector<Batch>& batches, double due, bool watched);
    void record_layers();
    std::optional<Evaluation> measure();
    bool look();       // validation within an epoch; false: interrupted, nothing of it has happened
    bool end_epoch();  // the same
    void say(const Evaluation& e, bool measured) const;
    bool judge(const Evaluation& e);  // true: the best so far
    void write_row(const Evaluation& e);
    void save(const std::string& path);
    void show_progress() const;
    void watch(const Evaluation* e);  // the doctor, at the end of an epoch or behind a validation within it

    Learner& learner_;
    const Config& config_;
    const RunDirectory& run_;
    const SessionOptions& options_;
    std::string hash_, data_;
    RunParts parts_;
    RunWatch watch_;
    std::unique_ptr<FlowRecorder> flow_;
    const std::vector<Batch>* current_ = nullptr;
    SessionState state_;
    SessionResult result_;
    StepReport last_;
    std::unique_ptr<CsvFile> results_, steps_, layers_;
    std::vector<std::string> terms_, columns_;  // of the loss; of validation
    double before_ = 0;                         // seconds of earlier calls
    std::int64_t steps_here_ = 0, pictures_here_ = 0;
    double step_seconds_ = 0, waited_ = 0;
    Stopwatch clock_;
};

Run::Run(Learner& learner, const RunDirectory& run, const SessionOptions& options)
    : learner_(learner),
      config_(learner.config()),
      run_(run),
      options_(options),
      hash_(config_hash(config_)),
      data_(learner.data_fingerprint()),
      parts_(learner),
      watch_(learner, parts_, run, [this](const std::string& line) { talk(line); }) {
    parts_.batch_names = [this] {
        std::string names;
        if (current_)
            for (const Batch& batch : *current_) names += (names.empty() ? "" : ", ") + learner_.names(batch);
        return names;
    };
    flow_ = std::make_unique<FlowRecorder>(parts_.params);
    state_.raw = config_.text("val_weights") == "raw";
    if (options.resume) {
        load_session(run.last_weights(), state_, learner, *parts_.optimizer, parts_.ema.get(), hash_, data_);
        if (options.extend) {
            state_.done = false, state_.worse = 0;
            run_.event({{"event", "facts"}, {"replanned_after", state_.step}});
        }
        parts_.rate.restore(state_.plateau, state_.halved);
        parts_.trainer->resume_at(state_.step);
        before_ = seconds_so_far(run.file("results.csv"));
    }
    parts_.begin(state_.epoch);
    watch_.begin(options.resume);
}

bool Run::leave() {
    result_.stopped_by = signal();
    return result_.stopped_by != 0;
}

void Run::open_tables() {
    columns_ = learner_.columns();
    {
        const NoGrad quiet;
        set_training(learner_, false);  // a look that leaves no trace in running statistics
        const Batch sample = learner_.make_batch(0, 0);
        const Objective o = learner_.losses(sample, 1, {}).at(0).loss();
        for (const LossTerm& t : o.loss.terms) terms_.push_back(t.name);
        for (const auto& [name, v] : o.watched) terms_.push_back(name);
        set_training(learner_, true);
    }
    std::vector<std::string> header{"epoch", "time", "train/loss"};
    for (const std::string& t : terms_) header.push_back("train/" + t);
    for (const std::string& c : columns_) header.push_back(c);
    header.push_back("lr");
    const std::vector<std::string> steps{"step", "loss", "grad_norm", "lr"};
    const auto open = [&](const char* name, const std::vector<std::string>& names, double last) {
        return options_.resume ? std::make_unique<CsvFile>(run_.file(name), names, last)
                               : std::make_unique<CsvFile>(run_.file(name), names);
    };
    // A row of the place where the run stands is kept only if the checkpoint knows of it.
    const bool known = state_.looked == state_.step || (state_.batch == 0 && state_.step > 0);
    const auto step = static_cast<double>(state_.step);
    results_ = open("results.csv", header, known ? position() : std::nextafter(position(), -1.0));
    steps_ = open("steps.csv", steps, step);
    layers_ = open("layers.csv", layer_columns(), step);
}

void Run::record_layers() {
    for (const ParameterFlow& f : flow_->flows()) layers_->row(layer_row(f));
}

// An update of some batches, where so many are due: an epoch's last may be left with fewer.
void Run::step(const std::vector<Batch>& batches, double due, bool watched) {
    parts_.enter(state_.epoch);
    current_ = &batches;
    const Stopwatch clock;
    std::vector<BatchPart> parts;
    std::int64_t number = parts_.stages.batches().before(state_.epoch) + state_.batch, n = 0;
    double share = 0;
    for (const Batch& batch : batches) {
        const RandomKey dropout{static_cast<std::uint64_t>(config_.integer("seed")), Stream::dropout,
                                static_cast<std::uint32_t>(number++)};
        for (BatchPart& part : learner_.losses(batch, config_.integer("accumulate"), dropout)) {
            if (!learner_.task().loss_is_a_sum()) part.share /= due, share += part.share;
            parts.push_back(std::move(part));
        }
        n += static_cast<std::int64_t>(batch.count());
    }
    last_ = parts_.trainer->step(parts, watched ? flow_.get() : nullptr);
    // What is told is the loss of a batch, however many of them made the update and however many were due.
    if (batches.size() > 1 || due > 1) {
        const double whole = learner_.task().loss_is_a_sum() ? static_cast<double>(batches.size()) : share;
        last_.loss /= whole;
        for (auto& term : last_.terms) term.second /= whole;
    }
    step_seconds_ += clock.seconds();
    current_ = nullptr;
    watch_.step(last_, batches);
    state_.term_sums.resize(last_.terms.size());
    state_.loss_sum += last_.loss * static_cast<double>(n);
    for (std::size_t i = 0; i < last_.terms.size(); ++i)
        state_.term_sums[i] += last_.terms[i].second * static_cast<double>(n);
    state_.pictures += n;
    state_.lr = last_.lr;
    ++state_.step, state_.batch += std::ssize(batches), ++steps_here_;
    pictures_here_ += n;
    steps_->row(
        {std::to_string(last_.step), number_text(last_.loss), number_text(last_.grad_norm), number_text(last_.lr)});
    if (watched) record_layers();
    show_progress();
}

void Run::show_progress() const {
    const double spent = step_seconds_ + waited_;
    const double per_step = spent / static_cast<double>(std::max<std::int64_t>(steps_here_, 1));
    const std::int64_t left = parts_.stages.updates().before(epochs()) - state_.step;
    const auto eta = static_cast<std::int64_t>(per_step * static_cast<double>(left));
    talk(fmt::format("epoch {}/{}  {:>3.0f} %  loss {:.4f}  lr {:.2e}  {:.0f} img/s  ETA {}:{:02}{}", state_.epoch + 1,
                     epochs(), 100.0 * static_cast<double>(state_.batch) / static_cast<double>(batches()),
                     state_.loss_sum / static_cast<double>(state_.pictures), last_.lr,
                     static_cast<double>(pictures_here_) / std::max(spent, 1e-9), eta / 60, eta % 60,
                     result_.last.text.empty() ? "" : "  last " + result_.last.text),
         true);
}

void Run::save(const std::string& path) {
    state_.plateau = parts_.rate.state(), state_.halved = parts_.rate.halved();
    save_session(path, state_, learner_, *parts_.optimizer, parts_.ema.get(), config_.at("seed").value, hash_, data_);
}

void Run::write_row(const Evaluation& e) {
    std::vector<std::string> cells{number_text(position()), fmt::format("{:.3f}", before_ + clock_.seconds())};
    const double n = static_cast<double>(state_.pictures);
    const auto mean = [n](double sum) { return n > 0 ? number_text(sum / n) : std::string(); };
    cells.push_back(mean(state_.loss_sum));
    for (std::size_t i = 0; i < terms_.size(); ++i)
        cells.push_back(mean(i < state_.term_sums.size() ? state_.term_sums[i] : 0));
    for (const std::string& name : columns_) {
        const auto found =
            std::find_if(e.columns.begin(), e.columns.end(), [&](const auto& c) { return c.first == name; });
        cells.push_back(found == e.columns.end() ? "" : number_text(found->second));
    }
    cells.push_back(number_text(state_.lr));
    results_->row(cells);
}

// Best so far, patience, plateau.
bool Run::judge(const Evaluation& e) {
    parts_.rate.see(e.loss);
    const bool better = state_.best_epoch == 0 || e.score > state_.best_score + config_.number("min_delta");
    if (better) {
        state_.best_score = e.score;
        state_.best_epoch = state_.epoch + 1;
        state_.worse = 0;
    } else {
        ++state_.worse;
    }
    const std::int64_t patience = config_.integer("patience");
    result_.early = patience > 0 && state_.worse >= patience;
    return better;
}

std::optional<Evaluation> Run::measure() {
    const bool averages = parts_.ema && !state_.raw;
    if (averages) parts_.ema->swap();
    const auto measured = learner_.validate([this] { return signal() != 0; });
    if (averages) parts_.ema->swap();
    if (measured) result_.last = *measured;
    return measured;
}

void Run::say(const Evaluation& e, bool measured) const {
    const std::string place =
        state_.batch == batches() ? fmt::format("{:>3}", state_.epoch + 1) : fmt::format("{:.2f}", position());
    talk(fmt::format("epoch {}/{}  {}{}{}  lr {:.2e}", place, epochs(),
                     state_.pictures > 0
                         ? fmt::format("loss {:.4f}", state_.loss_sum / static_cast<double>(state_.pictures))
                         : std::string("before the first step"),
                     measured ? fmt::format("  val {:.4f}  ", e.loss) : "", e.text, state_.lr));
}

void Run::watch(const Evaluation* e) {
    if (state_.step == 0) return;
    const double n = static_cast<double>(std::max<std::int64_t>(state_.pictures, 1));
    std::vector<std::pair<std::string, double>> terms;
    for (std::size_t i = 0; i < terms_.size() && i < state_.term_sums.size(); ++i)
        terms.emplace_back(terms_[i], state_.term_sums[i] / n);
    watch_.epoch({position(), before_ + clock_.seconds(), state_.loss_sum / n, terms, e});
}

bool Run::look() {
    const auto measured = measure();
    if (!measured) return false;
    watch(&*measured);
    // Before the first step nothing can be called best.
    const bool best = state_.step > 0 && judge(*measured);
    write_row(*measured);
    say(*measured, true);
    state_.looked = state_.step;
    state_.done = result_.early;
    if (best) save(run_.best_weights());
    save(run_.last_weights());
    return true;
}

bool Run::end_epoch() {
    Evaluation e;
    const bool due = validation_due();
    bool best = false;
    if (due) {
        const auto measured = measure();
        if (!measured) return false;
        e = *measured;
        best = judge(e);
    }
    write_row(e);
    say(e, due);
    watch(due ? &e : nullptr);
    ++state_.epoch;
    state_.batch = state_.pictures = 0;
    state_.loss_sum = 0;
    std::fill(state_.term_sums.begin(), state_.term_sums.end(), 0.0);
    state_.done = result_.early || state_.epoch >= epochs();
    if (best) save(run_.best_weights());
    save(run_.last_weights());
    return true;
}

SessionResult Run::go() {
    open_tables();
    if (!options_.resume) save(run_.last_weights());  // before step 1: a full disk is found now
    const schedule::Calendar& all = parts_.stages.batches();
    const auto make = [this, &all](std::int64_t number) {
        const std::int64_t epoch = all.epoch_of(number);
        return learner_.make_batch(epoch, number - all.before(epoch));
    };
    Loader<Batch> loader(make, all.before(state_.epoch) + state_.batch, all.before(epochs()),
                         static_cast<int>(config_.integer("workers")));
    while (!state_.done && state_.epoch < epochs()) {
        if (leave()) break;
        if (look_due()) {
            if (!look()) break;
        } else if (state_.batch < batches()) {
            const Stages::Take take = parts_.stages.take(state_.epoch, state_.batch);
            std::vector<Batch> update;
            for (std::int64_t b = 0; b < take.batches; ++b) update.push_back(loader.next());
            waited_ = loader.waited_seconds();
            const bool ends = state_.batch + take.batches == batches();
            step(update, static_cast<double>(take.due), state_.step < 3 || ends || config_.flag("trace"));
        } else if (!end_epoch()) {
            break;
        }
    }
    if (!state_.done) {
        result_.stopped_by = signal();
        save(run_.last_weights());
    }
    result_.epochs = state_.epoch, result_.steps = state_.step;
    result_.best_epoch = state_.best_epoch, result_.best_score = state_.best_score;
    result_.seconds = clock_.seconds();
    result_.watch_share = watch_.seconds() / std::max(step_seconds_, 1e-9);
    if (state_.done) watch_.finish();
    if (state_.done && !options_.resume && has_fault(config_, "second_writer") && !parts_.rate.ever_halved())
        talk(
            "fault=second_writer changed nothing here: the validation loss fell in every epoch; "
            "a longer run, or a larger lr0, shows it");
    for (const doctor::Verdict& v : watch_.said()) result_.said.insert(v.id);
    result_.wait_share = waited_ / std::max(waited_ + step_seconds_, 1e-9);
    result_.images_per_second = static_cast<double>(pictures_here_) / std::max(waited_ + step_seconds_, 1e-9);
    return result_;
}

}  // namespace

SessionResult train(Learner& learner, const RunDirectory& run, const SessionOptions& options) {
    Run session(learner, run, options);
    try {
        return session.go();
    } catch (const NonFiniteError& e) {
        session.diverged(e.what());
        throw;
    }
}

void check_config(const Config& config) {
    check_task(config);
    doctor::Overrides().add(config.text("thresholds"));
}

std::string config_hash(const Config& config) {
    std::string text;
    for (const auto& [key, v] : config.all())
        // Only what differs from the default: a key that a later version brings does not orphan older runs.
        if (config_key(key).decides == Decides::learning && v.value != config_key(key).default_value)
            text += key + "=" + v.value + "\n";
    return fmt::format("{:08x}", checksum(text));
}

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
