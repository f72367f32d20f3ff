// See yaml_guard.h. The parser's events are enough: no nodes are made.
#include "data/sets/yaml_guard.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <set>
#include <sstream>
#include <vector>

#include "data/text.h"

namespace solobox {
namespace {

constexpr int max_yaml_depth = 32;

// yaml-cpp recurses on every level, so the brackets and dashes are counted before it sees them.
void check_depth(std::string_view text, const std::string& file) {
    LineReader lines(text);
    int open = 0;
    for (std::string_view line; lines.next(line);) {
        int dashes = 0;
        for (const char c : line) {
            if (c == '[' || c == '{') ++open;
            if ((c == ']' || c == '}') && open > 0) --open;
            if (c == '-' || c == '?' || c == ':') ++dashes;
        }
        const auto indent = std::min(line.find_first_not_of(' '), line.size());
        if (open > max_yaml_depth || dashes > 200 || indent > 200)
            fail_line(file, lines.number(), "nesting deeper than {} levels", max_yaml_depth);
    }
}

class YamlGuard : public YAML::EventHandler {
public:
    explicit YamlGuard(const std::string& file) : file_(file) {}

    void OnDocumentStart(const YAML::Mark& mark) override {
        if (++documents_ > 1) fail(mark, "a second document: one file, one document");
    }
    void OnDocumentEnd() override {}
    void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override { value(mark, "", anchor, "", true); }
    void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
        fail(mark, "an alias (*name): write the value itself");
    }
    void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  const std::string& text) override {
        if (tag == "!") last_quoted_ = mark;
        value(mark, tag, anchor, text, true);
    }
    void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                         YAML::EmitterStyle::value) override {
        value(mark, tag, anchor, "", false);
        push(mark, false);
    }
    void OnSequenceEnd() override { levels_.pop_back(); }
    void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                    YAML::EmitterStyle::value) override {
        value(mark, tag, anchor, "", false);
        push(mark, true);
    }
    void OnMapEnd() override { levels_.pop_back(); }

    // The parser takes the end of the file for a closing quote; only the last quoted text can have run that far.
    void check_last_quote(std::string_view text) const {
        const auto start = static_cast<std::size_t>(last_quoted_.pos);
        if (last_quoted_.line < 0 || start >= text.size()) return;
        const char quote = text[start];
        if (quote != '"' && quote != '\'') return;
        for (std::size_t i = start + 1; i < text.size(); ++i) {
            if (quote == '"' && text[i] == '\\')
                ++i;
            else if (text[i] == quote && quote == '\'' && i + 1 < text.size() && text[i + 1] == quote)
                ++i;
            else if (text[i] == quote)
                return;
        }
        fail(last_quoted_, "a quote that is never closed");
    }

private:
    struct Level {
        bool map = false, key_next = false;
        std::set<std::string> keys;
    };

    template <class... Args>
    [[noreturn]] void fail(const YAML::Mark& mark, fmt::format_string<Args...> format, Args&&... args) const {
        fail_line(file_, mark.line + 1, format, std::forward<Args>(args)...);
    }

    void push(const YAML::Mark& mark, bool map) {
        if (static_cast<int>(levels_.size()) >= max_yaml_depth)
            fail(mark, "nesting deeper than {} levels", max_yaml_depth);
        levels_.push_back({map, map, {}});
    }

    void value(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, const std::string& text,
               bool scalar) {
        if (anchor != YAML::NullAnchor) fail(mark, "an anchor (&name): write every value where it is used");
        if (!tag.empty() && tag != "?" && tag != "!")
            fail(mark, "the tag {}: values are plain texts and numbers", printable(tag));
        if (levels_.empty()) {
            if (scalar && !text.empty()) fail(mark, "the top level is a text, expected a map of keys");
            return;
        }
        Level& level = levels_.back();
        if (!level.map) return;
        if (level.key_next) {
            if (!scalar) fail(mark, "a key that is a list or a map");
            if (text == "<<") fail(mark, "the merge key <<: write every key where it is used");
            if (!level.keys.insert(text).second) fail(mark, "the key {} stands twice (duplicate key)", printable(text));
        }
        level.key_next = !level.key_next;
    }

    const std::string& file_;
    int documents_ = 0;
    YAML::Mark last_quoted_ = YAML::Mark::null_mark();
    std::vector<Level> levels_;
};

// A tab where the indentation is: the most frequent fault, and yaml-cpp speaks of anything but the tab.
std::int64_t tab_line(std::string_view text) {
    LineReader lines(text);
    for (std::string_view line; lines.next(line);)
        if (const std::size_t at = line.find_first_not_of(' '); at != std::string_view::npos && line[at] == '\t')
            if (!trim(line).empty()) return lines.number();
    return 0;
}

}  // namespace

void guard_yaml(std::string_view text, const std::string& file) {
    text = strip_bom(text);
    require_text(text, file);
    check_depth(text, file);
    if (const std::int64_t line = tab_line(text))
        fail_line(file, line, "a tab in the indentation: YAML indents with blanks");
    std::istringstream in{std::string(text)};
    bool any = false;
    try {
        YAML::Parser parser(in);
        YamlGuard guard(file);
        while (parser.HandleNextDocument(guard)) any = true;
        guard.check_last_quote(text);
    } catch (const YAML::Exception& error) {
        const bool map = error.msg.find("end of map not found") != std::string::npos;
        fail_line(file, error.mark.line + 1, "not YAML: {}{}", printable(error.msg, 120),
                  map ? " (is the indentation of this line that of its neighbours?)" : "");
    }
    if (!any) fail_data(file, "the file is empty, expected a map of keys");
    YAML::Node root = YAML::Load(std::string(text));
    if (root.IsNull()) fail_data(file, "the file is empty, expected a map of keys");
    if (!root.IsMap()) fail_data(file, "the top level is not a map of keys");
}

std::vector<YamlEntry> yaml_entries(std::string_view text, const std::string& file) {
    guard_yaml(text, file);
    std::vector<YamlEntry> out;
    const YAML::Node root = YAML::Load(std::string(text));
    for (const auto& pair : root) {
        const YAML::Node& value = pair.second;
        YamlEntry entry;
        entry.key = pair.first.Scalar();
        entry.line = pair.first.Mark().line + 1;
        entry.kind = value.IsNull()       ? YamlEntry::Kind::nothing
                     : value.IsSequence() ? YamlEntry::Kind::list
                     : value.IsMap()      ? YamlEntry::Kind::map
                                          : YamlEntry::Kind::text;
        if (value.IsScalar()) entry.text = value.Scalar();
        if (value.IsSequence())
            for (const YAML::Node& item : value) {
                if (item.IsScalar()) entry.list.push_back(item.Scalar());
                entry.nested = entry.nested || !item.IsScalar();
            }
        out.push_back(std::move(entry));
    }
    return out;
}

}  // namespace solobox
