// The doctor's own overfit run (D64): eight pictures by heart, in a directory that goes away.
#include "apps/doctor_overfit.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <set>

#include "apps/apps.h"
#include "train/session/overfit.h"
#include "train/session/overfit_classes.h"

namespace solobox {
namespace {

void leave_if_interrupted(int signal) {
    if (signal != 0) throw Error("interrupted", static_cast<ExitCode>(128 + signal));
}

}  // namespace

void overfit_facts(const Config& asked, doctor::Facts& facts) {
    // overfit settles itself what training decides: the model, the loss and the rate are what is tried.
    static const std::set<std::string> own{"dropout",  "weight_decay", "batch",     "label_smoothing",
                                           "schedule", "warmup_steps", "accumulate"};
    Config config;
    for (const auto& [key, v] : asked.all())
        if (!config_key(key).training_only && !asked.is_default(key) && !own.contains(key))
            config.set(key, v.value, v.origin);
    const std::filesystem::path place =
        std::filesystem::temp_directory_path() / fmt::format("solobox-doctor-{}", ::getpid());
    struct Remove {
        std::filesystem::path path;
        ~Remove() {
            std::error_code ignored;
            std::filesystem::remove_all(path, ignored);
        }
    } const remove{place};
    const RunDirectory run(RunDirectory::Place{"", "", place.string(), true});
    OverfitOptions options;
    options.stop_signal = &watch_signals();
    const std::int64_t n = 8;
    const std::string format = asked.text("format") == "detect" ? "" : asked.text("format");
    const std::string data = asked.text("data") == "synthetic" ? "" : asked.text("data");
    if (is_classifier(config)) {
        config.set("classes", "0", "default");
        const ClassPictures pictures = load_class_pictures(data, format, n, false, config);
        apply_overfit_settings(config, std::ssize(pictures.pictures));
        const ClassOverfitResult r = overfit_classes(pictures, config, run, options);
        leave_if_interrupted(r.stopped_by);
        facts.set("overfit_loss_share", r.loss / std::log(static_cast<double>(pictures.names.size())));
        return;
    }
    apply_overfit_settings(config, n);
    const OverfitPictures pictures = load_overfit_pictures(data, format, n, false, config);
    const OverfitResult r = overfit(pictures, config, run, options);
    leave_if_interrupted(r.stopped_by);
    facts.set("overfit_iou", r.mean_iou);
}

}  // namespace solobox
