#include "train/session/forecast.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "tensor/pool.h"
#include "train/step/trainer.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {
namespace {

std::int64_t resident() {
    std::ifstream in("/proc/self/statm");
    std::int64_t all = 0, here = 0;
    in >> all >> here;
    return here * sysconf(_SC_PAGESIZE);
}

// Running statistics move with every forward pass in training: they are put back.
class Undisturbed {
public:
    explicit Undisturbed(Learner& learner) : learner_(learner) {
        Visitor v;
        v.on_buffer = [&](const std::string&, Tensor& t) { buffers_.push_back(t.clone()); };
        v.on_counter = [&](const std::string&, std::int64_t& c) { counters_.push_back(c); };
        learner.visit(v);
    }
    ~Undisturbed() {
        std::size_t buffer = 0, counter = 0;
        Visitor v;
        v.on_buffer = [&](const std::string&, Tensor& t) { t = buffers_[buffer++]; };
        v.on_counter = [&](const std::string&, std::int64_t& c) { c = counters_[counter++]; };
        v.on_parameter = [](const std::string&, Parameter& p) { p.zero_grad(); };
        learner_.visit(v);
    }

private:
    Learner& learner_;
    std::vector<Tensor> buffers_;
    std::vector<std::int64_t> counters_;
};

// Peak of the last of so many parts of a batch, above what is held already. The gradients stay in it.
std::int64_t peak_of_part(Learner& learner, const Batch& batch, std::int64_t parts) {
    for (const auto& p : parameters_of(learner)) p.param->zero_grad();
    const std::vector<BatchPart> pieces = learner.losses(batch, parts, {});
    const std::int64_t before = pool::stats().live_bytes;
    pool::reset_peak();
    Tape tape;
    const Objective objective = pieces.back().loss();
    tape.backward(objective.loss.total);
    return pool::stats().peak_bytes - before;
}

std::int64_t bytes_of(const std::vector<NamedTensor>& tensors) {
    std::int64_t sum = 0;
    for (const NamedTensor& t : tensors) sum += t.tensor->numel() * static_cast<std::int64_t>(sizeof(Real));
    return sum;
}

std::int64_t convolution_outputs(Learner& learner) {  // bytes of one picture's
    std::int64_t sum = 0;
    for (const LayerRow& row : learner.model().layers())
        if (row.type.starts_with("conv")) sum += row.out.numel() * static_cast<std::int64_t>(sizeof(Real));
    return sum;
}

// The stage with the most pictures in a batch: what needs most must fit.
const Stage& largest_stage(const Learner& learner) {
    const auto pictures = [&](const Stage& s) { return s.batch > 0 ? s.batch : learner.config().integer("batch"); };
    return *std::ranges::max_element(learner.stages().all(), {}, pictures);
}

std::string megabytes(std::int64_t bytes) { return fmt::format("{:.0f} MB", static_cast<double>(bytes) / 1e6); }

}  // namespace

std::int64_t MemoryForecast::total() const { return before + optimizer + batches + step + checkpoint; }

