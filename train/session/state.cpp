#include "train/session/state.h"

#include <charconv>
#include <cstring>
#include <set>

#include "nn/checkpoint.h"
#include "train/run/run.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {
namespace {

// The metadata of a checkpoint: texts that read back to the same bits.
class Fields {
public:
    Fields(std::map<std::string, std::string>& fields, std::string path) : fields_(fields), path_(std::move(path)) {}
    void put(const std::string& key, double value) { fields_[key] = number_text(value); }
    void put(const std::string& key, std::int64_t value) { fields_[key] = std::to_string(value); }

    template <class T>
    void get(const std::string& key, T& value) const {
        const std::string& text = at(key);
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
        if (error != std::errc() || end != text.data() + text.size())
            throw DataError(fmt::format("{}: '{}' is no {}", path_, text.substr(0, 40), key));
    }
    const std::string& at(const std::string& key) const {
        const auto found = fields_.find(key);
        if (found == fields_.end())
            throw DataError(fmt::format("{}: no '{}': is this the checkpoint of a training run?", path_, key));
        return found->second;
    }

private:
    std::map<std::string, std::string>& fields_;
    std::string path_;
};

// One list of all fields, so that what is written and what is read cannot part.
template <class State, class Field>
void each_field(State& s, const Field& field) {
    field("epoch", s.epoch), field("batch", s.batch), field("step", s.step), field("pictures", s.pictures);
    field("looked", s.looked);
    field("lr", s.lr), field("loss_sum", s.loss_sum), field("best_score", s.best_score),
        field("best_epoch", s.best_epoch);
    field("worse", s.worse), field("plateau_best", s.plateau.best), field("plateau_lr", s.plateau.lr.at(0));
    field("plateau_bad", s.plateau.bad), field("plateau_cooldown", s.plateau.cooldown_left);
}

std::string state_key(const Member& m, const std::string& state) { return "optim." + m.param.name + "." + state; }

void put_steps(SafetensorsFile& file, const std::string& key, std::int64_t steps) {
    RawTensor raw{"I64", {}, std::vector<std::byte>(sizeof steps)};
    std::memcpy(raw.bytes.data(), &steps, sizeof steps);
    file.tensors[key] = std::move(raw);
}

void save_optimizer(SafetensorsFile& file, Optimizer& optimizer) {
    const auto names = optimizer.state_names();
    for (const Member& m : optimizer.members()) {
        const Tensor* tensors[2] = {&m.state.first, &m.state.second};
        for (std::size_t k = 0; k < names.size(); ++k)
            if (tensors[k]->defined())
                file.tensors[state_key(m, names[k])] = to_raw(to_torch_layout(*tensors[k], m.param.param->layout));
        if (m.state.steps > 0) put_steps(file, state_key(m, "step"), m.state.steps);
    }
}

void load_optimizer(const SafetensorsFile& file, const std::string& path, Optimizer& optimizer) {
    const auto names = optimizer.state_names();
    std::set<std::string> taken;
    for (Member& m : optimizer.members()) {
        m.state = {};
        Tensor* tensors[2] = {&m.state.first, &m.state.second};
        for (std::size_t k = 0; k < names.size(); ++k) {
            const auto found = file.tensors.find(state_key(m, names[k]));
            if (found == file.tensors.end()) continue;
            taken.insert(found->first);
            *tensors[k] = from_torch_layout(from_raw(found->second, path + ": " + found->first), m.param.param->layout);
            if (tensors[k]->shape() != m.param.param->value.shape())
                throw DataError(fmt::format("{}: tensor '{}' has shape {}, the parameter {}", path, found->first,
                                            tensors[k]->shape().str(), m.param.param->value.shape().str()));
        }
        const auto steps = file.tensors.find(state_key(m, "step"));
        if (steps == file.tensors.end()) continue;
        taken.insert(steps->first);
        if (steps->second.dtype != "I64" || steps->second.bytes.size() != sizeof m.state.steps)
            throw DataError(fmt::format("{}: tensor '{}' must be one I64", path, steps->first));
        std::memcpy(&m.state.steps, steps->second.bytes.data(), sizeof m.state.steps);
    }
    refuse_leftovers(file, "optim.", path, taken);
}

// The averages stand in the model for a moment: so they get the names and layouts that the weights have.
void load_averages(const SafetensorsFile& file, const std::string& path, Learner& learner, Ema& ema,
                   std::int64_t updates) {
    load_state(learner, file, path, "ema.");
    std::vector<std::pair<std::string, Tensor>> averages = ema.averages();
    for (const NamedTensor& t : tensors_of(learner))
        for (auto& [name, value] : averages)
            if (name == t.name) value = t.tensor->clone();
    ema.restore(averages, updates);
}

}  // namespace

void save_session(const std::string& path, const SessionState& s, Learner& learner, Optimizer& optimizer, Ema* ema,
                  const std::string& seed, const std::string& hash, const std::string& data) {
    SafetensorsFile file;
    save_state(learner, file);
    if (ema) {
        ema->swap();
        save_state(learner, file, "ema.");
        ema->swap();
    }
    save_optimizer(file, optimizer);
    Fields fields(file.metadata, path);
    each_field(s, [&](const char* key, const auto& value) { fields.put(key, value); });
    fields.put("plateau_seen", std::int64_t{s.plateau.seen});
    fields.put("done", std::int64_t{s.done});
    fields.put("terms", static_cast<std::int64_t>(s.term_sums.size()));
    for (std::size_t i = 0; i < s.term_sums.size(); ++i) fields.put(fmt::format("term_sum_{}", i), s.term_sums[i]);
    fields.put("ema_updates", ema ? ema->updates() : 0);
    if (s.raw) file.metadata["val_weights"] = "raw";
    if (s.halved) file.metadata["halved"] = "1";
    file.metadata["format"] = "solobox";
    file.metadata["seed"] = seed;
    file.metadata["optimizer"] = optimizer.name();
    file.metadata["config_hash"] = hash;
    file.metadata["data_hash"] = data;
    write_safetensors(path, file);
}

void load_session(const std::string& path, SessionState& s, Learner& learner, Optimizer& optimizer, Ema* ema,
                  const std::string& hash, const std::string& data) {
    SafetensorsFile file = read_safetensors(path);
    const Fields fields(file.metadata, path);
    if (fields.at("config_hash") != hash)
        throw DataError(fmt::format("{}: was made under another configuration than the run's args.yaml", path));
    if (fields.at("data_hash") != data)
        throw DataError(fmt::format(
            "{}: the data set is not the one that this run was trained on (its pictures or boxes have changed)", path));
    s.plateau.lr.resize(1);
    each_field(s, [&](const char* key, auto& value) { fields.get(key, value); });
    std::int64_t seen = 0, done = 0, terms = 0, updates = 0;
    fields.get("plateau_seen", seen), fields.get("done", done), fields.get("terms", terms);
    fields.get("ema_updates", updates);
    s.plateau.seen = seen != 0, s.done = done != 0;
    s.halved = file.metadata.contains("halved");
    if (terms < 0 || terms > 64) throw DataError(fmt::format("{}: {} loss terms", path, terms));
    s.term_sums.assign(static_cast<std::size_t>(terms), 0);
    for (std::size_t i = 0; i < s.term_sums.size(); ++i) fields.get(fmt::format("term_sum_{}", i), s.term_sums[i]);
    if (ema) load_averages(file, path, learner, *ema, updates);
    load_state(learner, file, path);
    load_optimizer(file, path, optimizer);
}

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
