// solobox iou-lab: what each box loss does to a single box, as one page, a table and JSON. Compiled with Real = double,
// so that "exactly 0" is what the formula says and no rounding.
#include "train/lab/iou_lab.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "apps/apps.h"
#include "nn/safetensors.h"
#include "train/lab/page.h"
#include "train/step/training_schedule.h"

namespace solobox {
namespace {

using Json = nlohmann::ordered_json;

struct IouLabArguments {
    std::string target, size, rates, losses, schedule = "cosine", out = "runs/iou-lab/iou-lab.html";
    std::int64_t grid = LabSpec{}.grid, steps = LabSpec{}.steps;
    int threads = 0;
    bool json = false, quiet = false;
};

std::vector<double> numbers(const char* option, const std::string& text, std::size_t count, const char* what) {
    const std::vector<double> values = parse_numbers(option, text);
    if (count > 0 && values.size() != count)
        throw ConfigError(
            fmt::format("{} {}: found {} numbers, expected {}: {}", option, text, values.size(), count, what));
    return values;
}

std::vector<std::string> words(const std::string& text) {
    std::vector<std::string> out(1);
    for (const char c : text)
        if (c == ',')
            out.emplace_back();
        else
            out.back() += c;
    return out;
}

LabSpec spec_of(const IouLabArguments& a) {
    LabSpec spec;
    if (!a.target.empty()) {
        const auto t = numbers("--target", a.target, 4, "cx,cy,w,h");
        spec.target = {t[0], t[1], t[2], t[3]};
    }
    if (!a.size.empty()) {
        const auto s = numbers("--size", a.size, 2, "w,h");
        spec.width = s[0], spec.height = s[1];
    }
    if (!a.rates.empty()) spec.rates = numbers("--lr", a.rates, 0, "");
    if (!a.losses.empty()) spec.losses = words(a.losses);
    spec.grid = a.grid;
    spec.steps = a.steps;
    spec.cosine = a.schedule == "cosine";
    check_lab(spec);
    return spec;
}

// Found before anything is computed: a page that cannot be written is the user's typing error more often than a disk's.
void prepare(const std::string& out) {
    namespace fs = std::filesystem;
    if (fs::is_directory(out) || out.ends_with('/'))
        throw ConfigError(fmt::format("--out {}: is a directory, expected a file to write, such as {}", out,
                                      (fs::path(out) / "iou-lab.html").string()));
    const fs::path folder = fs::path(out).parent_path();
    std::error_code error;
    if (!folder.empty()) fs::create_directories(folder, error);
    if (error)
        throw IoError(fmt::format("--out {}: cannot make the directory {}: {}", out, folder.string(), error.message()));
}

Json json_of(const UnitBox& b) { return {b.cx, b.cy, b.w, b.h}; }

Json json_of(const LabField& f) {
    return {{"no_pull_share", f.still_share},     {"no_gradient_share", f.dead_share},
            {"disjoint_share", f.disjoint_share}, {"disjoint_no_pull_share", f.disjoint_still_share},
            {"smallest_pull", f.smallest},        {"largest_pull", f.largest},
            {"mean_cosine", f.mean_cosine}};
}

Json json_of(const LabRace& race, const std::vector<LabStart>& starts) {
    Json paths = Json::array();
    for (std::size_t i = 0; i < starts.size(); ++i) {
        const LabPath& p = race.paths[i];
        const auto maybe = [](const std::optional<std::int64_t>& v) { return v ? Json(*v) : Json(nullptr); };
        Json steps;
        for (std::size_t k = 0; k < lab_thresholds.size(); ++k)
            steps[fmt::format("{}", lab_thresholds[k])] = maybe(p.steps_to[k]);
        paths.push_back({{"start", starts[i].name},
                         {"steps_to_iou", steps},
                         {"final_iou", p.iou.back()},
                         {"first_overlap", maybe(p.touch)},
                         {"area_at_first_overlap", p.touch ? Json(p.area_at_touch) : Json(nullptr)},
                         {"floored", p.floored},
                         {"diverged", p.diverged}});
    }
    return {{"lr", race.rate},           {"final_mean_iou", race.final_iou()},
            {"floored", race.floored()}, {"diverged", race.diverged()},
            {"starts", paths},           {"mean_iou", race.mean_iou}};
}

Json json_of(const IouLab& lab, const std::string& out) {
    Json starts = Json::array(), losses = Json::array();
    for (const LabStart& s : lab.starts) starts.push_back({{"name", s.name}, {"box", json_of(s.box)}, {"iou", s.iou}});
    for (const LabLoss& loss : lab.losses) {
        Json rates = Json::array();
        for (const LabRace& r : loss.races) rates.push_back({{"lr", r.rate}, {"final_mean_iou", r.final_iou()}});
        losses.push_back({{"loss", loss.name},
                          {"centre", json_of(loss.centre)},
                          {"size", json_of(loss.size)},
                          {"best", json_of(loss.best_race(), lab.starts)},
                          {"same_lr", json_of(loss.races[lab.shared], lab.starts)},
                          {"rates", rates}});
    }
    return {{"page", out},
            {"target", json_of(lab.spec.target)},
            {"moved_size", {lab.spec.width, lab.spec.height}},
            {"grid", lab.spec.grid},
            {"steps", lab.spec.steps},
            {"schedule", lab.spec.cosine ? "cosine" : "constant"},
            {"same_lr", lab.spec.rates[lab.shared]},
            {"starts", starts},
            {"losses", losses}};
}

void print_table(const IouLab& lab) {
    fmt::print("{:<16} {:>8} {:>7} {:>6} {:>8}", "loss", "no pull", "cosine", "lr", "mean IoU");
    for (const LabStart& s : lab.starts) fmt::print(" {:>16}", s.name);
    fmt::print("\n");
    for (const LabLoss& loss : lab.losses) {
        const LabRace& race = loss.best_race();
        fmt::print("{:<16} {:>6.1f} % {:>7.3f} {:>6g} {:>8.3f}", loss.name, 100 * loss.centre.still_share,
                   loss.centre.mean_cosine, race.rate, race.final_iou());
        for (const LabPath& p : race.paths) fmt::print(" {:>16}", steps_text(p, "-"));
        fmt::print("\n");
    }
    fmt::print(
        "no pull: share of positions of a {:g} x {:g} box whose centre gets no gradient; cosine: of the others, with "
        "the way to the target\nstarts: steps of gradient descent to IoU {} at the best of {} rates (-: never within "
        "{})\n",
        lab.spec.width, lab.spec.height, fmt::join(lab_thresholds, " / "), lab.spec.rates.size(), lab.spec.steps);
}

ExitCode run(const IouLabArguments& a) {
    const LabSpec spec = spec_of(a);
    use_threads(a.threads);
    prepare(a.out);
    Talk talk(a.quiet);
    talk.line(fmt::format("{} losses on a free box: {} positions, {} steps at {} rates",
                          spec.losses.empty() ? lab_losses().size() : spec.losses.size(), spec.grid * spec.grid,
                          spec.steps, spec.rates.size()));
    const IouLab lab = run_iou_lab(spec);
    const std::string page = render_report(iou_lab_report(lab));
    const auto* begin = reinterpret_cast<const std::byte*>(page.data());
    write_file_atomically(a.out, {begin, begin + page.size()});
    if (a.json) {
        print_json(json_of(lab, a.out));
        return ExitCode::done;
    }
    print_table(lab);
    fmt::print("{}\n", a.out);
    return ExitCode::done;
}

}  // namespace

Verb add_iou_lab(Command app) {
    auto a = std::make_shared<IouLabArguments>();
    app.option("--target", a->target, "cx,cy,w,h of the box to be found, sides up to 0.5 (default 0.5,0.5,0.4,0.3)")
        .not_blank("cx,cy,w,h");
    app.option("--size", a->size, "w,h of the box that is moved over the picture (default 0.2,0.1)").not_blank("w,h");
    app.option("--losses", a->losses, "some of them, between commas (default: all)").not_blank("names of losses");
    app.option("--grid", a->grid, "positions along each side of a field, 5 to 41 (default 21)");
    app.option("--steps", a->steps, "steps of the race, 1 to 10000 (default 200)");
    app.option("--lr", a->rates,
               "rates to try, between commas; each loss gets its best (default 0.001 to 10 in steps of 1, 2, 5)")
        .not_blank("rates between commas");
    app.option("--schedule", a->schedule, "of the rate: cosine, which falls to 0, or constant (default cosine)")
        .one_of({"cosine", "constant"});
    app.option("--out", a->out, "the HTML page; written anew when it is there (default runs/iou-lab/iou-lab.html)")
        .not_empty();
    add_threads_option(app, a->threads);
    app.flag("--json", a->json, "one JSON object on standard output");
    app.flag("-q,--quiet", a->quiet, "no talk on standard error");
    return [a] { return run(*a); };
}

}  // namespace solobox
