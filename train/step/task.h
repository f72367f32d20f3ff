// What the training loop needs to know of a task, whatever its network puts out: a box or classes. The loop
// (session.h) owns steps, checkpoints and tables; a task owns the model, its data, its loss and its measures.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "nn/losses.h"
#include "nn/visit.h"
#include "train/report/report.h"
#include "train/run/verdicts.h"
#include "train/step/trainer.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

struct TaskBatch {
    virtual ~TaskBatch() = default;
};

struct Evaluation {
    std::vector<std::pair<std::string, double>> columns;  // of results.csv, in their order: "val/loss", "metrics/iou"
    double score = 0;                                     // what "best" means; higher is better
    double loss = 0;
    std::string text;  // for the line of the epoch: "IoU 0.612 (constant box 0.527)"
};

// What a page shows of a model on its validation pictures.
struct Exhibit {
    std::vector<ReportPicture> worst, first;  // the worst ones, the first ones
    std::vector<ReportTable> tables;
    std::vector<std::pair<std::string, double>> figures;  // beside the score: "iou50", "acc5"
};

// The answer that counts, and those of auxiliary heads by name.
struct ModelOutputs {
    Var main;
    std::vector<std::pair<std::string, Var>> aux;
};

class Task {
public:
    virtual ~Task() = default;
    virtual void visit(Visitor& v) = 0;
    virtual std::int64_t batches_per_epoch() const = 0;
    virtual std::string data_fingerprint() const = 0;

    // Batch b of an epoch, both from 0: a pure function, called by worker threads.
    virtual std::unique_ptr<TaskBatch> make_batch(std::int64_t epoch, std::int64_t b) const = 0;
    virtual std::string names(const TaskBatch& batch) const = 0;  // of its pictures, for messages
    virtual std::int64_t size(const TaskBatch& batch) const = 0;  // pictures
    // The batch in up to `parts` parts of nearly equal size (gradient accumulation), the last ones maybe empty.
    virtual std::vector<BatchPart> losses(const TaskBatch& batch, std::int64_t parts, const RandomKey& dropout) = 0;

    // The columns that validate() fills, known before it runs.
    virtual std::vector<std::string> columns() const = 0;
    // Measures the model as it stands, in evaluation mode. Gives up (nothing) when `stop` says so.
    virtual std::optional<Evaluation> validate(const std::function<bool()>& stop) = 0;

    // Pictures that validation takes in one forward pass, from now on.
    virtual void set_validation_batch(std::int64_t pictures) = 0;

    // For the doctor, which tries a model before it trains and looks at what goes into it.
    // What the network puts out for pictures (N, S, S, 3), in the mode in which it stands.
    virtual ModelOutputs outputs(const Var& images, const RandomKey& dropout) = 0;
    // The loss of such outputs against random targets, a function of `seed`.
    virtual LossValue loss_of(const ModelOutputs& outputs, std::uint64_t seed) = 0;
    // Raw outputs as targets are written: boxes. As they are where nothing is decoded.
    virtual Tensor decoded(const Tensor& raw) { return raw; }
    // Share of random output numbers that are off target and get no gradient at all; nothing where none is a target's.
    virtual std::optional<double> blocked_outputs(std::uint64_t /*seed*/) { return std::nullopt; }
    // Targets of the batch that no loss can use: boxes without area, outside the picture, not finite.
    virtual std::int64_t bad_targets(const TaskBatch& /*batch*/) const { return 0; }
    virtual std::pair<std::size_t, std::size_t> pictures() const = 0;  // for training, for validation

    // For people. The data in a few lines: what was found, what was left out, what a network reaches that never looks.
    virtual std::vector<std::string> introduction() const = 0;
    virtual std::string score_name() const = 0;  // "iou", "acc1"
    // Scores of answers that never look at a picture: "constant_box_iou", "chance".
    virtual std::vector<std::pair<std::string, double>> baselines() const = 0;
    virtual LiftVerdict judge(double score) const = 0;
    virtual Exhibit exhibit() = 0;  // of the model as it stands

    // Names of the tensors that fit one data set only and start fresh when a file has them in another shape; "": none.
    virtual std::string head() const { return ""; }
    virtual std::vector<std::string> class_names() const { return {}; }
};

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