MemoryForecast forecast_memory(Learner& learner, bool quick, std::int64_t limit) {
    MemoryForecast f;
    const Config& config = learner.config();
    const std::vector<NamedTensor> tensors = tensors_of(learner);
    std::int64_t weights = 0;
    for (const auto& p : parameters_of(learner))
        if (p.param->trainable) weights += p.param->value.numel() * static_cast<std::int64_t>(sizeof(Real));
    const std::string& other = config.text("optimizer_override");
    const bool sgd = (other == "none" ? config.text("optimizer") : other) == "SGD";
    const std::int64_t moments = sgd ? (config.number("momentum") > 0 ? 1 : 0) : 2;
    const std::int64_t averages = config.number("ema_decay") > 0 ? bytes_of(tensors) : 0;
    f.optimizer = moments * weights + averages;
    f.checkpoint = bytes_of(tensors) + averages + moments * weights;

    const std::int64_t epoch = largest_stage(learner).epoch;
    const Batch batch = learner.make_batch(epoch, 0);
    const auto whole = static_cast<std::int64_t>(batch.count());
    const std::int64_t all = std::max<std::int64_t>(whole / config.integer("accumulate"), 1);
    const Extent size = learner.task().recipe(true, epoch).size;
    f.batches = (2 * config.integer("workers") + 2) * whole * size.height * size.width * 3 * 4;
    const PoolStats now = pool::stats();
    f.before = resident() - std::max<std::int64_t>(now.reserved_bytes - now.live_bytes, 0);

    // The outputs of the convolutions, which backward needs, are what a picture takes at least: two pictures that would
    // not fit are not tried, and where gradients hide the pictures of a small piece, these show.
    const std::int64_t outputs = config.integer("recompute") == 1 ? 0 : convolution_outputs(learner);
    f.per_picture = outputs;
    // 2 weights: the first steps are watched, a copy of the weights stands beside them when all gradients are there.
    f.step = std::max(weights + outputs * all, 2 * weights);
    if (4 * outputs > limit) return f;
    const Undisturbed guard(learner);
    // From 2 on: a norm over a batch of one picture may have nothing to average.
    std::int64_t piece = 2, last_size = 0, last_peak = 0, peak = 0;
    for (;; piece *= 2) {
        // The last of these parts has so many pictures, which need not be `piece`.
        const std::int64_t parts = (whole + std::min(piece, all) - 1) / std::min(piece, all),
                           pictures = whole - whole * (parts - 1) / parts;
        if (pictures == last_size) continue;
        peak = peak_of_part(learner, batch, parts);
        std::int64_t growth = last_size > 0 ? (peak - last_peak) / (pictures - last_size) : 0;
        // A piece of twice the size must not be what runs out of memory: then what a picture takes is read off this
        // one.
        const bool large = 2 * peak > limit / 2;
        if (last_size == 0 && large) growth = (peak - weights) / pictures;
        last_peak = peak, last_size = pictures;
        f.per_picture = std::max(growth, outputs);
        // The peak grows at least as fast for larger pieces as for smaller ones: this is what the batch takes at least.
        f.step = std::max({peak + growth * std::max<std::int64_t>(all - pictures, 0), outputs * all, 2 * weights});
        if (pictures >= all || large || (quick && piece >= 4) || piece * 4 > all * 2) break;
        if (piece > 2 && f.total() > limit) break;
    }
    return f;
}

std::int64_t available_memory() {
    std::int64_t available = std::int64_t{1} << 62;
    std::ifstream info("/proc/meminfo");
    for (std::string name, unit; info >> name;) {
        std::int64_t kilobytes = 0;
        info >> kilobytes;
        std::getline(info, unit);
        if (name == "MemAvailable:") available = kilobytes * 1024;
    }
    std::ifstream most("/sys/fs/cgroup/memory.max"), used("/sys/fs/cgroup/memory.current");
    std::int64_t limit = 0, taken = 0;
    // Files that the kernel keeps for speed count as used, and go when memory is asked for.
    std::int64_t files = 0, bytes = 0;
    std::ifstream parts("/sys/fs/cgroup/memory.stat");
    for (std::string name; parts >> name >> bytes;)
        if (name == "inactive_file" || name == "active_file" || name == "slab_reclaimable") files += bytes;
    if (most >> limit && used >> taken)
        available = std::min(available, std::max<std::int64_t>(limit - std::max<std::int64_t>(taken - files, 0), 0));
    rlimit data{};
    if (getrlimit(RLIMIT_DATA, &data) == 0 && data.rlim_cur != RLIM_INFINITY)
        available = std::min(available, static_cast<std::int64_t>(data.rlim_cur) - resident());
    return available;
}

std::int64_t peak_memory() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss * 1024;
}

void refuse_what_does_not_fit(const MemoryForecast& f, const Config& config, std::int64_t available) {
    const std::int64_t needed = f.total() - f.before;
    if (needed <= available) return;
    const std::int64_t batch = config.integer("batch"), parts = config.integer("accumulate");
    std::string advice = "a smaller model or image";
    const std::int64_t fixed = f.optimizer + f.checkpoint + f.step - f.per_picture * (batch / parts);
    if (f.per_picture > 0 && fixed < available) {
        const std::int64_t fits = std::max<std::int64_t>((available - fixed) / f.per_picture, 1);
        if (fits < batch / parts)
            advice = fmt::format("batch={}, or accumulate={} (the same batch in parts), or a smaller image", fits,
                                 (batch + fits - 1) / fits);
    }
    throw ConfigError(fmt::format(
        "not enough memory: the run needs at least {} more, {} are free: expected something smaller, for instance {}",
        megabytes(needed), megabytes(available), advice));
}

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
