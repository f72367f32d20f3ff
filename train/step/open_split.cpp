#include "train/step/open_split.h"

#include <algorithm>
#include <filesystem>

#include "data/image/image.h"
#include "data/sets/parts.h"
#include "data/sets/synthetic.h"
#include "data/text.h"
#include "train/step/data_setup.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {
namespace {

// What the task does not learn from is not carried along.
Labels needed(Labels labels, Need need) {
    if (need == Need::picture_class) labels.objects.clear(), labels.mask = nullptr;
    if (need == Need::box || need == Need::boxes || need == Need::points) labels.class_id = -1;
    return labels;
}

// Why a picture cannot be learned from; "": it can.
std::string missing(const Sample& s, Need need) {
    const auto usable = [&](const Object& o) {
        return single_object({s.path, s.width, s.height, -1, {o}}).has_value();
    };
    const auto pointed = [](const Object& o) {
        return std::any_of(o.points.begin(), o.points.end(), [](const KeyPoint& p) { return p.visible > 0; });
    };
    if (need == Need::box || need == Need::points) {
        if (s.objects.empty()) return "pictures without an object left out";
        if (std::none_of(s.objects.begin(), s.objects.end(), usable))
            return "pictures without a usable object left out";
    }
    if (need == Need::points &&
        std::none_of(s.objects.begin(), s.objects.end(), [&](const Object& o) { return usable(o) && pointed(o); }))
        return "pictures without a key point left out";
    return "";
}

// The samples that the task can learn from; the others counted.
std::vector<Sample> learnable(const std::vector<Sample>& all, const Config& c, Need need, std::vector<Tally>& tallies) {
    std::vector<Sample> some;
    for (const Sample& s : all) {
        if (const std::string why = missing(s, need); !why.empty()) {
            count(tallies, why, s.path);
            continue;
        }
        if ((need == Need::box || need == Need::points) && s.objects.size() > 1) {
            if (c.text("box") == "error") (void)single_object(s, BoxPolicy::error);
            count(tallies,
                  c.text("box") == "first" ? "pictures with several objects (the first taken)"
                                           : "pictures with several objects (the largest taken)",
                  s.path);
        }
        some.push_back(s);
    }
    return some;
}

Labels labels_for(const Sample& s, const Task& task, const Recipe& recipe) {
    const Need need = task.needs();
    Labels labels;
    if (need == Need::picture_class) {
        labels.class_id = s.class_id;
        return labels;
    }
    labels = needed(labels_of(s), need);
    if (need == Need::points)
        std::erase_if(labels.objects, [](const Labelled& o) {
            return std::none_of(o.points.begin(), o.points.end(), [](const KeyPoint& p) { return p.visible > 0; });
        });
    if (recipe.settle) recipe.settle(labels);
    return labels;
}

Labels synthetic_labels(const SyntheticSample& s, const Task& task) {
    const Object& o = s.object;
    const double w = s.image.width, h = s.image.height;
    const UnitBox box{(o.x1 + o.x2) / 2 / w, (o.y1 + o.y2) / 2 / h, (o.x2 - o.x1) / w, (o.y2 - o.y1) / h};
    // The one key point of a shape is its middle.
    return needed({{{box, o.class_id, false, {{box.cx, box.cy, 2}}}}, o.class_id, nullptr}, task.needs());
}

Labels without_points(Labels labels, Need need) {
    if (need != Need::points)
        for (Labelled& o : labels.objects) o.points.clear();
    return labels;
}

PictureStore::Options store_options(const Config& c, const Recipe& recipe, const Extent& largest, bool training,
                                    bool synthetic) {
    PictureStore::Options o = storage(recipe, largest, training);
    o.cache_bytes = c.integer("cache_mb") << 20;
    o.skip_bad = !synthetic && c.flag("skip_bad");
    return o;
}

std::shared_ptr<const PictureStore> synthetic_store(const Config& c, const Task& task, bool training,
                                                    const Extent& largest, std::vector<Tally>& tallies) {
    const SyntheticPart part = synthetic_part(c, training);
    const Recipe recipe = task.recipe(false, 0);
    const PictureStore::Options options = store_options(c, recipe, largest, false, true);
    const int drawn =
        std::max(recipe.fit == Fit::squeeze ? std::max(largest.height, largest.width) : options.height, 16);
    std::vector<StoredPicture> pictures;
    for (std::uint64_t i = 0; i < part.count; ++i) {
        const std::string name = fmt::format("shape {}", part.first + i);
        // A shape is drawn to know where it lies; what it is shows in the smallest drawing.
        const int side = task.needs() == Need::picture_class ? 16 : drawn;
        const SyntheticSample s = make_synthetic(0, part.first + i, side);
        pictures.push_back({name, name, without_points(synthetic_labels(s, task), task.needs())});
    }
    const auto read = [part, drawn](std::size_t i) { return make_synthetic(0, part.first + i, drawn).image; };
    return std::make_shared<PictureStore>(std::move(pictures), read, options, tallies);
}

std::shared_ptr<const PictureStore> file_store(const Config& c, const Task& task, const std::vector<Sample>& samples,
                                               bool training, const Extent& largest, std::vector<Tally>& tallies) {
    const Recipe recipe = task.recipe(training, 0);
    std::vector<StoredPicture> pictures;
    std::vector<std::string> paths;
    for (const Sample& s : samples) {
        pictures.push_back({std::filesystem::path(s.path).filename().string(), s.path, labels_for(s, task, recipe)});
        paths.push_back(s.path);
    }
    const auto read = [paths](std::size_t i) { return read_image(paths[i]); };
    return std::make_shared<PictureStore>(std::move(pictures), read, store_options(c, recipe, largest, training, false),
                                          tallies);
}

std::vector<std::string> notes_of(const std::vector<Tally>& tallies, Need need) {
    std::vector<std::string> notes;
    for (const Tally& t : tallies)
        // What the reader of boxes tells about boxes does not matter to whole pictures.
        if (need != Need::picture_class || (t.kind != TallyKind::box && t.kind != TallyKind::bad_box))
            notes.push_back(fmt::format("{}: {} (first: {})", t.what, t.count, t.example));
    return notes;
}

// A part without a picture to learn from, or to measure on, and why it has none.
void refuse_empty_parts(const std::string& place, const Task& task, std::size_t train, std::size_t val,
                        const std::vector<Tally>& tallies, const std::string& format = "") {
    if (task.needs() == Need::picture_class) return;
    if (train == 0 && format == "folder")
        throw DataError(
            fmt::format("{}: class folders have no boxes: a classifier learns from them (model=resnet18)", place));
    if (train == 0 && format == "masks")
        throw DataError(fmt::format("{}: pictures with masks have no boxes, and no task learns from masks yet", place));
    for (const auto& [name, n] : {std::pair{"training", train}, std::pair{"validation", val}}) {
        if (n > 0) continue;
        std::vector<Tally> refused;
        for (const Tally& t : tallies)
            if (t.kind == TallyKind::refused) refused.push_back(t);
        const std::string why = reasons_of(refused, 2);
        throw DataError(fmt::format("{}: no usable {} picture with a {} in it{}{}", place, name,
                                    task.needs() == Need::points ? "key point"
                                    : task.needs() == Need::mask ? "mask"
                                                                 : "box",
                                    why.empty() ? "" : ": ", why));
    }
}

Extent largest_of(const std::vector<Extent>& sizes) {
    Extent most;
    for (const Extent& s : sizes) most = {std::max(most.height, s.height), std::max(most.width, s.width)};
    return most;
}

}  // namespace

