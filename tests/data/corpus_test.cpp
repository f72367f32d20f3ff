// The shared collections of malformed files: every row of their index.tsv must meet its outcome. They live outside the
// repository, so where they are absent this file says so and the other data tests stand alone.
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>

#include "data/image/image.h"
#include "data/sets/tiny_imagenet.h"
#include "data/sets/voc.h"
#include "data/sets/yolo.h"
#include "data/text.h"
#include "tests/support/fixtures.h"

namespace solobox {
namespace {

using fixtures::shared_directory;
using Row = std::vector<std::string>;

std::vector<Row> read_index(const std::string& path) {
    std::vector<Row> rows;
    std::ifstream file(path);
    std::string line;
    for (bool header = true; std::getline(file, line); header = false) {
        if (header) continue;
        Row row(8);
        std::size_t column = 0;
        std::stringstream fields(line);
        for (std::string field; column < row.size() && std::getline(fields, field, '\t'); ++column) row[column] = field;
        rows.push_back(row);
    }
    return rows;
}

// What a reader answered: the message of its DataError, or nothing when it was content.
std::optional<std::string> refusal_if_any(const std::function<void()>& read) {
    try {
        read();
    } catch (const DataError& error) {
        return error.what();
    }
    return std::nullopt;
}

void expect_good_message(const std::string& message, const std::string& file) {
    EXPECT_NE(message.find(file), std::string::npos) << message;
    EXPECT_LT(message.size(), 600U);
    EXPECT_EQ(find_control(message), std::string_view::npos) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
}

// "WxH mean r,g,b tol t" -> numbers, as many as there are.
std::vector<double> numbers(const std::string& text) {
    std::vector<double> out;
    for (std::size_t i = 0; i < text.size();) {
        const std::size_t start = text.find_first_of("0123456789", i);
        if (start == std::string::npos) break;
        const std::size_t end = std::min(text.find_first_not_of("0123456789.", start), text.size());
        out.push_back(parse_double(std::string_view(text).substr(start, end - start)).value_or(NAN));
        i = end;
    }
    return out;
}

void expect_reference(const Image& image, const std::string& ref) {
    const std::vector<double> want = numbers(ref);
    if (want.size() < 2) return;
    const bool as_stored = image.width == want[0] && image.height == want[1];
    const bool turned = image.width == want[1] && image.height == want[0];
    EXPECT_TRUE(as_stored || turned) << image.width << "x" << image.height << ", expected " << ref;
    if (want.size() < 6) return;
    double sum[3] = {0, 0, 0};
    for (std::size_t i = 0; i < image.rgb.size(); ++i) sum[i % 3] += image.rgb[i];
    for (std::size_t c = 0; c < 3; ++c)
        EXPECT_NEAR(sum[c] / (static_cast<double>(image.rgb.size()) / 3), want[2 + c], want[5]) << "channel " << c;
}

bool is_taken(const std::string& format) { return format == "jpg" || format == "png" || format == "bmp"; }

TEST(SharedCorpus, Images) {
    const std::string folder = shared_directory() + "/data/bad-images/";
    const std::vector<Row> rows = read_index(folder + "index.tsv");
    if (rows.empty()) GTEST_SKIP() << "shared corpus absent: own fixtures only";
    int decoded = 0, refused = 0;
    for (const Row& row : rows) {
        SCOPED_TRACE(row[0] + " (" + row[2] + ")");
        const auto start = std::chrono::steady_clock::now();
        Image image;
        const auto message = refusal_if_any([&] { image = read_image(folder + row[0]); });
        const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
        EXPECT_LT(took.count(), 5.0);
        if (std::getenv("SOLOBOX_CORPUS_VERBOSE") != nullptr)
            std::printf("%-8s %s -> %s\n", row[3].c_str(), row[0].c_str(), message ? message->c_str() : "decoded");
        if (message) {
            ++refused;
            expect_good_message(*message, row[0]);
            const bool by_name = !is_taken(row[1]);  // a picture of a kind we do not read
            EXPECT_TRUE(row[3] != "decodes" || by_name) << *message;
            if (by_name && row[3] == "decodes") {
                EXPECT_TRUE(message->find("not supported") != std::string::npos ||
                            message->find("not a picture this program reads") != std::string::npos)
                    << *message;
            }
        } else {
            ++decoded;
            EXPECT_NE(row[3], "refused");
            expect_reference(image, row[4]);
            EXPECT_EQ(image.rgb, read_image(folder + row[0]).rgb);
        }
    }
    std::printf("shared corpus: checked %zu rows (images: %d decoded, %d refused)\n", rows.size(), decoded, refused);
}

// ---- labels --------------------------------------------------------------------------------------------------------

// Words of the hint of which a message should speak at least of one ("line 1" is its own word).
bool speaks_of(const std::string& message, const std::string& hint) {
    if (hint.empty()) return true;
    const std::string low = lower(message), wanted = lower(hint);
    static const char* const synonyms[][2] = {{"normalised", "normalised"},   {"no box", "empty"},
                                              {"not finite", "finite"},       {"unexpected end", "end"},
                                              {"class id", "class id"},       {"line too long", "line"},
                                              {"number of fields", "fields"}, {"not text", "not text"}};
    for (const auto& pair : synonyms)
        if (wanted.find(pair[0]) != std::string::npos && low.find(pair[1]) != std::string::npos) return true;
    std::stringstream words(wanted);
    for (std::string word; words >> word;) {
        while (!word.empty() && std::string(",/().").find(word.back()) != std::string::npos) word.pop_back();
        if (word.size() > 2 && low.find(word) != std::string::npos) return true;
    }
    return false;
}

// What a file means, written like the column "value" for its numbers: class or name, then the box.
struct Meaning {
    std::vector<std::string> names;
    std::vector<std::vector<double>> boxes;
};

Meaning read_meaning(const std::string& kind, const std::string& file, const std::string& path) {
    std::vector<Tally> tallies;
    Meaning out;
    const std::string text = fixtures::read_text(path);
    const std::string base = file_stem(file);
    if (kind == "yolo") {
        for (const YoloBox& row : parse_yolo(text, path, Strictness::strict, tallies)) {
            out.names.push_back(std::to_string(row.class_id));
            out.boxes.push_back({row.box.cx, row.box.cy, row.box.w, row.box.h});
        }
    } else if (kind == "voc") {
        for (const VocObject& row : parse_voc(text, path, Strictness::strict, tallies).objects) {
            out.names.push_back(row.name);
            out.boxes.push_back({row.x1, row.y1, row.x2, row.y2});
        }
    } else if (base.starts_with("wnids")) {
        for (const std::string& wnid : parse_wnids(text, path)) {
            out.names.push_back(wnid);
            out.boxes.push_back({});
        }
    } else {
        const bool val = base.starts_with("val_annotations");
        const auto rows = val ? parse_val_annotations(text, path, Strictness::strict, tallies)
                              : parse_tiny_boxes(text, path, Strictness::strict, tallies);
        for (const TinyRow& row : rows) {
            out.names.push_back(row.picture);
            out.boxes.push_back({row.object.x1, row.object.y1, row.object.x2, row.object.y2});
        }
    }
    return out;
}

void expect_value(const std::string& kind, const std::string& value, const Meaning& got) {
    if (value == "no box") {
        EXPECT_TRUE(got.boxes.empty());
    }
    const std::vector<double> want = numbers(value);
    if (value.starts_with("the polygon's")) {
        ASSERT_EQ(got.boxes.size(), 1U);
        for (std::size_t i = 0; i < 4; ++i) EXPECT_NEAR(got.boxes[0][i], want[i], 1e-9);  // centre and size
        return;
    }
    if (want.empty() || value.find("box") == std::string::npos) return;
    if (!value.starts_with("1 box") && !value.starts_with("2 boxes") && !value.starts_with("3 classes")) return;
    ASSERT_EQ(static_cast<double>(got.boxes.size()), want[0]) << value;
    const std::size_t first = kind == "yolo" ? 2 : 1;  // yolo: "class 0," comes before the box
    if (want.size() < first + 4 || kind == "tiny") return;
    for (std::size_t i = 0; i < 4; ++i) EXPECT_DOUBLE_EQ(got.boxes[0][i], want[first + i]) << value;
    if (kind == "voc") {
        const std::size_t colon = value.find(": ");
        EXPECT_TRUE(value.substr(colon + 2).starts_with(got.names[0] + " ")) << value << " vs " << got.names[0];
    }
}

TEST(SharedCorpus, Labels) {
    const std::string folder = shared_directory() + "/data/bad-text/";
    const std::vector<Row> rows = read_index(folder + "index.tsv");
    if (rows.empty()) GTEST_SKIP() << "shared corpus absent: own fixtures only";
    int checked = 0, refused = 0;
    for (const Row& row : rows) {
        const std::string &file = row[0], &kind = row[1], &expected = row[3], &value = row[4], &hint = row[5];
        if ((kind != "yolo" && kind != "voc" && kind != "tiny") || row[6] != "syntax") continue;
        if (!is_file(folder + file)) continue;  // "not kept"; data_yolo_test makes its own million lines
        SCOPED_TRACE(file + " (" + row[2] + ")");
        const auto start = std::chrono::steady_clock::now();
        Meaning got;
        const auto message = refusal_if_any([&] { got = read_meaning(kind, file, folder + file); });
        const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
        EXPECT_LT(took.count(), 5.0);
        ++checked;
        if (std::getenv("SOLOBOX_CORPUS_VERBOSE") != nullptr)
            std::printf("%-8s %s [%s] -> %s\n", expected.c_str(), file.c_str(), hint.c_str(),
                        message ? message->c_str() : "read");
        if (message) {
            ++refused;
            expect_good_message(*message, file);
            EXPECT_NE(expected, "ok") << *message;
            if (expected == "refused") {
                EXPECT_TRUE(speaks_of(*message, hint)) << *message << " does not speak of: " << hint;
            }
            if (const std::size_t at = hint.find("line "); at != std::string::npos && expected == "refused") {
                const std::string line = hint.substr(at, hint.find_first_not_of("0123456789", at + 5) - at);
                EXPECT_NE(message->find(line + ":"), std::string::npos) << *message;
            }
        } else {
            EXPECT_NE(expected, "refused");
            expect_value(kind, value, got);
        }
    }
    EXPECT_GT(checked, 100);
    std::printf("shared corpus: checked %d rows (labels: %d read, %d refused)\n", checked, checked - refused, refused);
}

}  // namespace
}  // namespace solobox
