// See xml_guard.h.
#include "data/sets/xml_guard.h"

#include <algorithm>
#include <string_view>
#include <vector>

#include "data/text.h"

namespace solobox {
namespace {

constexpr std::size_t max_xml_depth = 32;  // VOC needs 5
constexpr std::size_t most_attributes = 64;

bool is_name_start(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == ':' ||
           (static_cast<unsigned char>(c) & 0x80U);
}
bool is_name(char c) { return is_name_start(c) || (c >= '0' && c <= '9') || c == '-' || c == '.'; }

class XmlGuard {
public:
    XmlGuard(std::string_view text, const std::string& file, const std::string& root)
        : text_(text), file_(file), root_(root) {}

    void run() {
        while (at_ < text_.size()) {
            if (text_[at_] == '<')
                markup();
            else
                characters(std::min(text_.find('<', at_), text_.size()));
        }
        if (!open_.empty()) fail("unexpected end of the file: <{}> is not closed", printable(open_.back()));
        if (!root_seen_) fail("no root element: expected <{}>", root_);
    }

private:
    template <class... Args>
    [[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) const {
        const auto end = text_.begin() + static_cast<std::ptrdiff_t>(std::min(at_, text_.size()));
        fail_line(file_, std::count(text_.begin(), end, '\n') + 1, format, std::forward<Args>(args)...);
    }

    void characters(std::size_t end) {
        const std::string_view run = text_.substr(at_, end - at_);
        if (open_.empty() && !trim(run).empty()) {
            if (root_seen_) fail("text after the root element");
            fail("not XML: it begins with \"{}\"", printable(trim(run), 20));
        }
        references(run);
        at_ = end;
    }

    void references(std::string_view run) const {
        for (std::size_t i = run.find('&'); i != std::string_view::npos; i = run.find('&', i + 1)) {
            const std::size_t end = run.find(';', i);
            const std::string_view name = end == std::string_view::npos ? "" : run.substr(i + 1, end - i - 1);
            if (name == "amp" || name == "lt" || name == "gt" || name == "quot" || name == "apos") continue;
            if (name.empty() || name.size() > 32) fail("a bare & (no entity): write &amp;");
            if (name[0] != '#') fail("undefined entity &{};", printable(name));
            check_number(name.substr(1));
        }
    }

    void check_number(std::string_view digits) const {
        const bool hex = !digits.empty() && digits[0] == 'x';
        if (hex) digits.remove_prefix(1);
        std::uint32_t code = 0;
        for (const char c : digits) {
            const std::size_t value = std::string_view("0123456789abcdef").find(lower({&c, 1}));
            if (value >= (hex ? 16U : 10U) || code > 0x110000) fail("broken character entity");
            code = code * (hex ? 16 : 10) + static_cast<std::uint32_t>(value);
        }
        const bool control = code < 0x20 && code != 9 && code != 10 && code != 13;
        if (digits.empty() || control || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000))
            fail("broken character entity");
    }

    void markup() {
        const std::string_view rest = text_.substr(at_);
        if (rest.starts_with("<!--")) return skip("-->", 4, "comment");
        if (rest.starts_with("<?")) return skip("?>", 2, "processing instruction");
        if (rest.starts_with("<![CDATA[")) {
            if (open_.empty()) fail("CDATA outside the root element");
            return skip("]]>", 9, "CDATA section");
        }
        if (lower(rest.substr(0, 9)) == "<!doctype")
            fail("DOCTYPE (entity) declarations are refused: remove the DOCTYPE");
        if (rest.starts_with("<!")) fail("unexpected declaration <!");
        if (rest.starts_with("</")) return close_tag();
        open_tag();
    }

    void skip(std::string_view end, std::size_t from, const char* what) {
        const std::size_t found = text_.find(end, at_ + from);
        if (found == std::string_view::npos) fail("unexpected end of the file in a {}", what);
        at_ = found + end.size();
    }

    std::string_view name() {
        const std::size_t start = at_;
        if (at_ < text_.size() && !is_name_start(text_[at_])) fail("a tag without a name (bare <): write &lt;");
        while (at_ < text_.size() && is_name(text_[at_])) ++at_;
        return text_.substr(start, at_ - start);
    }

    void blanks() {
        while (at_ < text_.size() && trim(text_.substr(at_, 1)).empty()) ++at_;
    }

