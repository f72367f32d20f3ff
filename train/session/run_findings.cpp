#include "train/session/run_findings.h"

#include "train/doctor/monitor.h"
#include "train/doctor/sources.h"

namespace solobox {

std::vector<ReportFinding> run_findings(const RunDirectory& run) {
    const Config config = read_config(run.file("args.yaml"));
    doctor::Overrides overrides;
    overrides.add(config.text("thresholds"));
    std::vector<ReportFinding> findings;
    for (const doctor::Verdict& v : doctor::examine(doctor::read_whole_run(run, config, false), "RL", overrides))
        if (v.severity >= doctor::Severity::info) findings.push_back(doctor::finding_of(v));
    return findings;
}

}  // namespace solobox
