// Configuration files, the environment and the command line over each other; what is refused, with file and line; and
// the learning rates that a configuration means.
#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/support/fixtures.h"
#include "train/config/file.h"
#include "train/step/training_schedule.h"

namespace solobox {
namespace {

using fixtures::TemporaryDirectory;

TEST(ConfigFile, BaseFileEnvironmentCommandLine) {
    const TemporaryDirectory dir;
    dir.write("deep/base.yaml", "lr0: 1e-4\nbatch: 4\nmomentum: 0.5\n");
    const std::string file = dir.write("run.yaml", "base: deep/base.yaml\nbatch_size: 5\nmulti_scale: [96, 128]\n");
    ::setenv("SOLOBOX_CFG_SEED", "4", 1);
    Config config;
    load_config_file(config, file);
    apply_environment(config);
    ::unsetenv("SOLOBOX_CFG_SEED");
    config.set_words({"momentum=0.7"}, "command line");
    EXPECT_EQ(config.number("lr0"), 1e-4);
    EXPECT_EQ(config.integer("batch"), 5);
    EXPECT_EQ(config.integer("seed"), 4);
    EXPECT_EQ(config.number("momentum"), 0.7);
    EXPECT_EQ(config.text("multi_scale"), "96,128");
    EXPECT_EQ(config.at("batch").origin, file + ":2 (as batch_size)");
    EXPECT_EQ(config.at("seed").origin, "environment");
}

TEST(ConfigFile, RefusesWithFileAndLine) {
    const TemporaryDirectory dir;
    dir.write("loop.yaml", "base: loop.yaml\n");
    const std::vector<std::pair<std::string, std::string>> cases = {
        {"epochs: 2\nlr: 1e-3\nlr0: 1e-3\n", ": line 3: 'lr0' is the same key as 'lr' in line 2"},
        {"epochs: 2\nepohs: 3\n", ": line 2: unknown key 'epohs': did you mean 'epochs'?"},
        {"\nepochs: -1\n", ": line 2: epochs=-1: expected 1"},
        {"lr0: 1e-4abc\n", ": line 1: lr0=1e-4abc: expected a number"},
        {"epochs: [3]\n", "has a list"},
        {"epochs:\n", ": line 1: key 'epochs' has no value"},
        {"epochs: {a: 1}\n", ": line 1: key 'epochs' has a map"},
        {"- 1\n", "not a map of keys"},
        {"epochs: [1, 2\n", "line 2"},
        {"", "empty"},
        {"base: loop.yaml\n", "leads back to itself"},
        {"base: nowhere.yaml\n", "no such configuration file"},
    };
    for (const auto& [text, expected] : cases) {
        const std::string file = dir.write("case.yaml", text);
        Config config;
        try {
            load_config_file(config, file);
            ADD_FAILURE() << text << " was accepted";
        } catch (const ConfigError& e) {
            EXPECT_NE(std::string(e.what()).find(expected), std::string::npos) << e.what();
        }
    }
}

TEST(TrainingSchedule, MeansWhatItSays) {
    const auto rates = [](const std::vector<std::string>& words) {
        Config config;
        config.set_words(words, "test");
        return make_training_schedule(config, 10);
    };
    const Schedule cosine = rates({"epochs=10", "warmup_steps=10", "lr0=1", "lrf=0.1"});
    EXPECT_NEAR(cosine.rate(0), 0.1, 1e-12);
    EXPECT_NEAR(cosine.rate(9), 1, 1e-12);
    EXPECT_NEAR(cosine.rate(99), 0.1, 1e-3);
    const Schedule steps =
        rates({"epochs=90", "warmup_steps=0", "lr0=1", "schedule=step", "step_size=30", "gamma=0.5"});
    EXPECT_DOUBLE_EQ(steps.rate(299), 1);
    EXPECT_DOUBLE_EQ(steps.rate(300), 0.5);
    const Schedule rigid = rates({"epochs=60", "schedule=staircase", "warmup_epochs=5"});
    EXPECT_DOUBLE_EQ(rigid.rate(0), 0.0028);
    EXPECT_DOUBLE_EQ(rigid.rate(590), 0.01);
    EXPECT_THROW(rates({"cos_lr=false", "schedule=cosine", "lr0=1"}), ConfigError);
    EXPECT_THROW(rates({"schedule=constant", "step_size=3"}), ConfigError);
    EXPECT_THROW(rates({"schedule=staircase", "lr0=0.1"}), ConfigError);
    EXPECT_THROW(rates({"warmup_steps=10", "warmup_epochs=2"}), ConfigError);
}

TEST(TrainingSchedule, OneCycleMovesTheMomentumAgainstTheRate) {
    Config config;
    config.set_words({"epochs=10", "schedule=onecycle", "lr0=1", "pct_start=0.3", "max_momentum=0.9"}, "test");
    const Schedule s = make_training_schedule(config, 10);
    EXPECT_NEAR(s.momentum(0), 0.9, 1e-12);
    EXPECT_NEAR(s.momentum(29), 0.85, 1e-12);
    EXPECT_NEAR(s.momentum(99), 0.9, 1e-12);
    EXPECT_GT(s.rate(29), s.rate(0));
    config.set("cycle_momentum", "false", "test");
    EXPECT_FALSE(make_training_schedule(config, 10).momentum);
    config.set("cycle_momentum", "true", "test");
    config.set("momentum", "0.8", "test");
    EXPECT_THROW(make_training_schedule(config, 10), ConfigError);  // would be ignored
}

}  // namespace
}  // namespace solobox
