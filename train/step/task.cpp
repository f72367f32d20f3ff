// What tasks have in common unless they say otherwise.
#include "train/step/task.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "data/image/draw.h"
#include "data/text.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

std::vector<LayerRow> Task::layers(std::int64_t) const { return make_model({})->layers(); }

LiftVerdict Task::judge(double score, const std::vector<Blind>& blind, std::size_t) const {
    const TaskInfo t = info();
    if (blind.empty()) return {"INFO", fmt::format("{} {}", t.title, t.text(score)), "nothing to compare it with."};
    const double lift = score - blind.back().score;
    const std::string facts = fmt::format("{} {} against {} of {} ({:+.4f})", t.title, t.text(score),
                                          t.text(blind.back().score), blind.back().title, lift);
    if (!(lift > 0.01 * t.full))  // NaN too
        return {"WARN", facts, "no more than an answer that never looks at the picture. It has learned nothing."};
    if (lift < 0.05 * t.full) return {"INFO", facts, "a little more than an answer that never looks at the picture."};
    return {"PASS", facts, "it has learned."};
}

double Task::answer_loss(const LossValue& loss) const { return static_cast<double>(loss.total.value().item()); }

std::string Task::describe_data(const Split& d) const {
    return fmt::format("data: {}: {} training and {} validation pictures", d.source, d.train->size(), d.val->size());
}

std::vector<std::string> Task::about(const Split&, const std::vector<Blind>& blind) const {
    std::vector<std::string> lines;
    for (const Blind& b : blind)
        lines.push_back(fmt::format("  {} never looks at a picture and reaches {} {}", b.title, info().title,
                                    info().text(b.score)));
    return lines;
}

ReportPicture Task::show(const Prediction& p, const Labels& truth, const Split&) const {
    ReportPicture shown;
    shown.score_name = info().title;
    if (!truth.objects.empty())
        shown.truth = truth.objects.front().box, shown.truth_points = truth.objects.front().points;
    if (!p.objects.empty()) shown.prediction = p.objects.front().box, shown.points = p.objects.front().points;
    if (needs() == Need::points) shown.truth.reset(), shown.prediction.reset();
    return shown;
}

std::string Task::words(const Prediction& p, const Image& picture, const Split& data) const {
    std::string text;
    for (const Scored& o : p.objects) {
        text += text.empty() ? "" : "; ";
        const auto k = static_cast<std::size_t>(o.class_id);
        if (data.classes.size() > 1 && k < data.classes.size()) text += printable(data.classes[k], 200) + " ";
        for (const KeyPoint& point : o.points)
            text += fmt::format("point {:.1f} {:.1f} ", point.x * picture.width, point.y * picture.height);
        if (needs() != Need::points)
            text += fmt::format("x {:.1f} to {:.1f}, y {:.1f} to {:.1f} ", (o.box.cx - o.box.w / 2) * picture.width,
                                (o.box.cx + o.box.w / 2) * picture.width, (o.box.cy - o.box.h / 2) * picture.height,
                                (o.box.cy + o.box.h / 2) * picture.height);
        text += fmt::format("of {}x{} pixels", picture.width, picture.height);
    }
    return text.empty() ? "nothing found" : text;
}

void Task::add_json(nlohmann::ordered_json& row, const Prediction& p, const Image& picture, const Split&) const {
    nlohmann::ordered_json objects = nlohmann::ordered_json::array();
    for (const Scored& o : p.objects) {
        nlohmann::ordered_json one{{"class", o.class_id}, {"score", o.score}};
        if (needs() != Need::points) one["box"] = {o.box.cx, o.box.cy, o.box.w, o.box.h};
        if (!o.points.empty()) {
            one["points"] = nlohmann::ordered_json::array();
            for (const KeyPoint& k : o.points)
                one["points"].push_back(
                    {{"x", k.x}, {"y", k.y}, {"pixels", {k.x * picture.width, k.y * picture.height}}});
        }
        objects.push_back(std::move(one));
    }
    row["objects"] = std::move(objects);
}

Graph Task::finish_graph(GraphBuilder& graph, const std::string& answer) const {
    return graph.finish(answer, "answer", {-1});
}

OverfitRules Task::overfit_rules(const Split&, const std::vector<Blind>& blind) const {
    OverfitRules rules;
    const double full = info().full;
    rules.enough = {0.985 * full, 0.95 * full, 1e300};
    rules.pass = {0.95 * full, 0.90 * full, 1e300};
    rules.start = blind.empty() ? 0 : blind.back().score;
    rules.gain = 0.02 * full;
    return rules;
}

OverfitWords Task::overfit_words(const Learned& l, const std::vector<Blind>& blind) const {
    const TaskInfo t = info();
    const OverfitRules rules = overfit_rules({}, blind);
    const double never = blind.empty() ? NAN : blind.back().score;
    const std::string best = blind.empty() ? "nothing" : blind.back().title;
    OverfitWords w;
    w.learned = fmt::format("mean {} {} and smallest {}", t.title, t.text(l.score), t.text(l.worst));
    w.missing = fmt::format("mean {} {} (needs {}), smallest {} (needs {}); {} reaches {}", t.title, t.text(l.score),
                            t.text(rules.pass.score), t.text(l.worst), t.text(rules.pass.worst), best, t.text(never));
    w.short_of = fmt::format("mean {} {}", t.title, t.text(l.score));
    w.scores = fmt::format("mean {} {}, smallest {}", t.title, t.text(l.score), t.text(l.worst));
    w.line =
        fmt::format("mean {} {}, smallest {} ({} {})", t.title, t.text(l.score), t.text(l.worst), best, t.text(never));
    w.progress =
        fmt::format("mean {} {} ({} {})  min {}", t.title, t.text(l.score), best, t.text(never), t.text(l.worst));
    w.measure = w.short_of;
    w.summary = {{"mean " + t.title, t.text(l.score)}, {"smallest " + t.title, t.text(l.worst)}};
    w.numbers = {{"mean_" + t.name, l.score}, {"min_" + t.name, l.worst}};
    for (const Blind& b : blind)
        w.summary.emplace_back(b.title, t.text(b.score)), w.numbers.emplace_back(b.name, b.score);
    return w;
}

std::vector<std::pair<std::string, double>> Task::overfit_columns(const Learned& l,
                                                                  const std::vector<Blind>& blind) const {
    const TaskInfo t = info();
    std::vector<std::pair<std::string, double>> columns{{"metrics/" + t.name, l.score},
                                                        {"metrics/min_" + t.name, l.worst}};
    for (const Blind& b : blind) columns.emplace_back("metrics/" + b.name, b.score);
    return columns;
}

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
