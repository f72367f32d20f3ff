// See places.h.
#include "data/sets/places.h"

#include <algorithm>
#include <filesystem>
#include <regex>
#include <set>

#include "data/sets/coco.h"
#include "data/sets/folder.h"
#include "data/sets/labelme.h"
#include "data/sets/masks.h"
#include "data/sets/mot.h"
#include "data/sets/tiny_imagenet.h"
#include "data/sets/voc.h"
#include "data/sets/yolo.h"
#include "data/text.h"

namespace solobox {
namespace {

constexpr int deepest = 4;                    // folders below the one that was named
constexpr std::size_t most_folders = 20'000;  // looked into

struct Layout {
    const char* format;
    bool (*at)(const std::string& dir);
    const char* sign;  // how a person tells it
};

// Formats of labels: two of them in one directory contradict each other.
constexpr Layout labelled[] = {{"voc", looks_like_voc, "XML files"},
                               {"yolo", looks_like_yolo, "YOLO text files"},
                               {"coco", looks_like_coco, "a COCO file"},
                               {"mot", looks_like_mot, "gt/gt.txt"},
                               {"labelme", looks_like_labelme, "labelme files"}};

bool is_loose(const std::string& format, const std::string& dir) {
    return (format == "yolo" && has_labels_beside(dir)) || (format == "voc" && has_xml_beside(dir)) ||
           format == "labelme" || format == "mot";
}

class Search {
public:
    Search(const std::string& root, const std::string& format) : root_(root), format_(format) {}

    std::vector<Place> run() {
        look(root_, Role::whole, 0);
        // Class folders hold nothing but pictures: only where nothing else is, they are what was meant.
        if (places_.empty() && wanted("folder")) {
            entered_.clear();
            folders(root_, 0);
        }
        return std::move(places_);
    }

private:
    bool wanted(const char* format) const { return format_.empty() || format_ == format; }

    // Links may form circles.
    bool enter(const std::string& dir) {
        std::error_code error;
        return entered_.size() < most_folders &&
               entered_.insert(std::filesystem::weakly_canonical(dir, error).string()).second;
    }

    std::string format_at(const std::string& dir, const Listing& listing) const {
        // What says of itself what it is comes before what has to be recognised.
        if (wanted("tiny-imagenet") && looks_like_tiny_imagenet(dir)) return "tiny-imagenet";
        if (wanted("yolo") && !find_yolo_yaml(dir).empty()) return "yolo";
        const bool bare =
            listing.folders.empty() && std::all_of(listing.files.begin(), listing.files.end(), has_picture_ending);
        if (bare) return "";
        std::vector<const Layout*> fits;
        for (const Layout& l : labelled)
            if (wanted(l.format) && l.at(dir)) fits.push_back(&l);
        if (fits.size() > 1)
            fail_data(printable(dir, 300),
                      "two layouts in one directory, {} ({}) and {} ({}): format={} or format={} "
                      "(--format of `solobox data`) says which one counts",
                      fits[0]->format, fits[0]->sign, fits[1]->format, fits[1]->sign, fits[0]->format, fits[1]->format);
        if (!fits.empty()) return fits[0]->format;
        return wanted("masks") && looks_like_masks(dir) ? "masks" : "";
    }

    void look(const std::string& dir, Role role, int depth) {
        if (!enter(dir)) return;
        const Listing listing = list_directory(dir);
        if (const std::string format = format_at(dir, listing); !format.empty()) {
            const bool loose = is_loose(format, dir);
            // Labels that lie about beside folders of parts are no set of their own: the parts are.
            if (loose && depth < deepest) {
                const std::size_t before = places_.size();
                for (const std::string& name : listing.folders)
                    if (const Role own = role_of(name); own != Role::whole) look(join_path(dir, name), own, depth + 1);
                if (places_.size() > before) return;
            }
            places_.push_back({format, dir, role, loose});
            return;
        }
        if (depth == deepest) return;
        for (const std::string& name : listing.folders) {
            const Role own = role_of(name);
            look(join_path(dir, name), own == Role::whole ? role : own, depth + 1);
        }
    }

    void folders(const std::string& dir, int depth) {
        if (!enter(dir)) return;
        if (looks_like_image_folder(dir)) {
            places_.push_back({"folder", dir, Role::whole, false});
            return;
        }
        if (depth == deepest) return;
        for (const std::string& name : list_directory(dir).folders) folders(join_path(dir, name), depth + 1);
    }

    const std::string &root_, &format_;
    std::set<std::string> entered_;
    std::vector<Place> places_;
};

bool has_year(const std::string& dir) {
    static const std::regex year("(19|20)[0-9][0-9]");
    return std::regex_search(base_name(dir), year);
}

}  // namespace

std::vector<Place> find_places(const std::string& dir, const std::string& format) { return Search(dir, format).run(); }

std::string why_apart(const std::vector<Place>& places) {
    const auto named = [](const Place& p) { return fmt::format("{} ({})", printable(p.dir, 200), p.format); };
    for (const Place& p : places)
        if (p.format != places.front().format)
            return fmt::format("several data sets below: {} and {}: give the directory of one of them, or its format",
                               named(places.front()), named(p));
    const auto all = [&](auto holds) { return std::all_of(places.begin(), places.end(), holds); };
    const bool together = all([](const Place& p) { return p.role != Role::whole; }) ||
                          all([](const Place& p) { return p.loose; }) ||
                          (places.front().format == "voc" && all([](const Place& p) { return has_year(p.dir); }));
    if (places.size() == 1 || together) return "";
    return fmt::format(
        "several {} sets below: {} and {}: give the directory of one of them, or call them train and val",
        places.front().format, named(places[0]), named(places[1]));
}

}  // namespace solobox
