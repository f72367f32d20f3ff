// The mended copy of a data set. See lint.h.
#include "data/sets/lint.h"
#include "data/sets/write_set.h"
#include "data/text.h"

namespace solobox {

std::string mend(const LintReport& report, const std::string& directory, std::vector<std::string>& what,
                 const std::function<void()>& between) {
    const DataSet& set = report.set;
    if (set.format == "folder" || set.format == "masks")
        throw ConfigError(fmt::format("--fix: a set of {} has no boxes to write, and no label that could be mended",
                                      set.format == "folder" ? "class folders" : "masks"));
    const bool writable = set.format == "voc" || set.format == "coco";
    const std::string format = writable ? set.format : "yolo";
    SetWriter writer(directory, set_format(format), set.classes, &set);
    std::set<std::string> leaked, repeated;
    for (const auto& [train, val] : report.leaks) leaked.insert(train);
    for (const auto& same : report.duplicates) repeated.insert(same.begin() + 1, same.end());
    std::int64_t unlabelled = 0;
    for (const bool val : {false, true})
        for (const Sample& sample : val ? set.val : set.train) {
            if (between) between();
            if (leaked.contains(sample.path) || repeated.contains(sample.path)) continue;
            // Of a known class but without a box: not background, there is something in it.
            if (sample.class_id >= 0 && sample.objects.empty())
                ++unlabelled;
            else
                writer.add(val, sample);
        }
    writer.finish();
    const auto say = [&](std::size_t n, const char* text) {
        if (n > 0) what.push_back(fmt::format("{} {}", n, text));
    };
    say(report.unusable.size(), "pictures that do not decode left out");
    say(leaked.size(), "training pictures that are in val left out of train");
    say(repeated.size(), "repeated pictures left out (the first stays)");
    say(static_cast<std::size_t>(unlabelled), "pictures of a class but without a box left out");
    say(static_cast<std::size_t>(writer.crowds_left_out()), "crowds left out: only COCO has them");
    return format;
}

}  // namespace solobox
