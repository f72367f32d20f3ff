// An experiment's file: a base configuration, arms (named one by one or as a grid of factors), sets of pictures, seeds.
// Everything is resolved and checked before the first run begins; this room starts nothing and measures nothing.
//
//   name: ema                      # default: the file's
//   question: Is the average of the weights worth +1 to 2 % IoU?
//   base: small.yaml               # a configuration, relative to this file
//   settings: {epochs: 20}         # keys of every run
//   sets:                          # where it is asked; each is compared within itself
//     raccoon: {data: ../data/raccoon, synthetic: {train_images: 160}}    # its twin, with data=synthetic
//   arms:
//     off: {ema_decay: 0}
//     on: {from: off, ema_decay: 0.999, claim: "+1-2 % IoU"}     # or {says: "better", gain: 0.01}: see Claim
//   control: off                   # whom the others are compared with; default: the first. Of a grid also a part of
//                                  # its factors, {norm: none}: a control in each level of the others
//   seeds: 5                       # 0 .. 4; or a list
//   score: last                    # of the last epoch, or `best`: of the best one, which flatters noisy arms
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "train/config/config.h"

namespace solobox::experiment {

struct Setting {
    std::string key, value, origin;  // origin: "FILE:LINE"
};

// What somebody said of an arm, and how it is understood: what the paired differences are held against.
struct Claim {
    std::string says;             // "": nothing was claimed
    double gain = 0;              // over the arm it was made `from`, else over its control: at least this much,
    double percent = 0;           // and so many hundredths of a full score
    std::optional<double> reach;  // instead: a score of at least this much
};

struct Arm {
    std::string name;
    Claim claim;
    std::string from;                 // the arm whose settings it starts from; "": none
    std::vector<Setting> settings;    // its own, after those of `from`
    std::size_t control = 0;          // index of the arm it is compared with; its own: it is a control
    std::vector<std::size_t> levels;  // of a grid: which value of each factor
};

struct PictureSet {
    std::string name;
    std::vector<Setting> settings;
    std::vector<Setting> twin;  // its `synthetic`: with data=synthetic on the command line, how much of it
};

struct Plan {
    std::string path, name, question, base;
    std::vector<Setting> settings;
    std::vector<PictureSet> sets;
    std::vector<Arm> arms;
    std::size_t control = 0;          // index of an arm: the control, or the first of several
    std::vector<std::size_t> within;  // factors in whose levels there is a control each; none: one control for all
    std::vector<std::int64_t> seeds;
    bool best = false;               // score: best
    std::vector<std::string> words;  // of the command line and the environment, as key=value
};

// ConfigError naming file and line: an unknown key, a key twice, an arm that two factors make the same, a control that
// is no arm.
Plan read_plan(const std::string& path);

// What the command line changes.
struct Changes {
    std::vector<std::string> words;   // key=value for every run; a key in which the arms differ is a ConfigError
    std::vector<std::int64_t> seeds;  // instead of the file's
    bool smoke = false;               // one epoch of a few small pictures, two seeds: does it run at all?
};

struct PlannedRun {
    std::size_t set = 0, arm = 0;
    std::int64_t seed = 0;
    Config config;                   // as `train` resolves it
    std::vector<std::string> words;  // that make `solobox train` resolve the same
};

// Every run, sets first, then seeds, then arms: a stopped experiment has whole seeds. Sets that the words make the same
// are merged into the first, and `notes` says so.
std::vector<PlannedRun> plan_runs(Plan& plan, const Changes& changes, std::vector<std::string>& notes);

// What an arm does, in words: "decode=sigmoid, batch=8".
std::string describe(const Arm& arm);

}  // namespace solobox::experiment
