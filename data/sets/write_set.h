// Writes data sets: the layouts that the readers of this room take, so that what was written reads back the same. The
// only file of the room that writes into directories; it never touches one that exists and holds anything.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "data/types.h"

namespace solobox {

// yolo: images/{train,val}/, labels/{train,val}/, data.yaml. voc: JPEGImages/, Annotations/, ImageSets/Main/.
// coco: images/{train,val}/, annotations/instances_{train,val}.json.
enum class SetFormat { yolo, voc, coco };
SetFormat set_format(const std::string& name);  // ConfigError listing the names

// Whether the path is or lies below the directory of the set or of one of its pictures, links followed.
bool lies_within(const std::string& path, const DataSet& set);

// ConfigError when `directory` holds anything, is no directory, or lies within `source` (where there is one).
void require_new_directory(const std::string& directory, const DataSet* source = nullptr);

// A data set in the making. It grows in a directory of its own beside `directory` and takes that name in finish(), so
// nobody ever sees half of it; without finish() everything is removed again.
class SetWriter {
public:
    // As require_new_directory; IoError with the system's text.
    SetWriter(const std::string& directory, SetFormat format, std::vector<std::string> classes,
              const DataSet* source = nullptr);
    ~SetWriter();
    SetWriter(const SetWriter&) = delete;
    SetWriter& operator=(const SetWriter&) = delete;

    // Copies the picture byte by byte. The boxes are written in the frame of the stored pixels; of pictures that EXIF
    // turns the set says so, for nothing else may tell. Crowds, which only COCO knows, are left out of the other two
    // and counted.
    void add(bool val, const Sample& sample);
    // A picture that is no file yet: `name` with its ending, bytes as they shall lie there, upright, its size and
    // objects in pixels.
    void add(bool val, const std::string& name, std::string_view bytes, const Sample& sample);
    void finish();

    std::int64_t pictures() const { return pictures_; }
    std::int64_t boxes() const { return boxes_; }
    std::int64_t crowds_left_out() const { return crowds_left_out_; }

private:
    std::string free_name(const std::string& path);
    void put(const std::string& relative, std::string_view text);
    void label_yolo(const std::string& split, const std::string& name, const Sample& stored);
    void label_voc(const std::string& split, const std::string& name, const Sample& stored);
    void label_coco(const std::string& split, const std::string& name, const Sample& stored);

    std::string target_, work_;
    SetFormat format_;
    std::vector<std::string> classes_;
    std::set<std::string> stems_;               // taken
    std::map<std::string, std::string> lists_;  // by split: ImageSets of VOC, image rows of COCO
    std::map<std::string, std::string> rows_;   // by split: annotation rows of COCO
    std::map<std::string, std::int64_t> image_ids_;
    bool turned_ = false, any_turned_ = false;  // the picture at hand, or some, by EXIF
    std::int64_t annotation_ids_ = 0, pictures_ = 0, boxes_ = 0, crowds_left_out_ = 0;
};

}  // namespace solobox
