// See parts.h.
#include "data/sets/parts.h"

#include <sys/stat.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <regex>
#include <set>
#include <unordered_map>

#include "data/sets/dataset.h"
#include "data/text.h"

namespace solobox {
namespace {

constexpr std::size_t max_list_bytes = std::size_t{64} << 20;
constexpr std::size_t max_pattern = 1000;  // letters of a regular expression

std::string first_word(std::string_view name) {
    const std::string low = lower(name);
    const auto letter = [](char c) { return c >= 'a' && c <= 'z'; };
    const auto end = std::find_if_not(low.begin(), low.end(), letter);
    return {low.begin(), end};
}

std::string percent(double share) { return fmt::format("{:g} %", std::round(1000 * share) / 10); }

void append(std::vector<Sample>& to, std::vector<Sample> from) {
    std::move(from.begin(), from.end(), std::back_inserter(to));
}

// Takes over what is not about the split.
void absorb(DataSet& out, DataSet& part) {
    std::vector<int> ids;
    for (const std::string& name : part.classes) {
        const auto at = std::find(out.classes.begin(), out.classes.end(), name);
        ids.push_back(static_cast<int>(at - out.classes.begin()));
        if (at == out.classes.end()) out.classes.push_back(name);
    }
    for (auto* samples : {&part.train, &part.val})
        for (Sample& s : *samples) {
            if (s.class_id >= 0) s.class_id = ids.at(static_cast<std::size_t>(s.class_id));
            for (Object& o : s.objects) o.class_id = ids.at(static_cast<std::size_t>(o.class_id));
        }
    for (Tally& tally : part.tallies) {
        const auto same =
            std::find_if(out.tallies.begin(), out.tallies.end(), [&](const Tally& t) { return t.what == tally.what; });
        if (same == out.tallies.end()) {
            out.tallies.push_back(std::move(tally));
            continue;
        }
        same->count += tally.count;
        same->notes.insert(same->notes.end(), tally.notes.begin(), tally.notes.end());
    }
    std::move(part.files.begin(), part.files.end(), std::back_inserter(out.files));
}

std::string names_of(const std::vector<Part>& parts, Role role) {
    std::vector<std::string> names;
    for (const Part& p : parts)
        if (p.role == role) names.push_back(p.name);
    return fmt::format("{}", fmt::join(names, ", "));
}

// Which parts are for validation so that their share of the pictures comes nearest to `fraction`: one of them, or the
// last ones; of equals the later.
std::vector<bool> parts_held_out(const std::vector<Part>& parts, double fraction) {
    const std::size_t n = parts.size();
    std::vector<double> sizes(n);
    double all = 0;
    for (std::size_t i = 0; i < n; ++i)
        all += sizes[i] = static_cast<double>(parts[i].set.train.size() + parts[i].set.val.size());
    double best = INFINITY;
    std::vector<bool> chosen(n, false);
    const auto consider = [&](std::size_t from, std::size_t to) {
        double held = 0;
        for (std::size_t i = from; i < to; ++i) held += sizes[i];
        const double miss = std::abs(held - fraction * all);
        if (held == 0 || held == all || miss > best) return;
        best = miss;
        for (std::size_t i = 0; i < n; ++i) chosen[i] = i >= from && i < to;
    };
    if (fraction <= 0) return chosen;
    for (std::size_t from = 1; from < n; ++from) consider(from, n);
    for (std::size_t i = 0; i < n; ++i) consider(i, i + 1);
    return chosen;
}

}  // namespace

Role role_of(std::string_view folder) {
    std::string word = first_word(folder);
    if (word.starts_with("voc") && word.size() > 3) word.erase(0, 3);  // VOCtrainval2007, VOCtest2007
    if (word == "train" || word == "training" || word == "trainval") return Role::train;
    if (word == "val" || word == "valid" || word == "validation" || word == "dev") return Role::val;
    if (word == "test" || word == "testing") return Role::test;
    return Role::whole;
}

std::string part_below(const std::string& dir, Role role) {
    std::string found;
    for (const std::string& name : list_directory(dir).folders) {
        if (role_of(name) != role) continue;
        if (!found.empty())
            fail_data(printable(dir, 300), "two folders for one part, {} and {}: give one of them another name",
                      printable(base_name(found)), printable(name));
        found = join_path(dir, name);
    }
    return found;
}

void sort_by_path(std::vector<Sample>& samples) {
    std::sort(samples.begin(), samples.end(), [](const Sample& a, const Sample& b) { return a.path < b.path; });
}

void split_by_order(std::vector<Sample> all, double fraction, DataSet& set) {
    sort_by_path(all);
    auto held =
        static_cast<std::size_t>(std::llround(static_cast<double>(all.size()) * std::clamp(fraction, 0.0, 1.0)));
    if (fraction > 0 && held == 0 && all.size() >= 2) held = 1;
    const std::size_t kept = all.size() - held;
    for (std::size_t i = 0; i < all.size(); ++i) (i < kept ? set.train : set.val).push_back(std::move(all[i]));
    set.split = held > 0 ? "the last " + percent(fraction) + " in byte order of path for validation" : "";
}

DataSet join_parts(std::vector<Part> parts, const OpenOptions& options, bool by_part) {
    DataSet out;
    out.format = parts.front().set.format;
    out.points = parts.front().set.points;
    const auto has = [&](Role role) {
        return std::any_of(parts.begin(), parts.end(), [&](const Part& p) { return p.role == role; });
    };
    const bool roles = !options.split_is_told() && has(Role::train) && (has(Role::val) || has(Role::test));
    const Role held = has(Role::val) ? Role::val : Role::test;
    const std::vector<bool> held_out =
        by_part && !roles && parts.size() > 1 ? parts_held_out(parts, options.val_fraction) : std::vector<bool>();
    for (std::size_t i = 0; i < parts.size(); ++i) {
        Part& p = parts[i];
        if (p.set.points.count != out.points.count || p.set.points.numbers != out.points.numbers)
            fail_data(printable(p.name, 200), "other key points than {}: their kpt_shape must agree",
                      printable(parts.front().name, 200));
        if (roles && held == Role::val && p.role == Role::test) continue;
        absorb(out, p.set);
        if (roles || !held_out.empty()) {
            const bool val = roles ? p.role == held : held_out[i];
            append(val ? out.val : out.train, std::move(p.set.train));
            append(val ? out.val : out.train, std::move(p.set.val));
        } else {
            append(out.train, std::move(p.set.train));
            append(out.val, std::move(p.set.val));
        }
    }
    if (roles) {
        const std::string rest = names_of(parts, Role::whole);
        out.split = fmt::format("by folders: {}{}{} to train on, {} for validation", names_of(parts, Role::train),
                                rest.empty() ? "" : ", ", rest, names_of(parts, held));
        if (held == Role::val && has(Role::test))
            out.split += fmt::format("; {} is a third part and left out", names_of(parts, Role::test));
    } else if (out.val.empty()) {
        std::vector<Sample> whole = std::move(out.train);
        out.train.clear();
        split_by_order(std::move(whole), options.val_fraction, out);
    } else if (!held_out.empty()) {
        std::vector<std::string> names;
        for (std::size_t i = 0; i < parts.size(); ++i)
            if (held_out[i]) names.push_back(parts[i].name);
        out.split = fmt::format("by whole folders: {} for validation", fmt::join(names, ", "));
    } else {
        out.split = "as each part has it";
    }
    sort_by_path(out.train);
    sort_by_path(out.val);
    return out;
}

namespace {

// Pictures by the names people write in lists: the path below the set, the end of it, the bare name, or the name
// without its ending.
class Names {
public:
    Names(const std::vector<Sample>& all, const std::string& root) {
        for (std::size_t i = 0; i < all.size(); ++i) {
            const std::string path = relative(all[i].path, root);
            whole_[path].push_back(i);
            base_[base_name(path)].push_back(i);
            stem_[file_stem(path)].push_back(i);
            folders_.insert(base_name(parent_path(path)));
            paths_.push_back(path);
        }
    }

