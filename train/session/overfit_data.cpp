// What overfitting learns from, and the settings that it fixes.
#include <algorithm>
#include <filesystem>

#include "data/image/image.h"
#include "data/sets/dataset.h"
#include "data/sets/synthetic.h"
#include "train/config/faults.h"
#include "train/session/overfit.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {
namespace {

std::vector<std::string> notes_of(const std::vector<Tally>& tallies) {
    std::vector<std::string> notes;
    for (const Tally& t : tallies) notes.push_back(fmt::format("{}: {} (first: {})", t.what, t.count, t.example));
    return notes;
}

}  // namespace

OverfitPictures load_overfit_pictures(const std::string& dir, const std::string& format, std::int64_t n, bool skip_bad,
                                      const Config& config) {
    OverfitPictures out;
    if (dir.empty()) {
        const int size = static_cast<int>(std::max<std::int64_t>(config.integer("image"), 16));
        for (std::int64_t i = 0; i < n; ++i) {
            SyntheticSample s = make_synthetic(0, static_cast<std::uint64_t>(i), size);
            const double w = s.image.width, h = s.image.height;
            const UnitBox box{(s.object.x1 + s.object.x2) / 2 / w, (s.object.y1 + s.object.y2) / 2 / h,
                              (s.object.x2 - s.object.x1) / w, (s.object.y2 - s.object.y1) / h};
            out.pictures.push_back({fmt::format("shape {}", i + 1), std::move(s.image), box});
        }
        out.source = "synthetic shapes, made in memory";
        return out;
    }
    OpenOptions options;
    options.format = format;
    options.skip_bad = skip_bad;
    options.exif_boxes = config.text("exif_boxes") == "upright" ? ExifBoxes::upright : ExifBoxes::stored;
    DataSet set = open_dataset(dir, options);
    out.source = fmt::format("{} data set {}", set.format, dir);
    std::vector<Sample> all = std::move(set.train);
    all.insert(all.end(), std::make_move_iterator(set.val.begin()), std::make_move_iterator(set.val.end()));
    std::sort(all.begin(), all.end(), [](const Sample& a, const Sample& b) { return a.path < b.path; });
    const std::string& policy = config.text("box");
    const auto targets = usable(all,
                                policy == "first"   ? BoxPolicy::first
                                : policy == "error" ? BoxPolicy::error
                                                    : BoxPolicy::largest,
                                set.tallies);
    std::int64_t bad = 0;
    for (const Target& t : targets) {
        if (static_cast<std::int64_t>(out.pictures.size()) == n) break;
        try {
            out.pictures.push_back(
                {std::filesystem::path(t.sample.path).filename().string(), read_image(t.sample.path), t.box});
        } catch (const DataError& e) {
            if (!skip_bad)
                throw DataError(fmt::format(
                    "{}\nThis picture cannot be used: mend or remove it, or leave such pictures out with --skip-bad.",
                    e.what()));
            ++bad;
            out.notes.push_back(fmt::format("left out: {}", e.what()));
        }
    }
    if (bad) out.notes.push_back(fmt::format("{} left out, {} used", bad, out.pictures.size()));
    for (auto& note : notes_of(set.tallies)) out.notes.push_back(std::move(note));
    if (static_cast<std::int64_t>(out.pictures.size()) < n)
        throw DataError(fmt::format("{}: only {} usable pictures{}, asked for {}: use -n {} or another data set", dir,
                                    out.pictures.size(), bad ? fmt::format(" ({} left out)", bad) : "", n,
                                    std::max<std::size_t>(out.pictures.size(), 1)));
    return out;
}

void apply_overfit_settings(Config& config, std::int64_t n) {
    for (const ConfigKey& k : config_schema())
        if (k.training_only && !config.is_default(k.name))
            throw ConfigError(fmt::format("{}={} ({}) would be ignored: overfit has no such thing, `train` has", k.name,
                                          config.at(k.name).value, config.at(k.name).origin));
    refuse_harmless_fault(config, true);
    if (const std::string& s = config.text("schedule"); s != "cosine" && s != "constant")
        throw ConfigError(fmt::format("schedule={}: overfit knows cosine and constant only", s));
    const std::pair<std::string, std::string> fixed[] = {{"weight_decay", "0"},
                                                         {is_classifier(config) ? "label_smoothing" : "dropout", "0"},
                                                         {"batch", std::to_string(std::min<std::int64_t>(n, 16))}};
    for (const auto& [key, value] : fixed) {
        const ConfigValue& asked = config.at(key);
        if (!config.is_default(key) && parse_number(key, asked.value) != parse_number(key, value))
            throw ConfigError(fmt::format("{}={} ({}) would be ignored: overfit always uses {}={}", key, asked.value,
                                          asked.origin, key, value));
        config.set(key, value, "overfit");
    }
    if (is_classifier(config)) {
        if (config.is_default("image")) config.set("image", "64", "overfit");
        return;
    }
    // Under BatchNorm a head that starts far from the boxes can lose a picture for good (one in five runs did).
    if (config.text("head") == "regression" && config.is_default("head_bias") && config.text("decode") != "identity")
        config.set("head_bias", "prior", "overfit");
}

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
