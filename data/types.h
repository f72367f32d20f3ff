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

// One key point of an object, in the frame of the object's box. visible as COCO has it: 0 not labelled or out of the
// picture, 1 hidden, 2 seen.
struct KeyPoint {
    double x = 0, y = 0;
    int visible = 0;
};

// The key points that every object of a set has; mirrored[k] is the one that point k becomes in a mirrored picture.
struct PointLayout {
    int count = 0;
    int numbers = 3;  // written for each: x and y, maybe whether it is visible
    std::vector<int> mirrored = {};
};

// One labelled object. Corners in pixels of the upright picture on continuous coordinates: pixel i covers [i, i + 1].
struct Object {
    int class_id = 0;
    double x1 = 0, y1 = 0, x2 = 0, y2 = 0;
    bool crowd = false;
    std::vector<KeyPoint> points = {};
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
    std::string mask = {};  // path of the mask that belongs to it; "": none
};

// What was left out or mended while reading, in words ("3 boxes without area skipped"), counted by kind.
// What a tally is about: readers of other things than boxes pass over those.
enum class TallyKind {
    picture,  // a picture, a label file
    box,      // boxes that were mended
    bad_box,  // boxes that were left out
    refused,  // what cannot be used at all
    absent,   // what a list names and nobody has
};

struct Tally {
    std::string what;
    std::int64_t count = 0;
    std::string example;  // file:line of the first one
    // Every one of them (up to max_tally_notes): file:line, or the whole message of what was refused.
    std::vector<std::string> notes = {};
    TallyKind kind = TallyKind::picture;
};

inline constexpr std::size_t max_tally_notes = 100'000;

struct DataSet {
    std::string format;                // voc | yolo | coco | mot | labelme | masks | tiny-imagenet | folder | synthetic
    std::string root;                  // as the user gave it
    std::vector<std::string> classes;  // index = class_id
    bool classes_named = true;         // false: class0, class1, .. for want of a list
    PointLayout points;
    std::vector<Sample> train, val;  // each in byte order of path
    std::vector<Tally> tallies;
    std::string split;               // how train and val were told apart, in words
    std::vector<std::string> files;  // what else was looked at: label files, lists, pictures left out for their labels
};

}  // namespace solobox