Split open_split(const Config& c, const Task& task) {
    Split d;
    const std::string& place = c.text("data");
    if (place.empty())
        throw ConfigError("no data set: give data=DIRECTORY, or data=synthetic for shapes made in memory");
    const Extent train_size = largest_of(task.sizes()), val_size = task.recipe(false, 0).size;
    std::vector<Tally> tallies;
    if (place == "synthetic") {
        d.source = "synthetic shapes, made in memory";
        d.classes = shape_names();
        if (task.needs() == Need::points) d.points = {1, {}};
        d.train = synthetic_store(c, task, true, train_size, tallies);
        d.val = synthetic_store(c, task, false, val_size, tallies);
    } else {
        const DataSet set = open_dataset(place, open_options(c));
        tallies = set.tallies;
        d.source = fmt::format("{} data set {}", set.format, place);
        d.classes = set.classes;
        d.points = set.points;
        if (task.needs() == Need::points && set.points.count == 0)
            throw DataError(fmt::format(
                "{}: its labels have no key points: a YOLO set names them with kpt_shape in its data.yaml", place));
        const auto some = [&](const std::vector<Sample>& all, const char* key) {
            return limited(learnable(all, c, task.needs(), tallies), c, key, task.needs() == Need::picture_class);
        };
        const std::vector<Sample> train = some(set.train, "train_images"), val = some(set.val, "val_images");
        refuse_empty_parts(place, task, train.size(), val.size(), tallies, set.format);
        if (!set.split.empty()) d.notes.push_back("split: " + set.split);
        if (const auto both = pictures_in_both(train, val); !both.empty()) {
            d.val_in_train = both.size();
            d.notes.push_back(
                fmt::format("the same pictures are in training and validation: {} of the {} validation "
                            "pictures are training pictures (first: {})",
                            both.size(), val.size(), both.front().second));
        }
        d.train = file_store(c, task, train, true, train_size, tallies);
        d.val = file_store(c, task, val, false, val_size, tallies);
    }
    refuse_empty_parts(place, task, d.train->size(), d.val->size(), tallies);
    for (std::string& note : notes_of(tallies, task.needs())) d.notes.push_back(std::move(note));
    task.check_data(d);
    return d;
}

Split one_batch_of(Split d, const Config& c) {
    const auto n = static_cast<std::size_t>(c.integer("batch"));
    d.train = std::make_shared<PictureStore>(d.train->some(n));
    d.val = std::make_shared<PictureStore>(d.val->some(n));
    return d;
}

