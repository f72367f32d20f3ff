#include "train/experiment/store.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "data/text.h"
#include "nn/safetensors.h"
#include "tensor/check.h"
#include "tensor/kernels/dispatch.h"
#include "train/config/json_text.h"

namespace solobox::experiment {
namespace {

namespace fs = std::filesystem;

class Fnv {
public:
    void add(std::string_view bytes) {
        for (const char c : bytes) hash_ = (hash_ ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
    }
    std::string text() const { return fmt::format("{:016x}", hash_); }

private:
    std::uint64_t hash_ = 0xcbf29ce484222325ULL;
};

void add_file(Fnv& hash, const fs::path& path, const std::string& name) {
    std::ifstream in(path, std::ios::binary);
    if (!in) throw DataError(fmt::format("{}: cannot be read", printable(path.string(), 300)));
    hash.add(name + '\0');
    std::vector<char> part(1 << 16);
    std::uint64_t size = 0;
    while (in.read(part.data(), static_cast<std::streamsize>(part.size())), in.gcount() > 0) {
        hash.add({part.data(), static_cast<std::size_t>(in.gcount())});
        size += static_cast<std::uint64_t>(in.gcount());
    }
    hash.add(fmt::format("{}", size));
}

std::string read_text(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

void write_text(const std::string& path, const std::string& text) {
    const auto* begin = reinterpret_cast<const std::byte*>(text.data());
    write_file_atomically(path, {begin, begin + text.size()});
}

std::string table_print(const std::string& run) {
    Fnv hash;
    hash.add(read_text(run + "/results.csv"));
    return hash.text();
}

}  // namespace

const char* name_of(State state) {
    switch (state) {
        case State::missing:
            return "missing";
        case State::unfinished:
            return "unfinished";
        case State::done:
            return "done";
        case State::diverged:
            return "diverged";
        default:
            return "failed";
    }
}

std::string Contents::print_of(const std::string& place) {
    const auto [found, fresh] = prints_.try_emplace(place);
    if (!fresh) return found->second;
    std::error_code error;
    Fnv hash;
    if (fs::is_directory(place, error)) {
        std::vector<fs::path> files;
        for (const auto& entry :
             fs::recursive_directory_iterator(place, fs::directory_options::follow_directory_symlink))
            if (entry.is_regular_file(error)) files.push_back(entry.path());
        std::sort(files.begin(), files.end());
        for (const fs::path& f : files) add_file(hash, f, f.lexically_relative(place).generic_string());
    } else if (fs::is_regular_file(place, error)) {
        add_file(hash, place, "");
    } else {
        prints_.erase(found);
        throw DataError(fmt::format("{}: no such data set: give data=DIR, or data=synthetic for shapes made in memory",
                                    printable(place, 300)));
    }
    return found->second = hash.text();
}

bool Contents::decides(const std::string& key) { return config_key(key).decides != Decides::nothing; }

std::string Contents::of(const Config& config) {
    std::string text;
    for (const auto& [key, v] : config.all()) {
        // Only what differs from the default: a key that a later version brings does not orphan what is there.
        if (!decides(key) || v.value == config_key(key).default_value) continue;
        const bool place = names_place(key, v.value);
        text += fmt::format("{}={}\n", key, place ? print_of(v.value) : v.value);
    }
    return text + fmt::format("solobox={}\nkernels={}\n", SOLOBOX_VERSION, solobox::name_of(active_kernels()));
}

std::string Contents::id(const std::string& content) {
    Fnv hash;
    hash.add(content);
    return hash.text();
}

Outcome Store::look(const std::string& id, const std::string& content) const {
    const std::string place = run(id);
    Outcome outcome;
    std::error_code error;
    const std::string there = read_text(place + "/content.txt");
    if (there.empty()) return outcome;  // what was being begun when it was killed is begun again
    if (there != content) throw DataError(fmt::format("{}: holds a run of other content: move it away", place));
    if (fs::exists(place + "/args.yaml", error)) outcome.state = State::unfinished;
    const auto json = nlohmann::json::parse(read_text(place + "/outcome.json"), nullptr, false);
    const auto text = [&](const char* key) {
        return json.is_object() && json.contains(key) && json[key].is_string() ? json[key].get<std::string>() : "";
    };
    const State said = text("state") == "done"       ? State::done
                       : text("state") == "diverged" ? State::diverged
                                                     : State::missing;
    if (said == State::missing) return outcome;
    // Whoever cut or lost its table gets the run made again, not a score of its middle.
    if (text("table") != table_print(place)) return Outcome{};
    outcome.state = said;
    outcome.message = text("message");
    if (fs::exists(place + "/results.csv", error)) outcome.scores = read_run_scores(place);
    return outcome;
}

void Store::prepare(const std::string& id, const std::string& content) const {
    std::error_code error;
    if (!fs::create_directories(run(id), error) && error)
        throw IoError(fmt::format("{}: cannot be created: {}", run(id), error.message()));
    write_text(run(id) + "/content.txt", content);
}

void Store::record(const std::string& id, State state, const std::string& message) const {
    write_text(run(id) + "/outcome.json",
               json_text({{"state", name_of(state)}, {"message", message}, {"table", table_print(run(id))}}) + "\n");
}

}  // namespace solobox::experiment
