// solobox data show: a contact sheet of a data set, every box drawn.
#include <fmt/core.h>

#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>

#include "apps/data_verbs.h"
#include "data/image/draw.h"
#include "data/image/image.h"
#include "data/sets/write_set.h"
#include "data/text.h"

namespace solobox {
namespace {

constexpr int cell = 256, caption = 16, gap = 8;  // pixels

struct DataShowArguments {
    DataArguments in;
    std::string out = "contact_sheet.png", split = "train";
    std::int64_t n = 16;
};

// Colours that differ at a glance; classes beyond them begin again.
Rgb colour_of(int class_id) {
    static constexpr Rgb palette[] = {{46, 204, 113}, {255, 159, 67}, {84, 160, 255}, {255, 107, 129}, {254, 211, 48},
                                      {165, 94, 234}, {43, 203, 186}, {250, 130, 49}, {119, 140, 163}, {224, 86, 253}};
    return palette[static_cast<std::size_t>(class_id) % std::size(palette)];
}

// What the mask covers in green, by half; the mask may be of another size.
void tint(Image& image, const Image& mask) {
    const Rgb green = colour_of(0);
    for (int y = 0; y < image.height; ++y)
        for (int x = 0; x < image.width; ++x) {
            const auto at = [](int i, int size, int other) {
                return static_cast<std::size_t>((2 * i + 1) * other / (2 * size));
            };
            const std::size_t from = (at(y, image.height, mask.height) * static_cast<std::size_t>(mask.width) +
                                      at(x, image.width, mask.width)) *
                                     3;
            if (mask.rgb[from] < 128 && mask.rgb[from] != 1) continue;
            std::uint8_t* to = image.rgb.data() + static_cast<std::size_t>(y * image.width + x) * 3;
            to[0] = static_cast<std::uint8_t>((to[0] + green.r) / 2);
            to[1] = static_cast<std::uint8_t>((to[1] + green.g) / 2);
            to[2] = static_cast<std::uint8_t>((to[2] + green.b) / 2);
        }
}

// One picture with its boxes, at most cell x cell.
Image draw_picture(const Sample& sample, const DataSet& set) {
    const Image picture = read_image(sample.path);
    Image small = scale_to_fit(picture, cell, cell);
    const double w = picture.width, h = picture.height;
    if (!sample.mask.empty()) tint(small, read_image(sample.mask));
    for (const Object& o : sample.objects)
        draw_box(small, {(o.x1 + o.x2) / 2 / w, (o.y1 + o.y2) / 2 / h, (o.x2 - o.x1) / w, (o.y2 - o.y1) / h},
                 {colour_of(o.class_id), 2, o.crowd ? 6 : 0, o.crowd ? 4 : 0});
    // Names after all boxes, so that no line crosses them; inside the box where there is no room above it.
    for (const Object& o : sample.objects) {
        const std::string text = fit_text(set.classes.at(static_cast<std::size_t>(o.class_id)), 1, small.width - 2);
        const int left = static_cast<int>(o.x1 / w * small.width), top = static_cast<int>(o.y1 / h * small.height);
        const int x = std::clamp(left + 1, 1, std::max(1, small.width - 1 - text_width(text, 1)));
        const int above = top - text_height(1) - 1;
        draw_text(small, x, above >= 0 ? above : top + 3, text, 1, colour::shade, colour_of(o.class_id));
    }
    return small;
}

std::string caption_of(const Sample& sample, const DataSet& set) {
    const std::string name = sample.path.substr(sample.path.rfind('/') + 1);
    if (!sample.objects.empty() || !sample.mask.empty()) return name;
    return sample.class_id < 0 ? name + " (background)"
                               : name + " (" + set.classes.at(static_cast<std::size_t>(sample.class_id)) + ")";
}

ExitCode show(const DataShowArguments& a) {
    const auto stop = stop_on_signal();
    Talk talk(a.in.quiet);
    const DataSet set = open_dataset(a.in.data, open_options(a.in));
    if (lies_within(a.out, set))
        throw ConfigError(fmt::format("--out {}: lies within {}, which is only read: give a file elsewhere",
                                      printable(a.out, 300), printable(a.in.data, 300)));
    tell(talk, set);
    const std::vector<Sample>& samples = a.split == "val" ? set.val : set.train;
    if (samples.empty()) throw DataError(fmt::format("{}: no picture in {}", printable(a.in.data, 300), a.split));
    // Spread over the whole split: the first ones often are of one class.
    const std::size_t n = std::min(static_cast<std::size_t>(a.n), samples.size());
    std::vector<std::pair<const Sample*, Image>> cells;
    std::int64_t boxes = 0, left_out = 0;
    for (std::size_t i = 0; i < n; ++i) {
        stop();
        const Sample& sample = samples[i * samples.size() / n];
        try {
            cells.emplace_back(&sample, draw_picture(sample, set));
            boxes += static_cast<std::int64_t>(sample.objects.size());
        } catch (const DataError& error) {
            if (!a.in.skip_bad) throw;
            talk.line(fmt::format("  left out: {}", error.what()));
            ++left_out;
        }
    }
    if (cells.empty()) throw DataError(fmt::format("{}: no picture decodes", printable(a.in.data, 300)));
    const int columns = static_cast<int>(std::ceil(std::sqrt(static_cast<double>(cells.size()))));
    const int rows = (static_cast<int>(cells.size()) + columns - 1) / columns;
    Image sheet = make_canvas(gap + columns * (cell + gap), gap + rows * (cell + caption + gap), colour::paper);
    for (std::size_t i = 0; i < cells.size(); ++i) {
        const auto& [sample, picture] = cells[i];
        const int x = gap + static_cast<int>(i) % columns * (cell + gap);
        const int y = gap + static_cast<int>(i) / columns * (cell + caption + gap);
        copy_into(sheet, picture, x + (cell - picture.width) / 2, y + (cell - picture.height) / 2);
        draw_text(sheet, x, y + cell + 3, fit_text(caption_of(*sample, set), 1, cell), 1, colour::ink);
    }
    write_png(a.out, sheet);
    if (a.in.json) {
        const nlohmann::ordered_json j{{"file", a.out},       {"width", sheet.width},     {"height", sheet.height},
                                       {"split", a.split},    {"pictures", cells.size()}, {"boxes", boxes},
                                       {"left_out", left_out}};
        print_json(j);
    } else {
        fmt::print("{}: {} pictures of {}, {} boxes\n", printable(a.out, 300), cells.size(), a.split, boxes);
    }
    return ExitCode::done;
}

}  // namespace

Verb add_data_show(Command app) {
    auto a = std::make_shared<DataShowArguments>();
    add_data_arguments(app, a->in);
    app.option("--out", a->out, "PNG to write (default contact_sheet.png)").not_empty();
    app.option("-n", a->n, "pictures, spread over the split (default 16)").within(1, 1024);
    app.option("--split", a->split, "train | val").one_of({"train", "val"});
    return [a] { return show(*a); };
}

}  // namespace solobox