    void close_tag() {
        at_ += 2;
        const std::string_view tag = name();
        blanks();
        if (at_ >= text_.size()) fail("unexpected end of the file in a tag");
        if (text_[at_] != '>') fail("broken end tag </{}", printable(tag));
        if (open_.empty()) fail("end tag </{}> without a start", printable(tag));
        if (open_.back() != tag) fail("end tag </{}> does not match <{}>", printable(tag), printable(open_.back()));
        open_.pop_back();
        ++at_;
    }

    void open_tag() {
        ++at_;
        const std::string_view tag = name();
        if (open_.empty() && root_seen_) fail("a second root element <{}> after the root", printable(tag));
        if (!root_seen_ && tag != root_) fail("root element is <{}>, expected <{}>", printable(tag), root_);
        root_seen_ = true;
        std::vector<std::string_view> attributes;
        for (;;) {
            blanks();
            if (at_ >= text_.size()) fail("unexpected end of the file in a tag");
            if (text_[at_] == '>' || text_.substr(at_).starts_with("/>")) break;
            const std::string_view own = attribute(tag);
            if (std::find(attributes.begin(), attributes.end(), own) != attributes.end())
                fail("the attribute {} stands twice in <{}>", printable(own), printable(tag));
            if (attributes.size() == most_attributes) fail("more than {} attributes in a tag", most_attributes);
            attributes.push_back(own);
        }
        if (text_[at_] == '>') {
            open_.push_back(tag);
            if (open_.size() > max_xml_depth)
                fail("nesting deeper than {} elements (objects are not nested so)", max_xml_depth);
        } else {
            ++at_;
        }
        ++at_;
    }

    std::string_view attribute(std::string_view tag) {
        if (!is_name_start(text_[at_])) fail("broken tag <{}", printable(tag));
        const std::string_view own = name();
        blanks();
        if (at_ >= text_.size() || text_[at_] != '=') fail("broken attribute in tag <{}>", printable(tag));
        ++at_;
        blanks();
        const char quote = at_ < text_.size() ? text_[at_] : '\0';
        const std::size_t end = text_.find(quote, at_ + 1);
        if ((quote != '"' && quote != '\'') || end == std::string_view::npos)
            fail("broken attribute in tag <{}>", printable(tag));
        references(text_.substr(at_ + 1, end - at_ - 1));
        at_ = end + 1;
        return own;
    }

    std::string_view text_;
    const std::string& file_;
    const std::string& root_;
    std::size_t at_ = 0;
    bool root_seen_ = false;
    std::vector<std::string_view> open_;
};

// The encoding named by <?xml ... encoding="..."?>, lower case; "" when there is none.
std::string declared_encoding(std::string_view text) {
    if (!text.starts_with("<?xml")) return "";
    const std::string_view head = text.substr(0, std::min(text.find("?>"), std::size_t{200}));
    const std::size_t key = head.find("encoding");
    if (key == std::string_view::npos) return "";
    const std::size_t open = head.find_first_of("\"'", key);
    if (open == std::string_view::npos) return "";
    return lower(head.substr(open + 1, head.find(head[open], open + 1) - open - 1));
}

std::string from_latin1(std::string_view text) {
    std::string out;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x80) {
            out += c;
        } else {
            out += static_cast<char>(0xC0U | (byte >> 6U));
            out += static_cast<char>(0x80U | (byte & 0x3FU));
        }
    }
    return out;
}

}  // namespace

std::string guard_xml(std::string text, const std::string& file, const std::string& root) {
    if (trim(text).empty()) fail_data(file, "the file is empty, expected <{}>", root);
    if (text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF"))
        fail_data(file, "encoding UTF-16 is not supported: save it as UTF-8");
    if (text.starts_with("\xEF\xBB\xBF")) text.erase(0, 3);
    const auto line_at = [&](std::size_t i) {
        return std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(i), '\n') + 1;
    };
    if (const std::size_t i = find_control(text); i != std::string::npos)
        fail_line(file, line_at(i), "character 0x{:02X} is not allowed in XML", static_cast<unsigned char>(text[i]));
    const std::string encoding = declared_encoding(text);
    if (encoding == "iso-8859-1" || encoding == "latin1" || encoding == "latin-1")
        text = from_latin1(text);
    else if (!encoding.empty() && encoding != "utf-8" && encoding != "utf8" && encoding != "us-ascii" &&
             encoding != "ascii")
        fail_line(file, 1, "encoding {} is not supported: save it as UTF-8", printable(encoding));
    if (const std::size_t i = find_bad_utf8(text); i != std::string::npos)
        fail_line(file, line_at(i), "wrong encoding: byte 0x{:02X} is not UTF-8", static_cast<unsigned char>(text[i]));
    XmlGuard(text, file, root).run();
    return text;
}

}  // namespace solobox
