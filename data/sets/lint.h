// What is wrong with a data set, all of it at once: every label that cannot be used, every picture that does not
// decode, the same picture twice, and train pictures in the validation set. Reads only; mend() writes a copy elsewhere.
#pragma once

#include <array>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "data/baseline.h"
#include "data/sets/dataset.h"
#include "data/sets/unread.h"

namespace solobox {

struct Finding {
    bool error = true;    // false: a warning; training would go on
    std::string kind;     // one word or two: "leak", "label", "box", ..
    std::string place;    // file or file:line
    std::string message;  // one line
};

struct SplitCounts {
    std::int64_t pictures = 0, boxes = 0, crowds = 0, background = 0, masks = 0;
    std::vector<std::int64_t> boxes_of_class, pictures_of_class;  // index = class_id
};

struct LintReport {
    DataSet set;  // as a run with --skip-bad would see it
    std::vector<Finding> findings;
    SplitCounts train, val;
    Spread box_width, box_height, box_area;            // fractions of the picture
    Spread box_width_pixels, box_height_pixels;        // pixels of the picture as it is
    std::vector<std::vector<std::string>> duplicates;  // paths of equal pictures within a split
    std::vector<std::array<std::string, 2>> leaks;     // train path, val path
    std::vector<std::array<std::string, 2>> near;      // nearly the same picture: train path, val path
    std::vector<Unread> unread;                        // what no reader took
    bool quick = false;                                // no picture was decoded
    std::set<std::string> unusable;                    // paths that do not decode
    std::int64_t val_targets = 0;                      // pictures of val with a box to predict
    double mean_box_iou = 0, constant_box_iou = 0;     // fitted on train, measured on val
    std::int64_t errors() const;
    std::int64_t warnings() const;
};

// How much of the pictures is looked at.
enum class Look {
    headers,  // no pixel: quick. Equal pictures are those of equal files.
    pixels    // every picture is decoded
};

// `progress(done, all)` is called now and then. options.skip_bad: what training would leave out becomes a warning. A
// set of which nothing can be used gives a report that says why. DataError only when nothing can be read at all (no
// such set, a broken data.yaml).
LintReport lint(const std::string& path, const OpenOptions& options,
                const std::function<void(std::int64_t, std::int64_t)>& progress = {}, Look look = Look::pixels);

// Writes what is left when all that was found is taken out (of equal pictures the first stays, of a leak the val
// picture) into a new directory; in the set's own format when it can be written, else as YOLO. Returns the format.
// what: a line for each kind of thing left out. `between` is called before each picture; when it throws, nothing stays.
std::string mend(const LintReport& report, const std::string& directory, std::vector<std::string>& what,
                 const std::function<void()>& between = {});

}  // namespace solobox
