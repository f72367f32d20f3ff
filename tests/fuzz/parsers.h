// Every reader of foreign bytes behind one signature: for the fuzzer, and for the test that replays its seeds. Only
// errors of solobox may come out of them; those are caught here, everything else is a find.
#pragma once

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "data/image/image.h"
#include "data/sets/coco.h"
#include "data/sets/tiny_imagenet.h"
#include "data/sets/voc.h"
#include "data/sets/yaml_guard.h"
#include "data/sets/yolo.h"
#include "data/text.h"
#include "nn/safetensors.h"
#include "tensor/check.h"
#include "train/config/config.h"

namespace solobox::fuzz {

template <class Read>
void quietly(Read read) {
    try {
        read();
    } catch (const Error&) {
        // refused with words: what a parser is for
    }
}

inline void images(std::string_view bytes) {
    ImageLimits small;
    small.max_pixels = 1 << 20;
    quietly([&] { (void)parse_image_info(bytes, "seed", small); });
    quietly([&] { (void)decode_image(bytes, "seed", small); });
}

inline void voc(std::string_view bytes) {
    for (const Strictness s : {Strictness::strict, Strictness::lenient}) {
        std::vector<Tally> tallies;
        quietly([&] { (void)parse_voc(std::string(bytes), "seed", s, tallies); });
        quietly([&] { (void)parse_voc(std::string(bytes), "seed", s, tallies, 100, 80); });
    }
}

inline void yolo(std::string_view bytes) {
    for (const Strictness s : {Strictness::strict, Strictness::lenient}) {
        std::vector<Tally> tallies;
        quietly([&] { (void)parse_yolo(bytes, "seed", s, tallies, 3); });
    }
}

inline void tiny(std::string_view bytes) {
    for (const Strictness s : {Strictness::strict, Strictness::lenient}) {
        std::vector<Tally> tallies;
        quietly([&] { (void)parse_val_annotations(bytes, "seed", s, tallies); });
        quietly([&] { (void)parse_tiny_boxes(bytes, "seed", s, tallies); });
    }
    quietly([&] { (void)parse_wnids(bytes, "seed"); });
}

inline void yaml(std::string_view bytes) {
    quietly([&] {
        Config config;
        for (const YamlEntry& entry : yaml_entries(bytes, "seed"))
            quietly([&] { config.set(entry.key, entry.text, "seed"); });
        (void)config.to_yaml();
    });
}

inline void safetensors(std::string_view bytes) {
    const auto* begin = reinterpret_cast<const std::byte*>(bytes.data());
    quietly([&] { (void)parse_safetensors({begin, begin + bytes.size()}, "seed"); });
}

// COCO is read from a file, never whole into memory.
inline void coco(std::string_view bytes) {
    static const struct Scratch {
        std::string path =
            (std::filesystem::temp_directory_path() / ("solobox-fuzz-" + std::to_string(::getpid()) + ".json"))
                .string();
        ~Scratch() { std::remove(path.c_str()); }
    } scratch;
    const std::string& path = scratch.path;
    std::FILE* file = std::fopen(path.c_str(), "wb");
    if (!file || std::fwrite(bytes.data(), 1, bytes.size(), file) != bytes.size() || std::fclose(file) != 0)
        std::abort();
    for (const Strictness s : {Strictness::strict, Strictness::lenient})
        for (const bool skip : {false, true}) {
            OpenOptions options;
            options.strictness = s;
            options.skip_bad = skip;
            std::vector<Tally> tallies;
            quietly([&] {
                const CocoFile coco = read_coco(path, options, tallies);
                (void)coco_samples(
                    coco, path, [](const std::string&) { return std::string(); }, options, tallies);
            });
        }
}

using Parser = void (*)(std::string_view bytes);
inline const std::map<std::string, Parser>& parsers() {
    static const std::map<std::string, Parser> all{{"images", images}, {"voc", voc},   {"yolo", yolo},
                                                   {"coco", coco},     {"yaml", yaml}, {"safetensors", safetensors},
                                                   {"tiny", tiny}};
    return all;
}

}  // namespace solobox::fuzz
