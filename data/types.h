// What a data set is once it has been read: pictures by path, objects in pixels. No tensors, no training.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace solobox {

// An upright RGB picture, 8 bits a channel, rows top to bottom: rgb[(y * width + x) * 3 + channel].
struct Image {
    int width = 0;
    int height = 0;
    std::vector<std::uint8_t> rgb;
};

// One labelled object. Corners in pixels of the upright picture on continuous coordinates: pixel i covers [i, i + 1].
struct Object {
    int class_id = 0;
    double x1 = 0, y1 = 0, x2 = 0, y2 = 0;
    bool crowd = false;
};

// A box as fractions of the picture: centre, width, height.
struct UnitBox {
    double cx = 0.5, cy = 0.5, w = 1, h = 1;
};

// One picture with its labels. `path` is what the user sees in messages; width and height are those of the upright
// picture and 0 until somebody had to read them.
struct Sample {
    std::string path;
    int width = 0;
    int height = 0;
    int class_id = -1;  // of the whole picture, for classification; -1 when the set has none
    std::vector<Object> objects;
};

// What was left out or mended while reading, in words ("3 boxes without area skipped"), counted by kind.
struct Tally {
    std::string what;
    std::int64_t count = 0;
    std::string example;  // file:line of the first one
    // Every one of them (up to max_tally_notes): file:line, or the whole message of what was refused.
    std::vector<std::string> notes = {};
};

inline constexpr std::size_t max_tally_notes = 100'000;

struct DataSet {
    std::string format;                // voc | yolo | coco | tiny-imagenet | folder | synthetic
    std::string root;                  // as the user gave it
    std::vector<std::string> classes;  // index = class_id
    std::vector<Sample> train, val;    // each in byte order of path
    std::vector<Tally> tallies;
};

}  // namespace solobox
