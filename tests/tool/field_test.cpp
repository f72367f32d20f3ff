// Stories of people with their files: weights in other dialects, data that moved, a validation on training pictures,
// rates that are far off. Through the program, as they would.
#include <bit>
#include <cmath>
#include <cstring>

#include "nn/checkpoint.h"
#include "nn/safetensors.h"
#include "tests/support/program.h"
#include "tests/support/small_runs.h"
#include "train/step/data_setup.h"

namespace solobox {
namespace {

namespace fs = std::filesystem;
using fixtures::Answer;
using fixtures::has;
using fixtures::run_program;
using fixtures::TemporaryDirectory;

std::vector<std::string> small_training(const std::string& place, const std::vector<std::string>& more = {}) {
    std::vector<std::string> words{"train",     "data=synthetic", "train_images=16", "val_images=8", "image=32",
                                   "hidden=16", "epochs=1",       "--out",           place,          "--threads",
                                   "1"};
    words.insert(words.end(), more.begin(), more.end());
    return words;
}

// The tensors of a run's best weights as another program would have saved them.
SafetensorsFile exported(const TemporaryDirectory& dir) {
    EXPECT_EQ(run_program(small_training(dir / "a", {"-q"})).code, 0);
    EXPECT_EQ(
        run_program({"model", "export", dir / "a", "--format", "safetensors", "--out", dir / "w.safetensors"}).code, 0);
    SafetensorsFile file = read_safetensors(dir / "w.safetensors");
    file.metadata.clear();
    return file;
}

TEST(Field, WeightsOfOtherProgramsAreReadInTheirDialects) {
    const TemporaryDirectory dir;
    const SafetensorsFile plain = exported(dir);
    const auto start = [&](const SafetensorsFile& file, const std::string& name) {
        write_safetensors(dir / (name + ".safetensors"), file);
        return run_program(small_training(dir / name, {"weights=" + dir / (name + ".safetensors")}));
    };
    for (const char* wrapper : {"module.", "_orig_mod.", "module.model.", "net."}) {
        SafetensorsFile file;
        for (const auto& [name, t] : plain.tensors) file.tensors[wrapper + name] = t;
        const Answer a = start(file, std::string("wrapped-") + wrapper);
        EXPECT_EQ(a.code, 0) << wrapper << a.err;
        EXPECT_TRUE(has(a.err, "all its names begin with")) << a.err;
    }
    // Half the names only: another model.
    SafetensorsFile half = plain;
    const auto first = half.tensors.extract(half.tensors.begin());
    half.tensors["module." + first.key()] = first.mapped();
    EXPECT_EQ(start(half, "half").code, 3);
    SafetensorsFile bfloat;
    for (const auto& [name, t] : plain.tensors) {
        RawTensor raw{t.dtype == "F32" ? "BF16" : t.dtype, t.shape, {}};
        for (std::size_t i = 0; i < t.bytes.size(); ++i)
            if (t.dtype != "F32" || i % 4 >= 2) raw.bytes.push_back(t.bytes[i]);
        bfloat.tensors[name] = raw;
    }
    EXPECT_EQ(start(bfloat, "bfloat").code, 0);
    const Answer pickle = run_program(small_training(
        dir / "p", {"weights=" + dir.write("x.pt", std::string("\x80\x04\x95", 3) + std::string(99, 'x'))}));
    EXPECT_EQ(pickle.code, 3);
    EXPECT_TRUE(has(pickle.err, "safetensors.torch.save_file")) << pickle.err;
}

TEST(Field, HalfPrecisionIsExact) {
    const auto value = [](const char* dtype, std::uint16_t bits) {
        RawTensor raw{dtype, {1}, std::vector<std::byte>(2)};
        std::memcpy(raw.bytes.data(), &bits, 2);
        return static_cast<double>(from_raw(raw, "t")[0]);
    };
    EXPECT_EQ(value("F16", 0x3C00), 1);
    EXPECT_EQ(value("F16", 0xC500), -5);
    EXPECT_EQ(value("F16", 0x0001), std::ldexp(1.0, -24));
    EXPECT_EQ(value("F16", 0x03FF), std::ldexp(1023.0, -24));
    EXPECT_EQ(value("F16", 0x7BFF), 65504);
    EXPECT_TRUE(std::isinf(value("F16", 0x7C00)) && std::isnan(value("F16", 0x7E00)));
    EXPECT_TRUE(std::signbit(value("F16", 0x8000)));
    EXPECT_EQ(value("BF16", 0x3F80), 1);
    EXPECT_EQ(value("BF16", 0xC0A0), -5);
    EXPECT_TRUE(std::isinf(value("BF16", 0x7F80)));
}

TEST(Field, ARunGoesOnWhereItsDataAreNow) {
    const TemporaryDirectory dir;
    fixtures::write_shapes(dir, 12, 8);
    const std::string here = fs::current_path().string();
    // From a directory below, with a relative path.
    const Answer begun =
        run_program({"train", "data=" + fs::relative(dir / "set", here).string(), "image=32", "hidden=16", "epochs=2",
                     "batch=6", "--out", dir / "run", "-q", "--threads", "1"});
    ASSERT_EQ(begun.code, 0) << begun.err;
    EXPECT_TRUE(has(read_whole(dir / "run/args.yaml", 1 << 20), fs::canonical(dir / "set").string()));
    fs::rename(dir / "set", dir / "moved");
    Answer a = run_program({"extend", dir / "run", "--epochs", "3", "--threads", "1"});
    EXPECT_EQ(a.code, 3);
    EXPECT_TRUE(has(a.err, "--data DIRECTORY")) << a.err;
    a = run_program({"extend", dir / "run", "--epochs", "3", "--data", dir / "moved", "--threads", "1"});
    EXPECT_EQ(a.code, 0) << a.err;
    EXPECT_TRUE(has(read_whole(dir / "run/args.yaml", 1 << 20), "moved"));
    EXPECT_EQ(run_program({"resume", dir / "run", "--threads", "1"}).code, 0);
    // Another label: not the same data.
    dir.write("moved/labels/train/000.txt", "0 0.5 0.5 0.1 0.1\n");
    a = run_program({"resume", dir / "run", "--data", dir / "moved", "--threads", "1"});
    EXPECT_EQ(a.code, 3);
    EXPECT_TRUE(has(a.err, "not the one that this run was trained on")) << a.err;
}

TEST(Field, AValidationOnTrainingPicturesTakesNoVerdict) {
    const TemporaryDirectory dir;
    fixtures::write_shapes(dir, 12, 4);
    dir.write("set/data.yaml", "train: images/train\nval: images/train\nnames: [a, b, c, d, e, f]\n");
    const Answer a = run_program({"train", "data=" + dir / "set", "image=32", "hidden=16", "epochs=1", "batch=6",
                                  "--out", dir / "run", "--threads", "1"});
    ASSERT_EQ(a.code, 0) << a.err;
    EXPECT_TRUE(has(a.err, "12 of the 12 validation pictures are training pictures")) << a.err;
    EXPECT_TRUE(has(a.out, "what it has learned about others is not measured")) << a.out;
    EXPECT_FALSE(has(a.out, "it has learned to locate"));
    const Answer doctor = run_program({"doctor", dir / "run", "--json"});
    bool found = false;
    const nlohmann::json page = doctor.json();
    for (const auto& v : page["rules"]) found = found || (v["id"] == "D73" && v["severity"] == "FAIL");
    EXPECT_TRUE(found);
}

TEST(Field, FewPicturesOfEveryClass) {
    std::vector<Sample> all;
    for (int i = 0; i < 30; ++i) {
        Sample s;
        s.path = fmt::format("{:02}", i);
        s.class_id = i < 20 ? 0 : i < 28 ? 1 : i - 26;  // 20, 8, 1, 1
        all.push_back(s);
    }
    const auto counts = [&](int n, bool by_class) {
        Config config;
        config.set("val_images", std::to_string(n), "test");
        std::array<int, 4> out{};
        std::string before;
        for (const Sample& s : limited(all, config, "val_images", by_class)) {
            ++out[static_cast<std::size_t>(s.class_id)];
            EXPECT_LT(before, s.path);
            before = s.path;
        }
        return out;
    };
    using Counts = std::array<int, 4>;
    EXPECT_EQ(counts(4, true), (Counts{1, 1, 1, 1}));
    EXPECT_EQ(counts(9, true), (Counts{5, 2, 1, 1}));
    EXPECT_EQ(counts(29, true), (Counts{19, 8, 1, 1}));
    EXPECT_EQ(counts(30, true), (Counts{20, 8, 1, 1}));
    EXPECT_EQ(counts(2, true)[0] + counts(2, true)[1], 2);
    const Counts spread = counts(3, false);  // as they come
    EXPECT_EQ(spread[0] + spread[1], 3);
    EXPECT_THROW(counts(31, true), ConfigError);
}

TEST(Field, MeansOfBytesAreRefusedWithTheNumbersThatWereMeant) {
    for (const auto& [word, meant] : {std::pair{"mean=123.675,116.28,103.53", "mean=0.485,0.456,0.406"},
                                      {"std=58.395,57.12,57.375", "std=0.229,0.224,0.225"},
                                      {"mean=0,0,127.5", "mean=0,0,0.5"}}) {
        const Answer a = run_program(
            {"train", "model=resnet18", "stem=cifar", "data=synthetic", "image=32", "--fast-dev-run", word});
        EXPECT_EQ(a.code, 2) << word;
        EXPECT_TRUE(has(a.err, meant)) << a.err;
    }
    EXPECT_EQ(run_program({"train", "model=resnet18", "stem=cifar", "data=synthetic", "image=16", "train_images=24",
                           "batch=4", "val_images=24", "--fast-dev-run", "mean=0,0,0", "std=1,1,1"})
                  .code,
              0);
}

TEST(Field, TheRateIsNamedInEitherDirection) {
    const TemporaryDirectory dir;
    int n = 0;
    const auto verdict = [&](std::vector<std::string> more) {
        std::vector<std::string> words{"overfit", "image=32", "--threads", "1",
                                       "--json",  "-q",       "--out",     dir / std::to_string(n++)};
        words.insert(words.end(), more.begin(), more.end());
        const Answer a = run_program(words);
        std::string ids;
        const nlohmann::json page = a.json();
        for (const auto& f : page["findings"]) ids += f["id"].get<std::string>() + " ";
        return ids;
    };
    EXPECT_TRUE(verdict({"lr0=1e-7", "--steps", "60"}).starts_with("rate-too-small"));
    EXPECT_TRUE(verdict({"lr0=3e-7", "optimizer=Adam", "--steps", "40"}).starts_with("rate-too-small"));
    EXPECT_TRUE(verdict({"--steps", "16"}).starts_with("still-learning"));
    EXPECT_TRUE(
        verdict({"lr0=30", "optimizer=SGD", "clip=0", "norm=none", "--steps", "60"}).starts_with("rate-too-high"));
    EXPECT_TRUE(
        verdict({"lr0=90", "optimizer=SGD", "clip=0", "norm=none", "--steps", "40"}).starts_with("rate-too-high"));
    EXPECT_TRUE(verdict({"fault=cut", "--steps", "40"}).starts_with("detached"));
}

TEST(Field, ARateThatIsReachedByAWarmupIsNamedToo) {
    const TemporaryDirectory dir;
    // AdamW at 0.3: no sampled step is large, the norms between them are.
    const Answer a = run_program({"train", "data=synthetic", "image=32", "epochs=2", "train_images=400",
                                  "val_images=40", "lr0=0.3", "--out", dir / "run", "--threads", "1", "-q"});
    ASSERT_EQ(a.code, 0) << a.err;
    const Answer doctor = run_program({"doctor", dir / "run", "--json"});
    const nlohmann::json page = doctor.json();
    EXPECT_EQ(page["rules"][0]["id"], "D78") << page["rules"][0].dump();
    EXPECT_TRUE(has(page["rules"][0]["message"].get<std::string>(), "between steps"));
}

TEST(Field, HostileNamesInWeights) {
    const TemporaryDirectory dir;
    const auto refused = [&](const std::string& header) {
        std::string bytes(8, '\0');
        for (int i = 0; i < 8; ++i)
            bytes[static_cast<std::size_t>(i)] = static_cast<char>(header.size() >> (8 * i) & 0xff);
        const std::string path = dir.write("x.safetensors", bytes + header + std::string(4, '\0'));
        try {
            (void)read_safetensors(path);
        } catch (const DataError& e) {
            EXPECT_LT(std::string(e.what()).size(), 400U);
            return std::string(e.what());
        }
        return std::string();
    };
    const std::string entry = R"({"dtype":"F32","shape":[1],"data_offsets":[0,4]})";
    EXPECT_TRUE(has(refused("\xEF\xBB\xBF{\"a\":" + entry + "}"), "byte-order mark"));
    EXPECT_TRUE(has(refused(" {\"a\":" + entry + "}"), "begins with a blank"));
    EXPECT_TRUE(has(refused("{\"\":" + entry + "}"), "without a name"));
    EXPECT_TRUE(has(refused("{\"a\\u0000b\":" + entry + "}"), "control character"));
    EXPECT_TRUE(has(refused("{\"\\u001b[2J\":" + entry + "}"), "control character"));
    EXPECT_TRUE(has(refused("{\"" + std::string(100'000, 'a') + "\":" + entry + "}"), "100000 letters"));
}

}  // namespace
}  // namespace solobox
