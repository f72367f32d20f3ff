#include "train/metrics/class_meter.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "train/metrics/metrics.h"

namespace solobox {
namespace {

std::string text_of(const ReportTable& t) {
    std::vector<std::size_t> width;
    for (const std::string& name : t.header) width.push_back(name.size());
    for (const auto& row : t.rows)
        for (std::size_t c = 0; c < row.size(); ++c) width[c] = std::max(width[c], row[c].size());
    const auto line = [&](const std::vector<std::string>& cells) {
        std::string out;
        for (std::size_t c = 0; c < cells.size(); ++c)
            out += c == 0 ? fmt::format("{:<{}}", cells[c], width[c]) : fmt::format("  {:>{}}", cells[c], width[c]);
        return out + "\n";
    };
    std::string text = fmt::format("\n{}\n", t.title) + line(t.header);
    for (const auto& row : t.rows) text += line(row);
    return text;
}

}  // namespace

std::vector<std::string> ClassMeter::columns() const {
    return {"val/acc1", "val/acc5", "metrics/chance", "metrics/blind_acc1", "metrics/val_images"};
}

void ClassMeter::add(const Prediction& p, const Labels& truth) {
    truth_.push_back(truth.class_id);
    answer_.push_back(std::max_element(p.classes.begin(), p.classes.end()) - p.classes.begin());
    right_.push_back(p.classes.at(static_cast<std::size_t>(truth.class_id)));
    scores_.insert(scores_.end(), p.logits.begin(), p.logits.end());
}

double ClassMeter::accuracy(std::int64_t k) const {
    return 100 * metrics::top_k_accuracy(metrics::label_ranks(scores_, classes(), truth_), k, classes());
}

Measured ClassMeter::result() const {
    const double chance = blind_.at(0).score, common = blind_.at(1).score, acc1 = accuracy(1), acc5 = accuracy(5);
    const double values[] = {acc1, acc5, chance, std::max(chance, common), static_cast<double>(truth_.size())};
    Measured m;
    const auto names = columns();
    for (std::size_t i = 0; i < names.size(); ++i) m.columns.emplace_back(names[i], values[i]);
    m.score = acc1;
    m.text = fmt::format("top-1 {:.2f} % (chance {:.2f} %), top-5 {:.2f} %{}", acc1, chance, acc5,
                         classes() <= 5 ? " (trivial)" : "");
    m.each = right_;
    m.figures = {{"acc5", acc5}};
    m.tables = tables();
    return m;
}

void ClassMeter::add_json(nlohmann::ordered_json& j, double loss) const {
    std::vector<std::vector<std::int64_t>> confusion(names_.size(), std::vector<std::int64_t>(names_.size()));
    for (std::size_t i = 0; i < truth_.size(); ++i)
        ++confusion[static_cast<std::size_t>(truth_[i])][static_cast<std::size_t>(answer_[i])];
    j["acc1"] = accuracy(1), j["acc5"] = accuracy(5), j["loss"] = loss;
    for (const Blind& b : blind_) j[b.name] = b.score;
    j["acc5_is_trivial"] = classes() <= 5;
    j["classes"] = names_;
    j["confusion"] = confusion;
}

std::string ClassMeter::words(double loss) const {
    std::string text = fmt::format(
        "top-1 {:.2f} %, top-5 {:.2f} %{}, loss {:.4f}\n"
        "without looking: chance {:.2f} %, always the commonest training class {:.2f} %\n",
        accuracy(1), accuracy(5), classes() <= 5 ? " (trivial)" : "", loss, blind_.at(0).score, blind_.at(1).score);
    for (const ReportTable& t : tables()) text += text_of(t);
    return text + "\n";
}

std::vector<ReportTable> ClassMeter::tables() const {
    constexpr std::size_t readable = 25;  // classes; a larger matrix is a list of its largest confusions
    metrics::Confusion confusion(classes());
    for (std::size_t i = 0; i < truth_.size(); ++i) confusion.add(truth_[i], answer_[i]);
    const auto at = [&](std::size_t t, std::size_t a) { return confusion.matrix()[t * names_.size() + a]; };
    const auto support = confusion.support();
    const auto each = confusion.per_class();
    ReportTable table{"Each class",
                      "Validation pictures. Recall: share of the class that was found; precision: share of the answers "
                      "that were right.",
                      {"class", "pictures", "recall", "precision", "F1"},
                      {},
                      {}};
    for (std::size_t k = 0; k < names_.size(); ++k) {
        table.rows.push_back({names_[k], std::to_string(support[k]), fmt::format("{:.3f}", each[k].recall),
                              fmt::format("{:.3f}", each[k].precision), fmt::format("{:.3f}", each[k].f1)});
        table.shades.push_back({0, 0, each[k].recall, each[k].precision, each[k].f1});
    }
    std::vector<ReportTable> out{std::move(table)};
    if (names_.size() <= readable) {
        ReportTable matrix{
            "Confusion", "A row a true class, a column an answer; numbers of validation pictures.", {"truth"}, {}, {}};
        for (std::size_t a = 0; a < names_.size(); ++a) matrix.header.push_back(names_[a]);
        for (std::size_t t = 0; t < names_.size(); ++t) {
            matrix.rows.push_back({names_[t]});
            matrix.shades.push_back({0});
            for (std::size_t a = 0; a < names_.size(); ++a) {
                matrix.rows.back().push_back(at(t, a) ? std::to_string(at(t, a)) : "");
                matrix.shades.back().push_back(
                    support[t] ? static_cast<double>(at(t, a)) / static_cast<double>(support[t]) : 0);
            }
        }
        out.push_back(std::move(matrix));
        return out;
    }
    std::vector<std::array<std::size_t, 2>> wrong;
    for (std::size_t t = 0; t < names_.size(); ++t)
        for (std::size_t a = 0; a < names_.size(); ++a)
            if (t != a && at(t, a) > 0) wrong.push_back({t, a});
    std::stable_sort(wrong.begin(), wrong.end(),
                     [&](const auto& x, const auto& y) { return at(x[0], x[1]) > at(y[0], y[1]); });
    ReportTable list{
        "Largest confusions", "Which class was most often taken for which.", {"truth", "answer", "pictures"}, {}, {}};
    for (std::size_t i = 0; i < std::min<std::size_t>(wrong.size(), 30); ++i)
        list.rows.push_back({names_[wrong[i][0]], names_[wrong[i][1]], std::to_string(at(wrong[i][0], wrong[i][1]))});
    out.push_back(std::move(list));
    return out;
}

}  // namespace solobox
