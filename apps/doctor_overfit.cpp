// The doctor's own overfit run (D64): eight pictures by heart, in a directory that goes away.
#include "apps/doctor_overfit.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>

#include "apps/apps.h"
#include "train/config/setup.h"
#include "train/session/overfit.h"
#include "train/tasks/kinds.h"

namespace solobox {
namespace {

void leave_if_interrupted(int signal) {
    if (signal != 0) throw Error("interrupted", static_cast<ExitCode>(128 + signal));
}

}  // namespace

void overfit_facts(const Config& asked, doctor::Facts& facts) {
    // overfit settles itself what training decides: the model, the loss and the rate are what is tried.
    Config config;
    for (const auto& [key, v] : asked.all())
        if (const ConfigKey& k = config_key(key); !k.training_only && !k.settled && !asked.is_default(key))
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
    if (config.at("classes").origin != "default") config.set("classes", "0", "default");
    apply_overfit_settings(config, n);
    const auto task = make_task(config);
    const OverfitData pictures = open_overfit(config, *task, data, format, n, false);
    const OverfitResult r = overfit(pictures, config, run, options);
    leave_if_interrupted(r.stopped_by);
    if (const auto classes = task->class_names(pictures.split); !classes.empty())
        facts.set("overfit_loss_share", r.learned.loss / std::log(static_cast<double>(classes.size())));
    else
        facts.set("overfit_iou", r.learned.score);
}

}  // namespace solobox
