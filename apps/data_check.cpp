// solobox data check: the lint of a data set, as text or JSON, and the mended copy.
#include <fmt/core.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "apps/data_verbs.h"
#include "data/sets/lint.h"
#include "data/sets/write_set.h"
#include "data/text.h"

namespace solobox {
namespace {

using Json = nlohmann::ordered_json;

struct DataCheckArguments {
    DataArguments in;
    std::string fix;
    bool quick = false;
};

Json spread_json(const Spread& s) { return {{"min", s.min}, {"median", s.median}, {"mean", s.mean}, {"max", s.max}}; }

Json split_json(const SplitCounts& counts, const std::vector<std::string>& classes) {
    Json per_class = Json::array();
    for (std::size_t i = 0; i < classes.size(); ++i)
        per_class.push_back(
            {{"class", classes[i]}, {"pictures", counts.pictures_of_class[i]}, {"boxes", counts.boxes_of_class[i]}});
    return {{"pictures", counts.pictures},     {"boxes", counts.boxes}, {"crowds", counts.crowds},
            {"background", counts.background}, {"masks", counts.masks}, {"classes", per_class}};
}

void print_lint_json(const LintReport& r, const DataCheckArguments& a, const std::string& fixed_as) {
    Json findings = Json::array();
    for (const Finding& f : r.findings)
        findings.push_back({{"severity", f.error ? "error" : "warning"},
                            {"kind", f.kind},
                            {"place", f.place},
                            {"message", f.message}});
    Json tallies = Json::array();
    for (const Tally& t : r.set.tallies)
        tallies.push_back({{"what", t.what}, {"count", t.count}, {"example", t.example}});
    Json unread = Json::array();
    for (const Unread& u : r.unread)
        unread.push_back({{"what", u.what}, {"count", u.count}, {"example", u.example}, {"expected", u.expected}});
    Json baseline;  // null: there is nothing to fit or to measure
    if (r.val_targets > 0)
        baseline = {{"val_pictures", r.val_targets},
                    {"mean_box_iou", r.mean_box_iou},
                    {"constant_box_iou", r.constant_box_iou}};
    const Json j{{"data", a.in.data},
                 {"format", r.set.format},
                 {"clean", r.errors() == 0},
                 {"errors", r.errors()},
                 {"warnings", r.warnings()},
                 {"classes", r.set.classes},
                 {"train", split_json(r.train, r.set.classes)},
                 {"val", split_json(r.val, r.set.classes)},
                 {"boxes",
                  {{"width", spread_json(r.box_width)},
                   {"height", spread_json(r.box_height)},
                   {"area", spread_json(r.box_area)},
                   {"width_pixels", spread_json(r.box_width_pixels)},
                   {"height_pixels", spread_json(r.box_height_pixels)}}},
                 {"baseline", baseline},
                 {"findings", findings},
                 {"duplicates", r.duplicates},
                 {"leaks", r.leaks},
                 {"near", r.near},
                 {"split", r.set.split},
                 {"not_read", unread},
                 {"quick", r.quick},
                 {"tallies", tallies},
                 {"fixed", a.fix.empty() ? Json() : Json{{"directory", a.fix}, {"format", fixed_as}}}};
    print_json(j);
}

void print_spread(const char* name, const Spread& s) {
    fmt::print("  {:<18} {:>9.3f} {:>9.3f} {:>9.3f} {:>9.3f}\n", name, s.min, s.median, s.mean, s.max);
}

void print_text(const LintReport& r) {
    const DataSet& set = r.set;
    fmt::print("{}: {} set, {} classes\n", printable(set.root, 300), set.format, set.classes.size());
    if (!set.split.empty()) fmt::print("split: {}\n", set.split);
    fmt::print("  {:<24} {:>10} {:>10} {:>10} {:>10}\n", "", "train", "boxes", "val", "boxes");
    fmt::print("  {:<24} {:>10} {:>10} {:>10} {:>10}\n", "all pictures", r.train.pictures, r.train.boxes,
               r.val.pictures, r.val.boxes);
    if (r.train.background + r.val.background > 0)
        fmt::print("  {:<24} {:>10} {:>10} {:>10} {:>10}\n", "  background", r.train.background, 0, r.val.background,
                   0);
    if (r.train.masks + r.val.masks > 0)
        fmt::print("  {:<24} {:>10} {:>10} {:>10} {:>10}\n", "  with a mask", r.train.masks, "", r.val.masks, "");
    for (std::size_t i = 0; i < set.classes.size(); ++i)
        fmt::print("  {:<24} {:>10} {:>10} {:>10} {:>10}\n", printable(set.classes[i], 24),
                   r.train.pictures_of_class[i], r.train.boxes_of_class[i], r.val.pictures_of_class[i],
                   r.val.boxes_of_class[i]);
    if (r.train.boxes + r.val.boxes > 0) {
        fmt::print("boxes                     smallest    median      mean   largest\n");
        print_spread("width / picture's", r.box_width);
        print_spread("height / picture's", r.box_height);
        print_spread("area / picture's", r.box_area);
        print_spread("width, pixels", r.box_width_pixels);
        print_spread("height, pixels", r.box_height_pixels);
    }
    if (r.val_targets > 0)
        fmt::print(
            "without looking at a picture, on the {} of val with a box: mean box IoU {:.3f}, best constant box IoU "
            "{:.3f}\n",
            r.val_targets, r.mean_box_iou, r.constant_box_iou);
    for (const Finding& f : r.findings)
        fmt::print("{}: {}: {} [{}]\n", f.place, f.error ? "error" : "warning", f.message, f.kind);
    for (const Unread& u : r.unread)
        fmt::print("not read: {} {} ({}{})\n", u.count, u.what, printable(base_name(u.example), 80),
                   u.count > 1 ? " .." : "");
    if (r.quick) fmt::print("quick: no picture was decoded\n");
    fmt::print("{}: {} errors, {} warnings\n", r.errors() == 0 ? "clean" : "not clean", r.errors(), r.warnings());
}

ExitCode check_data(const DataCheckArguments& a) {
    use_threads(a.in.threads);
    if (a.quick && !a.fix.empty()) throw ConfigError("--fix needs the pictures decoded: leave out --quick");
    if (!a.fix.empty()) require_new_directory(a.fix);  // before the long part
    const auto stop = stop_on_signal();
    Talk talk(a.in.quiet);
    const LintReport report = lint(
        a.in.data, open_options(a.in),
        [&](std::int64_t done, std::int64_t all) {
            stop();
            if (done == 0) return;
            talk.live(fmt::format("decoded {} of {} pictures", done, all));
        },
        a.quick ? Look::headers : Look::pixels);
    talk.end_live();
    std::string fixed_as;
    if (!a.fix.empty()) {
        std::vector<std::string> what;
        fixed_as = mend(report, a.fix, what, stop);
        talk.line(fmt::format("{}: mended copy, {} format", printable(a.fix, 300), fixed_as));
        for (const std::string& line : what) talk.line("  " + line);
    }
    if (a.in.json)
        print_lint_json(report, a, fixed_as);
    else
        print_text(report);
    return report.errors() == 0 ? ExitCode::done : ExitCode::data;
}

}  // namespace

Verb add_data_check(Command app) {
    auto a = std::make_shared<DataCheckArguments>();
    add_data_arguments(app, a->in);
    app.flag("--quick", a->quick, "labels and the headers of pictures, no pixel");
    app.option("--fix", a->fix, "write a copy without the bad items to this new directory").not_empty();
    add_threads_option(app, a->in.threads);
    return [a] { return check_data(*a); };
}

}  // namespace solobox
