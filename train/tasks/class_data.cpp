// Where a classifier's pictures come from: class folders, tiny-ImageNet trees, shapes made in memory.
#include <algorithm>
#include <filesystem>

#include "data/image/image.h"
#include "data/sets/synthetic.h"
#include "train/step/data_setup.h"
#include "train/tasks/class_task.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {
namespace {

PictureStore::Options store_options(const Config& c, int shorter) {
    return {shorter, c.flag("antialias"), c.integer("cache_mb") << 20, c.flag("skip_bad"), true};
}

std::shared_ptr<const PictureStore> file_store(const Config& c, const std::vector<Sample>& samples, int shorter,
                                               std::vector<Tally>& tallies) {
    std::vector<StoredTarget> targets;
    std::vector<std::string> paths;
    for (const Sample& s : samples) {
        targets.push_back({std::filesystem::path(s.path).filename().string(), s.path, {}, s.class_id});
        paths.push_back(s.path);
    }
    const auto read = [paths](std::size_t i) { return read_image(paths[i]); };
    return std::make_shared<PictureStore>(std::move(targets), read, store_options(c, shorter), tallies);
}

std::shared_ptr<const PictureStore> shape_store(const Config& c, const SyntheticPart& part, int side,
                                                std::vector<Tally>& tallies) {
    std::vector<StoredTarget> targets;
    for (std::uint64_t i = 0; i < part.count; ++i) {
        const std::string name = fmt::format("shape {}", part.first + i);
        targets.push_back({name, name, {}, make_synthetic(0, part.first + i, 16).object.class_id});
    }
    const auto read = [part, side](std::size_t i) { return make_synthetic(0, part.first + i, side).image; };
    return std::make_shared<PictureStore>(std::move(targets), read, store_options(c, side), tallies);
}

std::vector<std::int64_t> per_class(const PictureStore& store, std::size_t classes) {
    std::vector<std::int64_t> count(classes);
    for (std::size_t i = 0; i < store.size(); ++i) ++count.at(static_cast<std::size_t>(store.target(i).class_id));
    return count;
}

// Every label within the list, every class on both sides: said now, not by an accuracy that nobody understands.
void check_classes(const ClassData& d, const std::string& place) {
    for (const auto& [part, store] : {std::pair{"training", d.train.get()}, std::pair{"validation", d.val.get()}}) {
        for (std::size_t i = 0; i < store->size(); ++i) {
            const StoredTarget& t = store->target(i);
            if (t.class_id < 0)
                throw DataError(
                    fmt::format("{}: has no class for the whole picture: a classifier needs a folder a class "
                                "(ImageFolder) or a tiny-imagenet tree",
                                t.path));
            if (t.class_id >= static_cast<int>(d.names.size()))
                throw DataError(fmt::format("{}: class {} of {}", t.path, t.class_id, d.names.size()));
        }
        const auto count = per_class(*store, d.names.size());
        const auto none = std::find(count.begin(), count.end(), 0);
        if (none != count.end())
            throw DataError(fmt::format("{}: class {} has no {} picture: both parts must hold the same classes", place,
                                        d.names[static_cast<std::size_t>(none - count.begin())], part));
    }
}

}  // namespace

ClassData load_class_data(const Config& c) {
    ClassData d;
    const std::string& place = c.text("data");
    if (place.empty())
        throw ConfigError("no data set: give data=DIRECTORY, or data=synthetic for shapes made in memory");
    const int side = static_cast<int>(c.integer("image")), shorter = shorter_side_of(side);
    std::vector<Tally> tallies;
    if (place == "synthetic") {
        d.source = "synthetic shapes, made in memory";
        d.names = shape_names();
        d.train = shape_store(c, synthetic_part(c, true), std::max(shorter, 16), tallies);
        d.val = shape_store(c, synthetic_part(c, false), std::max(shorter, 16), tallies);
    } else {
        const DataSet set = open_dataset(place, open_options(c));
        tallies = set.tallies;
        d.source = fmt::format("{} data set {}", set.format, place);
        d.names = set.classes;
        // Training crops look closer than the whole picture: twice the size that validation needs.
        d.train = file_store(c, limited(set.train, c, "train_images"), 2 * side, tallies);
        d.val = file_store(c, limited(set.val, c, "val_images"), shorter, tallies);
    }
    const auto classes = static_cast<std::int64_t>(d.names.size());
    if (c.integer("classes") != 0 && c.integer("classes") != classes)
        throw ConfigError(fmt::format("classes={} ({}), but {} has {}: leave the key out, or give that number",
                                      c.integer("classes"), c.at("classes").origin, place, classes));
    check_classes(d, place);
    // What the reader of boxes tells about boxes does not matter here.
    for (const Tally& t : tallies)
        if (t.what.find("box") == std::string::npos)
            d.notes.push_back(fmt::format("{}: {} (first: {})", t.what, t.count, t.example));
    const auto train = per_class(*d.train, d.names.size()), val = per_class(*d.val, d.names.size());
    const auto common = static_cast<std::size_t>(std::max_element(train.begin(), train.end()) - train.begin());
    d.common = static_cast<std::int64_t>(common);
    d.common_share = 100 * static_cast<double>(val[common]) / static_cast<double>(d.val->size());
    return d;
}

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
