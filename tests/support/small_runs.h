// Small sets of pictures, and training runs on them within the test's own process.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "data/image/image.h"
#include "data/sets/synthetic.h"
#include "tests/support/fixtures.h"
#include "train/run/table.h"
#include "train/session/overfit.h"
#include "train/session/session.h"
#include "train/step/weights.h"
#include "train/tasks/kinds.h"

namespace solobox::fixtures {

inline std::string text_at(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

// A YOLO set of shapes: train/ and val/ of its own.
inline void write_shapes(const TemporaryDirectory& dir, int train, int val) {
    dir.write("set/data.yaml", "train: images/train\nval: images/val\nnames: [a, b, c, d, e, f]\n");
    for (int i = 0; i < train + val; ++i) {
        const SyntheticSample s = make_synthetic(7, static_cast<std::uint64_t>(i), 40);
        const std::string place = fmt::format("{}/{:03}", i < train ? "train" : "val", i);
        dir.write("set/images/" + place + ".png", encode_png(s.image));
        const Object& o = s.object;
        dir.write("set/labels/" + place + ".txt",
                  fmt::format("{} {} {} {} {}\n", o.class_id, (o.x1 + o.x2) / 80, (o.y1 + o.y2) / 80,
                              (o.x2 - o.x1) / 40, (o.y2 - o.y1) / 40));
    }
}

inline Config small_config(const TemporaryDirectory& dir, const std::vector<std::string>& more = {}) {
    Config config;
    config.set_words({"data=" + dir / "set", "image=32", "batch=6", "epochs=3", "hidden=16", "warmup_steps=4",
                      "dropout=0.1", "multi_scale=32,48"},
                     "test");
    config.set_words(more, "test");
    return config;
}

struct Interrupted : std::runtime_error {
    Interrupted() : std::runtime_error("interrupted") {}
};

inline SessionResult run(const Config& config, const RunDirectory& place, const SessionOptions& options = {}) {
    const auto learner = make_learner(config);
    return train(*learner, place, options);
}

// The overfit job of a configuration that apply_overfit_settings has seen, on synthetic pictures.
inline OverfitResult learn_by_heart(const Config& config, std::int64_t n, const RunDirectory& place,
                                    const OverfitOptions& options) {
    return overfit(open_overfit(config, *make_task(config), "", "", n, false), config, place, options);
}

// results.csv without its seconds.
inline std::string table(const RunDirectory& place) {
    std::ifstream in(place.file("results.csv"));
    std::string out;
    for (std::string line; std::getline(in, line);) {
        const std::size_t first = line.find(','), second = line.find(',', first + 1);
        out += line.substr(0, first) + line.substr(second) + "\n";
    }
    return out;
}

inline RunDirectory fresh(const std::string& path) { return RunDirectory(RunDirectory::Place{"", "", path, false}); }

inline void expect_same(const RunDirectory& a, const RunDirectory& b, const std::string& what) {
    EXPECT_TRUE(text_at(a.last_weights()) == text_at(b.last_weights())) << what;
    EXPECT_TRUE(text_at(a.best_weights()) == text_at(b.best_weights())) << what;
    EXPECT_EQ(table(a), table(b)) << what;
    EXPECT_EQ(text_at(a.file("steps.csv")), text_at(b.file("steps.csv"))) << what;
    EXPECT_TRUE(text_at(a.file("layers.csv")) == text_at(b.file("layers.csv"))) << what;
}

// A run that dies at its `death`-th line and goes on from what it saved ends with the bits and rows of the whole one.
// once(place, options) is the run; what is said at the death is never heard: the process is gone.
template <class Once>
void expect_survives(const Once& once, int death, const RunDirectory& whole, const std::string& broken) {
    const RunDirectory place = fresh(broken);
    int said = 0;
    SessionOptions options;
    options.talk = [&](const std::string&, bool) {
        if (++said == death) throw Interrupted();
    };
    EXPECT_THROW(once(place, options), Interrupted);
    options = {};
    options.resume = true;
    once(place, options);
    expect_same(whole, place, broken);
}

// The same for a run that is told to stop behind its `steps`-th step, and saves there.
template <class Once>
void expect_stops_and_goes_on(const Once& once, int steps, const RunDirectory& whole, const std::string& stopped) {
    const RunDirectory place = fresh(stopped);
    std::atomic<int> signal{0};
    int seen = 0;
    SessionOptions options;
    options.stop_signal = &signal;
    options.talk = [&](const std::string&, bool live) {
        if (live && ++seen == steps) signal = 2;
    };
    const SessionResult r = once(place, options);
    EXPECT_EQ(r.stopped_by, 2);
    EXPECT_EQ(r.steps, steps);
    options = {};
    options.resume = true;
    once(place, options);
    expect_same(whole, place, stopped);
}

// Two classes, each a colour with noise.
inline void write_two_classes(const TemporaryDirectory& dir, int train, int val) {
    for (int k = 0; k < 2; ++k)
        for (int n = 0; n < train + val; ++n) {
            Image image{32, 32, {}};
            for (int i = 0; i < 3 * 32 * 32; ++i)
                image.rgb.push_back(static_cast<std::uint8_t>((i % 3 == k ? 180 : 60) + (i * 31 + n * 17) % 41));
            dir.write(fmt::format("set/{}/class{}/{}.png", n < train ? "train" : "val", k, n), encode_png(image));
        }
}

inline Config class_config(const TemporaryDirectory& dir, const std::vector<std::string>& more = {}) {
    Config config;
    config.set_words({"data=" + dir / "set", "model=resnet18", "image=32", "workers=0", "warmup_steps=0", "patience=0",
                      "optimizer=SGD", "lr0=0.01"},
                     "test");
    for (const char* colour : {"brightness", "contrast", "saturation"}) config.set(colour, "0", "test default");
    config.set_words(more, "test");
    return config;
}

}  // namespace solobox::fixtures
