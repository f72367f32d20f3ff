#include "train/tasks/recipes.h"

#include <fmt/format.h>

#include "tensor/check.h"

namespace solobox {

AugmentSpec common_augmentation(const Config& c) {
    AugmentSpec a;
    for (const auto& [key, number] : {std::pair<const char*, double AugmentSpec::*>{"fliplr", &AugmentSpec::fliplr},
                                      {"brightness", &AugmentSpec::brightness},
                                      {"contrast", &AugmentSpec::contrast},
                                      {"saturation", &AugmentSpec::saturation},
                                      {"hsv_h", &AugmentSpec::hsv_h},
                                      {"hsv_s", &AugmentSpec::hsv_s},
                                      {"hsv_v", &AugmentSpec::hsv_v}})
        a.*number = c.number(key);
    return a;
}

Recipe squeezed_recipe(const Config& c) {
    Recipe r;
    const int side = static_cast<int>(c.integer("image"));
    r.size = {side, side};
    r.antialias = c.flag("antialias");
    r.augment = common_augmentation(c);
    for (const auto& [key, number] :
         {std::pair<const char*, double AugmentSpec::*>{"translate", &AugmentSpec::translate},
          {"scale", &AugmentSpec::scale},
          {"degrees", &AugmentSpec::degrees},
          {"min_visible", &AugmentSpec::min_visible},
          {"mosaic", &AugmentSpec::mosaic},
          {"mixup", &AugmentSpec::mixup}})
        r.augment.*number = c.number(key);
    return r;
}

std::vector<Extent> training_sizes(const Config& c) {
    std::vector<Extent> sizes;
    for (const std::int64_t side : parse_list("multi_scale", c.text("multi_scale"))) {
        if (side < 8 || side > 2048)
            throw ConfigError(
                fmt::format("multi_scale={}: {} is not within 8 to 2048 pixels", c.text("multi_scale"), side));
        sizes.push_back({static_cast<int>(side), static_cast<int>(side)});
    }
    const int image = static_cast<int>(c.integer("image"));
    if (sizes.empty()) sizes.push_back({image, image});
    return sizes;
}

std::function<void(Labels&)> one_target(const std::string& box) { return box == "first" ? keep_first : keep_largest; }

}  // namespace solobox
