// solobox data: look at data sets and write new ones. Here: what its verbs share, convert and synth.
#include <fmt/core.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "apps/data_verbs.h"
#include "data/image/image.h"
#include "data/sets/synthetic.h"
#include "data/sets/write_set.h"
#include "data/text.h"

namespace solobox {
namespace {

struct Writing {
    DataArguments in;
    std::string out, to;
    std::int64_t count = 200, val = 40, size = 128;
    std::uint64_t seed = 0;
};

ExitCode report(const Writing& a, const SetWriter& writer, const std::string& format) {
    if (a.in.json) {
        const nlohmann::ordered_json j{{"directory", a.out},
                                       {"format", format},
                                       {"pictures", writer.pictures()},
                                       {"boxes", writer.boxes()},
                                       {"crowds_left_out", writer.crowds_left_out()}};
        print_json(j);
    } else {
        fmt::print("{}: {} set of {} pictures and {} boxes\n", printable(a.out, 300), format, writer.pictures(),
                   writer.boxes());
    }
    return ExitCode::done;
}

ExitCode convert(const Writing& a) {
    const SetFormat format = set_format(a.to);
    const auto stop = stop_on_signal();
    Talk talk(a.in.quiet);
    const DataSet set = open_dataset(a.in.data, open_options(a.in));
    tell(talk, set);
    if (set.format == "folder" || set.format == "masks")
        throw ConfigError(fmt::format("{}: {} have no boxes to convert", printable(a.in.data, 300),
                                      set.format == "folder" ? "class folders" : "masks"));
    SetWriter writer(a.out, format, set.classes, &set);
    std::int64_t unlabelled = 0;
    for (const bool val : {false, true})
        for (const Sample& sample : val ? set.val : set.train) {
            stop();
            // Of a known class but without a box: not background, there is something in it.
            if (sample.class_id >= 0 && sample.objects.empty())
                ++unlabelled;
            else
                writer.add(val, sample);
        }
    writer.finish();
    if (unlabelled > 0) talk.line(fmt::format("  {} pictures of a class but without a box left out", unlabelled));
    if (writer.crowds_left_out() > 0)
        talk.line(fmt::format("  {} crowds left out: only COCO has them", writer.crowds_left_out()));
    return report(a, writer, a.to);
}

ExitCode synth(const Writing& a) {
    const auto stop = stop_on_signal();
    SetWriter writer(a.out, set_format(a.to), shape_names());
    for (std::int64_t i = 0; i < a.count + a.val; ++i) {
        stop();
        const auto made = make_synthetic(a.seed, static_cast<std::uint64_t>(i), static_cast<int>(a.size));
        const std::vector<std::uint8_t> png = encode_png(made.image);
        Sample sample;
        sample.width = made.image.width;
        sample.height = made.image.height;
        sample.objects = {made.object};
        writer.add(i >= a.count, fmt::format("{:06}.png", i),
                   std::string_view(reinterpret_cast<const char*>(png.data()), png.size()), sample);
    }
    writer.finish();
    return report(a, writer, a.to);
}

Option add_target_format(Command app, const char* name, std::string& to) {
    return app.option(name, to, "yolo | voc | coco").one_of({"yolo", "voc", "coco"});
}

}  // namespace

void add_data_arguments(Command app, DataArguments& a) {
    app.option("DIR", a.data, "the data set: its directory, its data.yaml, obj.data or COCO file")
        .required()
        .not_empty();
    app.option("--format", a.format, fmt::format("instead of finding out: {}", fmt::join(dataset_formats(), " | ")))
        .not_empty();
    app.option("--exif-boxes", a.exif_boxes, "frame of the labels of turned pictures, where sizes do not tell")
        .one_of({"detect", "stored", "upright"});
    app.option("--yolo-rows", a.yolo_rows, "what YOLO rows of more than five numbers are")
        .one_of({"detect", "polygons", "keypoints"});
    app.option("--class-base", a.class_base, "number of the first class in YOLO labels: 0 or 1").within(0, 1);
    app.option("--train-list", a.train_list, "text file of the names of the pictures to train on").not_empty();
    app.option("--val-list", a.val_list, "the same for validation; with one list the rest is the other part")
        .not_empty();
    app.option("--val-match", a.val_match, "regular expression: pictures whose path it finds are for validation")
        .not_empty();
    app.flag("--skip-bad", a.skip_bad, "leave out pictures and labels that cannot be used, and count them");
    app.flag("--json", a.json, "one JSON object on standard output");
    app.flag("-q,--quiet", a.quiet, "no talk on standard error");
}

OpenOptions open_options(const DataArguments& a) {
    OpenOptions options;
    options.format = a.format;
    options.skip_bad = a.skip_bad;
    options.exif_boxes = exif_boxes(a.exif_boxes);
    options.yolo_rows = yolo_rows(a.yolo_rows);
    options.class_base = static_cast<int>(a.class_base);
    options.train_list = a.train_list, options.val_list = a.val_list, options.val_match = a.val_match;
    return options;
}

void tell(Talk& talk, const DataSet& set) {
    talk.line(fmt::format("{}: {} set, {} classes, {} pictures to train on, {} to validate", printable(set.root, 300),
                          set.format, set.classes.size(), set.train.size(), set.val.size()));
    if (!set.split.empty()) talk.line("  split: " + set.split);
    for (const Tally& t : set.tallies) talk.line(fmt::format("  {}: {} (first: {})", t.what, t.count, t.example));
}

std::function<void()> stop_on_signal() {
    const std::atomic<int>* caught = &watch_signals();
    return [caught] {
        if (const int number = caught->load())
            throw Error("interrupted: nothing was written", static_cast<ExitCode>(128 + number));
    };
}

Verb add_data_convert(Command app) {
    auto a = std::make_shared<Writing>();
    add_data_arguments(app, a->in);
    app.option("NEWDIR", a->out, "new directory for the copy").required().not_empty();
    add_target_format(app, "--to", a->to).required();
    return [a] { return convert(*a); };
}

Verb add_data_synth(Command app) {
    auto a = std::make_shared<Writing>();
    a->to = "yolo";
    app.option("DIR", a->out, "new directory").required().not_empty();
    app.option("--count", a->count, "pictures to train on (default 200)").within(1, 1'000'000);
    app.option("--val", a->val, "pictures to validate on, beside those (default 40)").within(0, 1'000'000);
    app.option("--size", a->size, "side of the pictures in pixels (default 128)").within(16, 2048);
    app.option("--seed", a->seed, "another seed, other pictures (default 0)");
    add_target_format(app, "--format", a->to);
    app.flag("--json", a->in.json, "one JSON object on standard output");
    return [a] { return synth(*a); };
}

Verb add_data(Command app) {
    app.needs_command();
    auto verbs = std::make_shared<std::vector<std::pair<Command, Verb>>>();
    const auto add = [&](const char* name, const char* text, const char* example, Verb (*make)(Command)) {
        Command sub = app.command(name, text);
        sub.example(example);
        verbs->emplace_back(sub, make(sub));
    };
    add("check", "everything that is wrong with a data set, exit 0 or 3", "solobox data check photos", add_data_check);
    add("show", "a contact sheet with every box drawn", "solobox data show photos --out sheet.png", add_data_show);
    add("convert", "a copy in another format: yolo, voc or coco", "solobox data convert photos photos-coco --to coco",
        add_data_convert);
    add("synth", "a new set of synthetic pictures", "solobox data synth shapes --count 200", add_data_synth);
    return [verbs] {
        for (const auto& [sub, run] : *verbs)
            if (sub.given()) return run();
        return ExitCode::usage;
    };
}

}  // namespace solobox
