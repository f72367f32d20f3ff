// The shared collection's malformed configurations through `solobox train` itself: their keys are another program's, so
// they are rewritten into ours first. Where the collection is absent, the rows below stand alone.
#include <algorithm>
#include <map>
#include <sstream>

#include "data/text.h"
#include "tests/support/program.h"

namespace solobox {
namespace {

namespace fs = std::filesystem;
using fixtures::Answer;
using fixtures::has;
using fixtures::read_text;
using fixtures::run_program;
using fixtures::shared_directory;
using fixtures::TemporaryDirectory;

// Their sections are flat keys here; what has no meaning here is left out. Values stay as they are, byte by byte.
std::string in_our_words(const std::string& text, const std::string& data) {
    static const std::map<std::string, std::string> keys{{"name", "model"},
                                                         {"image_size", "image"},
                                                         {"width", "width_mult"},
                                                         {"format", "format"},
                                                         {"root", "data"},
                                                         {"lr", "lr0"},
                                                         {"batch_size", "batch"},
                                                         {"output", ""},
                                                         {"train", ""},
                                                         {"val", ""},
                                                         {"model", ""},
                                                         {"data", ""},
                                                         {"weight_decay", "weight_decay"}};
    std::stringstream lines(text);
    std::string out;
    for (std::string line; std::getline(lines, line);) {
        const std::size_t start = line.find_first_not_of(' '), colon = line.find(':');
        if (start == std::string::npos || colon == std::string::npos || line[start] == '#' || line[start] == '-') {
            out += line + "\n";
            continue;
        }
        const std::string key = line.substr(start, colon - start);
        std::string value = line.substr(colon + 1);
        const auto known = keys.find(key);
        const bool section = start == 0 && (key == "model" || key == "data" || key == "train");
        const std::size_t first = value.find_first_not_of(" \r");
        if (section && (first == std::string::npos || value[first] == '#')) continue;
        if (known != keys.end() && known->second.empty() && !section) continue;
        if (key == "root") value = " \"" + data + "\"";
        out += (known == keys.end() || section ? key : known->second) + ":" + value + "\n";
    }
    return out;
}

class BadConfigurations : public ::testing::Test {
protected:
    void SetUp() override { fixtures::write_small_yolo_set(dir_); }
    Answer train(const std::string& config) const {
        fs::remove_all(dir_ / "run");
        return run_program({"train", config, "workers=0", "hidden=8", "--out", dir_ / "run", "--threads", "1", "-q"});
    }
    const TemporaryDirectory dir_;
};

TEST_F(BadConfigurations, Own) {
    const std::string good = fmt::format("data: \"{}\"\nepochs: 1\nimage: 32\nbatch: 2\n", dir_.path());
    EXPECT_EQ(train(dir_.write("good.yaml", good)).code, 0);
    for (const auto& [text, part] : {std::pair<std::string, std::string>{"lr0: 1e-4x\n", "lr0"},
                                     {"epochs: 2\n", "epochs"},
                                     {"lr: [1, 2]\n", "lr"},
                                     {"bacth: 3\n", "batch"},
                                     {"base: nowhere.yaml\n", "nowhere.yaml"},
                                     {"base: bad.yaml\n", "bad.yaml"},
                                     {"optimizer: Lion\n", "AdamW"}}) {
        const Answer a = train(dir_.write("bad.yaml", good + text));
        SCOPED_TRACE(text + a.err);
        EXPECT_EQ(a.code, 2);
        EXPECT_TRUE(has(a.err, part));
        EXPECT_TRUE(has(a.err, "bad.yaml"));
        EXPECT_FALSE(fs::exists(dir_ / "run"));
    }
}

TEST_F(BadConfigurations, OfTheSharedCollection) {
    const std::string folder = shared_directory() + "/data/bad-text/";
    std::stringstream index(read_text(folder + "index.tsv"));
    if (index.str().empty()) GTEST_SKIP() << "shared corpus absent: own rows only";
    int accepted = 0, refused = 0;
    for (const auto& entry : fs::directory_iterator(folder + "yaml"))
        if (entry.is_regular_file())
            dir_.write(entry.path().filename().string(), in_our_words(read_text(entry.path().string()), dir_.path()));
    for (std::string line; std::getline(index, line);) {
        std::vector<std::string> row(7);
        std::stringstream fields(line);
        for (std::string& field : row) std::getline(fields, field, '\t');
        if (row[1] != "yaml" || row[6] != "keys") continue;
        const std::string name = fs::path(row[0]).filename().string();
        const Answer a = train(dir_ / name);
        SCOPED_TRACE(row[0] + " (" + row[2] + ", " + row[3] + "): " + a.err + read_text(dir_ / name));
        if (row[3] == "ok") {
            EXPECT_EQ(a.code, 0);
        } else if (row[3] == "refused") {
            EXPECT_TRUE(a.code == 2 || a.code == 3) << a.code;
        }
        ++(a.code == 0 ? accepted : refused);
        EXPECT_LT(a.code, 4);
        if (a.code == 0) {
            if (row[4].starts_with("lr = ")) {
                const std::string args = read_text(dir_ / "run/args.yaml");
                EXPECT_TRUE(has(args, "\nlr0: " + row[4].substr(5) + "  #"));
            }
            continue;
        }
        EXPECT_EQ(std::count(a.err.begin(), a.err.end(), '\n'), 1);
        EXPECT_EQ(find_control(a.err), std::string_view::npos);
        EXPECT_TRUE(has(a.err, ".yaml") || has(a.err, "data"));
        EXPECT_FALSE(fs::exists(dir_ / "run"));
    }
    std::printf("shared corpus: %d configurations accepted, %d refused\n", accepted, refused);
}

}  // namespace
}  // namespace solobox
