#include "train/step/data_setup.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "tensor/check.h"

namespace solobox {

OpenOptions open_options(const Config& c) {
    OpenOptions options;
    options.format = c.text("format") == "detect" ? "" : c.text("format");
    options.skip_bad = c.flag("skip_bad");
    options.val_fraction = c.number("val_fraction");
    options.exif_boxes = exif_boxes(c.text("exif_boxes"));
    options.yolo_rows = yolo_rows(c.text("yolo_rows"));
    options.class_base = static_cast<int>(c.integer("class_base"));
    options.train_list = c.text("train_list"), options.val_list = c.text("val_list");
    options.val_match = c.text("val_match");
    return options;
}

void check_enough(std::size_t wanted, std::size_t there, const char* key) {
    if (wanted > there) throw ConfigError(fmt::format("{}={}: the data set has {}", key, wanted, there));
}

std::vector<Sample> limited(std::vector<Sample> all, const Config& config, const char* key, bool by_class) {
    const auto n = static_cast<std::size_t>(config.integer(key));
    if (n == 0 || n == all.size()) return all;
    check_enough(n, all.size(), key);
    std::map<int, std::vector<std::size_t>> groups;
    for (std::size_t i = 0; i < all.size(); ++i) groups[by_class ? all[i].class_id : 0].push_back(i);
    struct Share {
        const std::vector<std::size_t>* places;
        double exact;
        std::size_t given;
    };
    std::vector<Share> shares;
    std::size_t given = 0;
    for (const auto& [id, places] : groups) {
        const double exact =
            static_cast<double>(n) * static_cast<double>(places.size()) / static_cast<double>(all.size());
        const auto whole = static_cast<std::size_t>(exact);
        shares.push_back({&places, exact, n >= groups.size() ? std::max<std::size_t>(whole, 1) : whole});
        given += shares.back().given;
    }
    // One more to whoever lacks most, one less to whoever has most too many.
    for (const bool more = given < n; given != n; more ? ++given : --given) {
        Share* next = nullptr;
        double furthest = 0;
        for (Share& s : shares) {
            const double miss = (s.exact - static_cast<double>(s.given)) * (more ? 1 : -1);
            if ((more ? s.given < s.places->size() : s.given > 1) && (next == nullptr || miss > furthest))
                next = &s, furthest = miss;
        }
        next->given += more ? 1 : -1;
    }
    std::vector<std::size_t> chosen;
    for (const Share& s : shares)
        for (std::size_t i = 0; i < s.given; ++i) chosen.push_back((*s.places)[i * s.places->size() / s.given]);
    std::sort(chosen.begin(), chosen.end());
    std::vector<Sample> some;
    for (const std::size_t i : chosen) some.push_back(std::move(all[i]));
    return some;
}

SyntheticPart synthetic_part(const Config& config, bool training) {
    SyntheticPart part = training ? synthetic_training_part : synthetic_validation_part;
    const std::int64_t n = config.integer(training ? "train_images" : "val_images");
    if (n > 0) part.count = static_cast<std::uint64_t>(n);
    return part;
}

}  // namespace solobox
