// MOT: one sequence of frames and the boxes of tracked people, gt/gt.txt beside img1/ (or img/, images/). A row is
// "frame, track, left, top, width, height, confidence[, ..]", frames counted from 1, in any order. Reads only.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "data/sets/open_options.h"
#include "data/types.h"

namespace solobox {

struct MotRow {
    std::int64_t frame = 0, track = 0;
    double x = 0, y = 0, w = 0, h = 0;  // pixels as written
    double confidence = 1;              // 0: not to be counted; -1 and everything else: a box
    int kind = -1;                      // number of its class, as written; -1 where the file has none
    std::int64_t line = 0;
};

// 6 to 10 columns, commas or blanks. Nine columns whose eighth are whole numbers from 0 say classes (MOT16 and later,
// CVAT); of ten the last three are places in the world. DataError with the line for everything else.
std::vector<MotRow> parse_mot(std::string_view text, const std::string& file);

bool looks_like_mot(const std::string& dir);

// One sequence: split by order, for neighbouring frames are nearly equal. Boxes that leave the frame are cut and
// counted. Classes are called as gt/labels.txt says (CVAT, counted from 1); without it by MOT16's names where all are
// of 1 to 13, else by their numbers; without any, pedestrian. Pictures that count from 0 are moved by one where a row
// of the frame behind the last picture shows it; else they are an error.
DataSet open_mot(const std::string& dir, const OpenOptions& options);

}  // namespace solobox