    // Folders of pictures that could not be used: a name in one of them is no name of another picture.
    void know_folder_of(const std::string& path) { folders_.insert(base_name(parent_path(path))); }

    static std::string relative(const std::string& path, const std::string& set) {
        const std::string root = is_directory(set) ? set : parent_path(set);  // of a data.yaml, or a COCO file
        const std::string home = root.ends_with('/') || root.empty() ? root : root + "/";
        return path.starts_with(home) ? path.substr(home.size()) : path;
    }

    // Places of the pictures of that name; none, or several when it is ambiguous.
    std::vector<std::size_t> find(const std::string& name) const {
        if (const auto at = whole_.find(name); at != whole_.end()) return at->second;
        std::vector<std::size_t> found;
        const auto ends = base_.find(base_name(name));
        if (ends != base_.end() && name.find('/') != std::string::npos) {
            for (const std::size_t i : ends->second)
                if (paths_[i].ends_with("/" + name)) found.push_back(i);
            if (!found.empty()) return found;
        }
        if (name.find('/') != std::string::npos && folders_.contains(base_name(parent_path(name)))) return found;
        if (ends != base_.end()) return ends->second;
        const auto stem = stem_.find(has_picture_ending(name) ? file_stem(name) : base_name(name));
        return stem == stem_.end() ? found : stem->second;
    }

private:
    std::map<std::string, std::vector<std::size_t>> whole_, base_, stem_;
    std::set<std::string> folders_;
    std::vector<std::string> paths_;
};

// The places that a list names.
std::vector<std::size_t> read_list(const std::string& path, const Names& names, const OpenOptions& options,
                                   DataSet& set) {
    const std::string file = printable(path, 300), text = read_whole(path, max_list_bytes);
    require_text(strip_bom(text), file);
    set.files.push_back(path);
    std::vector<std::size_t> out;
    LineReader lines(strip_bom(text));
    for (std::string_view line; lines.next(line);) {
        const std::string name = with_slashes(std::string(trim(line)));
        if (name.empty()) continue;
        const std::vector<std::size_t> found = names.find(name);
        if (found.size() == 1) {
            out.push_back(found.front());
            continue;
        }
        const std::string why =
            found.empty() ? "no usable picture of the set has this name"
                          : fmt::format("{} pictures have this name: write the path below the set", found.size());
        if (!options.skip_bad) fail_line(file, lines.number(), "\"{}\": {}", printable(name, 100), why);
        count(set.tallies, "names in the lists of the split that fit no picture, or several",
              fmt::format("{}:{}", file, lines.number()), 1,
              fmt::format("{}: line {}: \"{}\": {}", file, lines.number(), printable(name, 100), why),
              TallyKind::refused);
    }
    if (out.empty()) {
        const std::string why = reasons_of(set.tallies, 1);
        fail_data(file, "names no picture of the set{}{}", why.empty() ? "" : ": ", why);
    }
    return out;
}

}  // namespace

void split_as_told(DataSet& set, const OpenOptions& options) {
    const bool lists = !options.train_list.empty() || !options.val_list.empty();
    if (!lists && options.val_match.empty()) return;
    if (lists && !options.val_match.empty())
        throw ConfigError("val_match and a list both say the split: give one of them");
    std::vector<Sample> all = std::move(set.train);
    append(all, std::move(set.val));
    sort_by_path(all);
    set.train.clear(), set.val.clear();
    std::vector<int> side(all.size(), 0);  // 1: train, 2: val
    if (lists) {
        Names names(all, set.root);
        for (const std::string& file : set.files) names.know_folder_of(file);
        for (const auto& [path, mark] : {std::pair{options.train_list, 1}, std::pair{options.val_list, 2}}) {
            if (path.empty()) continue;
            for (const std::size_t i : read_list(path, names, options, set)) {
                if (side[i] != 0 && side[i] != mark)
                    fail_data(printable(all[i].path, 300), "stands in both lists: {} and {}",
                              printable(options.train_list, 100), printable(options.val_list, 100));
                side[i] = mark;
            }
        }
        const int rest = options.val_list.empty() ? 2 : options.train_list.empty() ? 1 : 0;
        for (std::size_t i = 0; i < all.size(); ++i) {
            if (side[i] == 0) side[i] = rest;
            if (side[i] == 0) {
                count(set.tallies, "pictures in neither list of the split left out", printable(all[i].path, 300));
                set.files.push_back(all[i].path);
            }
        }
        set.split = rest == 0   ? "by train_list and val_list"
                    : rest == 1 ? "by val_list; the rest to train on"
                                : "by train_list; the rest for validation";
    } else {
        if (options.val_match.size() > max_pattern)
            throw ConfigError(fmt::format("val_match: more than {} letters", max_pattern));
        try {
            const std::regex pattern(options.val_match, std::regex::ECMAScript);
            for (std::size_t i = 0; i < all.size(); ++i)
                side[i] = std::regex_search(Names::relative(all[i].path, set.root), pattern) ? 2 : 1;
        } catch (const std::regex_error& error) {
            throw ConfigError(
                fmt::format("val_match={}: no regular expression: {}", printable(options.val_match, 60), error.what()));
        }
        set.split = fmt::format("by val_match={}", printable(options.val_match, 100));
    }
    const auto held = std::count(side.begin(), side.end(), 2), kept = std::count(side.begin(), side.end(), 1);
    if (!all.empty() && (held == 0 || kept == 0))
        throw ConfigError(fmt::format("{}: {} of the {} pictures ({} ..) are for validation: one part is empty",
                                      set.split, held, all.size(),
                                      printable(Names::relative(all.front().path, set.root), 100)));
    for (std::size_t i = 0; i < all.size(); ++i)
        if (side[i] != 0) (side[i] == 1 ? set.train : set.val).push_back(std::move(all[i]));
}

std::vector<std::pair<std::string, std::string>> pictures_in_both(const std::vector<Sample>& train,
                                                                  const std::vector<Sample>& val) {
    struct File {
        dev_t device = 0;
        ino_t number = 0;
        off_t size = -1;
    };
    const auto look = [](const std::string& path) {
        struct stat state {};
        if (::stat(path.c_str(), &state) != 0) return File{};
        return File{state.st_dev, state.st_ino, state.st_size};
    };
    std::map<std::pair<dev_t, ino_t>, std::string> by_number;
    std::multimap<off_t, std::string> by_size;
    for (const Sample& s : train) {
        const File f = look(s.path);
        by_number.emplace(std::pair{f.device, f.number}, s.path);
        by_size.emplace(f.size, s.path);
    }
    // Of files whose size stands on both sides each is read once.
    constexpr std::size_t most = std::size_t{128} << 20;
    const auto contents = [&](const std::string& path) {
        try {
            const std::string bytes = read_whole(path, most);
            return fmt::format("{:08x}{:08x}{}", checksum(bytes), checksum(bytes, 0x5EED), bytes.size());
        } catch (const DataError&) {
            return path;  // like nothing else; whoever decodes it says why
        }
    };
    std::set<off_t> shared;
    for (const Sample& s : val) shared.insert(look(s.path).size);
    std::unordered_map<std::string, std::string> by_contents;
    for (const auto& [size, path] : by_size)
        if (shared.contains(size)) by_contents.emplace(contents(path), path);
    std::vector<std::pair<std::string, std::string>> both;
    for (const Sample& s : val) {
        const File f = look(s.path);
        if (f.size < 0) continue;
        if (const auto same = by_number.find({f.device, f.number}); same != by_number.end()) {
            both.emplace_back(same->second, s.path);
            continue;
        }
        if (!by_size.contains(f.size)) continue;
        if (const auto twin = by_contents.find(contents(s.path)); twin != by_contents.end())
            both.emplace_back(twin->second, s.path);
    }
    return both;
}

}  // namespace solobox