namespace {

// Pictures for overfit from a data set: those of all parts in byte order of their paths, or of the training part one of
// each class in turn.
std::vector<Sample> overfit_candidates(DataSet& set, const Config& c, const Task& task) {
    if (task.overfits_all_pictures()) {
        std::vector<Sample> all = std::move(set.train);
        all.insert(all.end(), std::make_move_iterator(set.val.begin()), std::make_move_iterator(set.val.end()));
        std::sort(all.begin(), all.end(), [](const Sample& a, const Sample& b) { return a.path < b.path; });
        return learnable(all, c, task.needs(), set.tallies);
    }
    if (set.classes.size() < 2)
        throw DataError(fmt::format("{}: has {} classes: nothing to tell apart", set.root, set.classes.size()));
    if (c.integer("classes") != 0 && c.integer("classes") != std::ssize(set.classes))
        throw ConfigError(fmt::format("classes={}, but {} has {}", c.integer("classes"), set.root, set.classes.size()));
    std::vector<std::vector<const Sample*>> by_class(set.classes.size());
    std::size_t most = 0;
    for (const Sample& s : set.train) {
        if (s.class_id < 0)
            throw DataError(
                fmt::format("{}: has no class for the whole picture: a classifier needs a folder a class (ImageFolder) "
                            "or a tiny-imagenet tree",
                            s.path));
        auto& mine = by_class.at(static_cast<std::size_t>(s.class_id));
        mine.push_back(&s);
        most = std::max(most, mine.size());
    }
    std::vector<Sample> turns;
    for (std::size_t turn = 0; turn < most; ++turn)
        for (const auto& samples : by_class)
            if (turn < samples.size()) turns.push_back(*samples[turn]);
    return turns;
}

}  // namespace

OverfitData open_overfit(const Config& c, const Task& task, const std::string& place, const std::string& format,
                         std::int64_t n, bool skip_bad) {
    OverfitData out;
    const Recipe recipe = task.recipe(false, 0);
    std::vector<StoredPicture> known;
    if (place.empty()) {
        const int side = static_cast<int>(std::max<std::int64_t>(c.integer("image"), 16));
        for (std::int64_t i = 0; i < n; ++i) {
            SyntheticSample s = make_synthetic(0, static_cast<std::uint64_t>(i), side);
            const std::string name = fmt::format("shape {}", i + 1);
            known.push_back({name, name, without_points(synthetic_labels(s, task), task.needs())});
            out.pictures.push_back(std::move(s.image));
        }
        out.split.classes = shape_names();
        out.split.source = "synthetic shapes, made in memory";
        if (task.needs() == Need::points) out.split.points = {1, {}};
    } else {
        OpenOptions options = open_options(c);
        options.format = format;
        options.skip_bad = skip_bad;
        DataSet set = open_dataset(place, options);
        out.split.classes = set.classes;
        out.split.points = set.points;
        out.split.source = fmt::format("{} data set {}", set.format, place);
        std::int64_t bad = 0;
        if (set.format == "folder" || set.format == "masks")
            refuse_empty_parts(place, task, 0, 0, set.tallies, set.format);
        for (const Sample& s : overfit_candidates(set, c, task)) {
            if (std::ssize(out.pictures) == n) break;
            try {
                out.pictures.push_back(read_image(s.path));
                known.push_back(
                    {std::filesystem::path(s.path).filename().string(), s.path, labels_for(s, task, recipe)});
            } catch (const DataError& e) {
                if (!skip_bad)
                    throw DataError(
                        fmt::format("{}\nThis picture cannot be used: mend or remove it, or leave such pictures out "
                                    "with --skip-bad.",
                                    e.what()));
                ++bad;
                out.split.notes.push_back(fmt::format("left out: {}", e.what()));
            }
        }
        if (bad) out.split.notes.push_back(fmt::format("{} left out, {} used", bad, out.pictures.size()));
        for (auto& note : notes_of(set.tallies, task.needs())) out.split.notes.push_back(std::move(note));
        if (std::ssize(out.pictures) < n)
            throw DataError(fmt::format("{}: {} usable pictures{}, asked for {}: {}another data set", place,
                                        out.pictures.empty() ? "no" : fmt::format("only {}", out.pictures.size()),
                                        bad ? fmt::format(" ({} left out)", bad) : "", n,
                                        out.pictures.empty() ? "`solobox data check` says why, or take "
                                                             : fmt::format("use -n {} or ", out.pictures.size())));
    }
    std::vector<Tally> unused;
    // The pictures themselves are at hand: nothing needs to be kept in another size.
    PictureStore::Options options = storage(recipe, recipe.size, false);
    options.cache_bytes = 0;
    const auto& pictures = out.pictures;
    const auto store = std::make_shared<PictureStore>(
        std::move(known), [copy = pictures](std::size_t i) { return copy.at(i); }, options, unused);
    out.split.train = out.split.val = store;
    return out;
}

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
