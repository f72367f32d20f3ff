// See unread.h.
#include "data/sets/unread.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <unordered_set>

#include "data/sets/parts.h"
#include "data/text.h"

namespace solobox {
namespace {

constexpr std::size_t most_files = 200'000;
constexpr int deepest_walk = 12;  // folders

bool is_dropping(const std::string& name) {
    const std::string low = lower(name);
    return low == "thumbs.db" || low == "desktop.ini" || low == "__macosx" || low.ends_with(".cache");
}

// What may hold labels of some kind.
bool is_label(const std::string& name) {
    const std::string ending = ending_of(name), low = lower(name);
    if (ending != ".txt" && ending != ".xml" && ending != ".json" && ending != ".csv") return false;
    for (const char* word :
         {"readme", "license", "licence", "classes", "changelog", "notes", "requirements", "citation"})
        if (low.find(word) != std::string::npos) return false;
    return true;
}

class Walk {
public:
    explicit Walk(const DataSet& set) : set_(set) {
        for (const auto* samples : {&set.train, &set.val})
            for (const Sample& s : *samples) {
                taken_.insert(canonical(s.path));
                if (!s.mask.empty()) taken_.insert(canonical(s.mask));
            }
        for (const std::string& file : set.files) taken_.insert(canonical(file));
    }

    std::vector<Unread> run() {
        if (is_directory(set_.root)) {
            look(set_.root, "", false, 0);
        } else {
            std::set<std::string> folders;
            for (const auto* samples : {&set_.train, &set_.val})
                for (const Sample& s : *samples) folders.insert(parent_path(s.path));
            for (const std::string& file : set_.files) folders.insert(parent_path(file));
            for (const std::string& folder : folders) files(folder, base_name(folder), false, list_directory(folder));
        }
        std::vector<Unread> out;
        for (auto& [what, found] : found_) out.push_back(std::move(found));
        if (seen_ > most_files)
            out.push_back(
                {fmt::format("files beyond the first {}, not looked at", most_files), 1, set_.root, false, false});
        std::stable_sort(out.begin(), out.end(), [](const Unread& a, const Unread& b) {
            return std::tuple(a.expected, !a.pictures) < std::tuple(b.expected, !b.pictures);
        });
        return out;
    }

private:
    // Links resolve once for each folder, not for each file.
    std::string canonical(const std::string& path) {
        const std::string folder = parent_path(path);
        auto known = folders_.find(folder);
        if (known == folders_.end()) {
            std::error_code error;
            known = folders_.emplace(folder, std::filesystem::weakly_canonical(folder, error).string()).first;
        }
        return known->second + "/" + base_name(path);
    }

    void note(const std::string& what, const std::string& path, bool pictures, bool expected) {
        Unread& u = found_[what];
        if (u.count++ == 0) u = {what, 1, path, pictures, expected};
    }

    void files(const std::string& dir, const std::string& below, bool testing, const Listing& listing) {
        const std::string where = below.empty() ? "at its top" : "in " + printable(below, 120) + "/";
        for (const std::string& name : listing.files) {
            const std::string path = join_path(dir, name);
            if (++seen_ > most_files) return;
            if (is_dropping(name) || taken_.contains(canonical(path))) continue;
            if (has_picture_ending(name))
                note(testing ? fmt::format("pictures {}, a part for testing", where) : "pictures " + where, path, true,
                     testing);
            else if (const std::string ending = unread_picture_ending(name); !ending.empty())
                note(fmt::format("pictures of a kind that is not read ({}) {}", ending, where), path, true, testing);
            else if (is_label(name))
                note(fmt::format("{} files {}", ending_of(name), where), path, false, testing);
            else
                note("other files", path, false, true);
        }
    }

    void look(const std::string& dir, const std::string& below, bool testing, int depth) {
        std::error_code error;
        if (seen_ > most_files || depth > deepest_walk ||
            !entered_.insert(std::filesystem::weakly_canonical(dir, error).string()).second)
            return;
        const Listing listing = list_directory(dir);
        files(dir, below, testing, listing);
        for (const std::string& name : listing.folders) {
            // A link that leads elsewhere is no part of the set.
            const std::string path = join_path(dir, name);
            if (is_dropping(name) || std::filesystem::is_symlink(path, error)) continue;
            look(path, below.empty() ? name : below + "/" + name, testing || role_of(name) == Role::test, depth + 1);
        }
    }

    const DataSet& set_;
    std::unordered_set<std::string> taken_;
    std::map<std::string, std::string> folders_;
    std::set<std::string> entered_;
    std::map<std::string, Unread> found_;
    std::size_t seen_ = 0;
};

}  // namespace

std::vector<Unread> find_unread(const DataSet& set) { return Walk(set).run(); }

}  // namespace solobox
