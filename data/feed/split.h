// The pictures of a run: for training, for validation, and what is known of them as a whole.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "data/feed/picture_store.h"

namespace solobox {

// What a task learns from: pictures without it are left out and counted.
enum class Need {
    box,            // one object; of several the one that the key `box` says
    boxes,          // any number, none too
    points,         // one object with key points
    picture_class,  // the class of the whole picture
    mask,           // a mask
};

struct Split {
    std::shared_ptr<const PictureStore> train = std::make_shared<PictureStore>(),
                                        val = std::make_shared<PictureStore>();
    std::vector<std::string> classes;  // of the objects, or of the pictures
    std::string source;                // "voc data set /data/raccoon"
    std::vector<std::string> notes;    // what was skipped, converted or counted
    PointLayout points;
    std::size_t val_in_train = 0;  // validation pictures that are training pictures too

    bool empty() const { return train->size() == 0; }  // nothing to train on: to predict, to export
};

}  // namespace solobox
