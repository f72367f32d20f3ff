// A small set of pictures in a folder a class, and runs on it within the test's own process.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "data/image.h"
#include "tests/data_fixtures.h"
#include "train/make_task.h"
#include "train/session.h"
#include "train/table.h"

namespace solobox::fixtures {

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

inline RunDirectory fresh_run(const std::string& path) {
    return RunDirectory(RunDirectory::Place{"", "", path, false});
}

inline SessionResult run_in(const RunDirectory& place, const Config& config, const SessionOptions& options = {}) {
    const auto task = make_task(config);
    return train(*task, config, place, options);
}

}  // namespace solobox::fixtures
