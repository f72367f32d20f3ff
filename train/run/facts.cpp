#include "train/run/facts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "tensor/check.h"
#include "train/config/config.h"
#include "train/config/names.h"

namespace solobox::doctor {
namespace {

constexpr FactKind number = FactKind::number, text = FactKind::text, series = FactKind::series, texts = FactKind::texts;

std::string lower(std::string s) {
    std::transform(s.begin(), s.end(), s.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return s;
}

// exit_8 < exit_10: digits count as numbers.
bool natural_less(const std::string& a, const std::string& b) {
    std::size_t i = 0, j = 0;
    const auto digit = [](char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; };
    while (i < a.size() && j < b.size()) {
        if (digit(a[i]) && digit(b[j])) {
            std::size_t p = i, q = j;
            while (p < a.size() && digit(a[p])) ++p;
            while (q < b.size() && digit(b[q])) ++q;
            if (p - i != q - j) return p - i < q - j;
            const int order = a.compare(i, p - i, b, j, q - j);
            if (order != 0) return order < 0;
            i = p, j = q;
        } else {
            if (a[i] != b[j]) return a[i] < b[j];
            ++i, ++j;
        }
    }
    return a.size() - i < b.size() - j;
}

}  // namespace

const std::vector<FactInfo>& fact_catalogue() {
    static const std::vector<FactInfo> catalogue{
        {"job", text, "overfit: 8 pictures by heart, counted in steps"},
        // The step
        {"batch_per_step",
         number,
         "pictures in one forward pass",
         {"batch", "batch_size", "batch-size", "per_device_train_batch_size"}},
        {"accumulation",
         number,
         "forward passes per optimizer step",
         {"accumulate", "accumulation_steps", "accumulation-steps", "gradient_accumulation_steps",
          "accumulate_grad_batches"}},
        {"replicas", number, "processes that average their gradients", {"world_size", "num_gpus", "devices", "gpus"}},
        {"lr", number, "learning rate after warmup", {"lr0", "learning_rate", "base_lr", "max_lr"}},
        {"epochs", number, "passes over the training pictures", {"num_epochs", "n_epochs"}},
        {"max_epochs", number, "a second key for the length of the run"},
        {"steps_per_epoch", number, "optimizer steps per epoch"},
        {"own_stages", number, "1: rates and steps follow stages of the task, not the configuration alone"},
        {"total_steps", number, "optimizer steps of the run"},
        {"image",
         number,
         "side of the picture in pixels",
         {"imgsz", "img_size", "image_size", "img-size", "input_size"}},
        {"optimizer", text, "name of the optimizer asked for"},
        {"optimizer_built", text, "type of the optimizer that was built"},
        {"momentum", number, "SGD momentum or beta1"},
        {"weight_decay", number, "decay of weights", {"wd"}},
        {"lr_built", number, "learning rate that the built optimizer has"},
        {"momentum_built", number, "momentum that the built optimizer has"},
        {"weight_decay_built", number, "largest decay of a group of the built optimizer"},
        {"clip",
         number,
         "largest gradient norm; 0: off",
         {"grad_clip", "max_grad_norm", "clip_max_norm", "gradient_clip_val", "clip_grad_norm", "gradient_clip"}},
        {"dropout", number, "dropout probability", {"dropout_rate", "drop_rate"}},
        {"augmentations", texts, "augmentations that are on"},
        {"patience",
         number,
         "validations without a better score before training stops",
         {"early_stopping_patience", "early_stop_patience"}},
        {"decayed_tensors", texts, "biases and 1-D tensors in a group with weight decay"},
        {"gain.", series, "weight of a loss term: gain.box"},
        // The reference
        {"reference_batch", number, "effective batch of a run known to be good"},
        {"reference_lr", number, "its learning rate"},
        {"reference_image", number, "its picture side in pixels"},
        {"reference_name", text, "what it is called"},
        {"previous_batch", number, "effective batch of the run that this one was made from"},
        {"previous_lr", number, "its learning rate"},
        {"baseline_metric", number, "primary metric of the baseline run"},
        {"baseline_gain.", series, "weight of a loss term in the baseline run"},
        {"baseline_train_term.", series, "a loss term of the baseline run per epoch"},
        {"baseline_val_term.", series, "the same in its validation"},
        {"changed_keys", texts, "configuration keys that differ from the baseline run"},
        {"blamed_keys", texts, "keys that somebody holds responsible for the change"},
        {"default_keys", texts, "keys set to the value that they have by default"},
        // The learning rate
        {"warmup_steps", number, "optimizer steps in which the rate rises", {"warmup_iters"}},
        {"warmup_epochs", number, "epochs in which the rate rises", {"warmup"}},
        {"first_decay_epoch", number, "epoch in which the rate falls for the first time; infinite: never"},
        {"schedule", text, "name of the schedule", {"scheduler", "lr_scheduler", "lr_schedule"}},
        {"schedulers", texts, "everything that writes the learning rate"},
        {"schedule_steps",
         number,
         "length that the schedule was told, in the unit of planned_steps",
         {"t_max", "total_iters"}},
        {"planned_steps", number, "length of the run in the unit of schedule_steps"},
        {"lr_overwritten", number, "epochs in which a lowered rate was written over by another writer"},
        {"group_ratio", number, "rate of the backbone's group over the head's, as built"},
        {"group_ratio_asked", number, "the same as configured"},
        {"stage_ratio", number, "rate per picture behind a switch of stages over that before it"},
        {"unfreeze_epoch", number, "epoch (from 1) in which the frozen part begins to train"},
        {"pretrained", number, "1: the backbone starts from trained weights"},
        {"switch_step", number, "first step after the switch of stages"},
        // The data
        {"train_images", number, "training pictures", {"n_train", "num_train", "train_size"}},
        {"val_images", number, "validation pictures"},
        {"val_in_train", number, "validation pictures that are training pictures too"},
        {"classes", number, "classes configured", {"num_classes", "nc", "n_classes"}},
        {"data_classes", number, "classes of the data set"},
        {"head_outputs", number, "class outputs of the head"},
        {"no_object", number, "1: the head has one more output for no object"},
        {"label_max", number, "largest class index among the labels"},
        {"label_min", number, "smallest class index among the labels"},
        {"loaded_head", number, "class outputs of the head in the loaded weights"},
        {"images_per_class", number, "training pictures of the rarest class"},
        {"bad_targets", number, "target boxes of a training batch with no area, outside the picture or not finite"},
        {"target_rows", number, "target rows that the assigner got"},
        {"mask_rows", number, "mask rows that the assigner got"},
        {"mask_between", number, "share of a resized binary mask that is neither 0 nor 1"},
        // The model
        {"model", text, "name of the model"},
        {"kind", text, "box, classes, detector, mask"},
        {"parameters", number, "trainable numbers"},
        {"convolutions", number, "convolutions one behind the other"},
        {"norm", text, "normalisation: none, batch, group, layer"},
        {"smallest_map", number, "places of the smallest map that is normalised"},
        {"decode", text, "how the raw output becomes a box", {"transform", "output_transform"}},
        {"decoded_outside", number,
         "share of decoded numbers that leave their range for raw numbers of -8 to 8: centres 0..1, sides from 0"},
        {"head_start", series, "cx, cy, w, h that the head's bias decodes to"},
        {"head_bias", text, "preset of the head's bias", {"init_bias"}},
        {"head_bias_applied", number, "0: the preset is not used in the main mode"},
        {"multi_scale", number, "1: several picture sides, or mosaic"},
        {"fixed_input", number, "1: the head takes one size of map only"},
        {"aux_heads", number, "auxiliary (deep) outputs asked for", {"deep_supervision_heads"}},
        {"aux_weight", number, "weight of the auxiliary losses", {"deep_supervision_weight", "deep_weight"}},
        {"ema_decay", number, "of the averaged weights; 0: none"},
        {"ema_ramped", number, "1: the decay grows from 0", {"ema_ramp"}},
        {"ema_validates", number, "1: validation uses the averaged weights"},
        {"device", text, "device asked for"},
        {"devices_visible", number, "accelerators that this machine shows"},
        {"threads", number, "threads asked for"},
        {"cores", number, "cores of the machine"},
        {"text_numbers", texts, "numeric keys that YAML 1.1 reads as text: lr0: 1e-4"},
        {"peak_bytes", number, "memory forecast for the run"},
        {"memory_bytes", number, "memory that there is"},
        {"exit_code", number, "of the run's process"},
        // Probes
        {"output_problem", text, "what is wrong with the outputs of the model in evaluation mode; empty: nothing"},
        {"loss_value", number, "loss of random outputs against random targets"},
        {"probe_grad_total", number, "norm of all gradients after one backward pass"},
        {"probe_grad_max", number, "largest norm of a parameter tensor's gradient"},
        {"probe_grad_mean", number, "mean norm of a parameter tensor's gradient"},
        {"blocked_share", number, "share of output numbers that are off target without any gradient"},
        {"weighted_terms", series, "weighted loss terms at the first step"},
        {"term_names", texts, "their names"},
        {"weight_error", number, "largest relative difference of d(total)/d(term) from the configured weight"},
        {"weight_error_term", text, "the term in question"},
        {"aux_in_eval", number, "auxiliary outputs that evaluation mode gives"},
        {"aux_gradient", number, "norm of the trunk's gradient from the auxiliary losses alone"},
        {"frozen_moved", texts, "frozen parameters with a gradient, a change or a place in the optimizer"},
        {"starved", texts, "trainable parameters without any gradient in two batches"},
        {"unoptimised", texts, "trainable parameters that the optimizer does not hold"},
        {"exit_difference", number, "largest relative difference of an exit's input from the output of its block"},
        {"ema_missing", texts, "tensors of the model that are not averaged"},
        {"ema_skipped", number, "optimizer steps without an update of the average"},
        {"ema_stuck", texts, "averages of trained tensors that did not move"},
        {"ema_share_first", number, "share of initial weights in the average at the first validation"},
        {"ema_share_last", number, "the same at the last validation"},
        {"ema_distance", number, "distance of the averaged from the raw weights over the raw weights' norm"},
        {"overfit_iou", number, "mean IoU of 8 pictures learned by heart"},
        {"overfit_verdict", text, "of an overfit run, its own: pass or fail"},
        {"overfit_reason", text, "and why"},
        {"overfit_cure", text, "and what to try"},
        {"overfit_loss_share", number, "last loss over first loss there"},
        {"metric_batch_change", number, "change of the validation metric with the validation batch"},
        {"undecoded_share", number, "share of boxes given to the metric that lie outside the picture"},
        // By epoch
        {"epoch", series, "number of the epoch, from 1"},
        {"train_loss",
         series,
         "training loss per epoch",
         {"train/loss", "train_loss_epoch", "train/loss_epoch", "loss/train", "training_loss", "train/total_loss",
          "loss/training", "train_total_loss"}},
        {"val_loss",
         series,
         "validation loss per epoch",
         {"val/loss", "valid_loss", "val/loss_epoch", "loss/val", "validation_loss", "eval_loss", "loss/valid",
          "loss/validation", "val/total_loss", "val_total_loss", "test_loss", "loss/test"}},
        {"metric",
         series,
         "primary metric per epoch, higher is better",
         {"metrics/iou",
          "val_iou",
          "iou",
          "metrics/map50(b)",
          "map50",
          "map_50",
          "val_map",
          "map",
          "miou",
          "dice",
          "metrics/map50-95(b)",
          "val/iou",
          "val_miou",
          "val/miou",
          "val/map50",
          "val/map",
          "metrics/map_0.5",
          "metrics/map50",
          "eval_map",
          "val_dice",
          "val/dice",
          "metrics/map_0.5:0.95",
          "bbox/ap",
          "bbox_map",
          "coco/bbox_map",
          "segm/ap",
          "pascal_voc/map",
          "eval_mean_iou",
          "val_mean_io_u",
          "val_mean_iou",
          "val_dice_coef",
          "val_f1",
          "val_f1_score",
          "eval_f1",
          "val_auc"}},
        {"train_metric", series, "the same on training pictures", {"train/iou", "train_iou"}},
        {"accuracy",
         series,
         "top-1 validation accuracy in %",
         {"val/acc1",
          "val_acc1",
          "acc1",
          "val_acc",
          "val_accuracy",
          "val/acc",
          "val/accuracy",
          "eval_accuracy",
          "test_acc",
          "valid_acc",
          "valid_accuracy",
          "test_accuracy",
          "accuracy/val",
          "acc/val",
          "accuracy/valid",
          "accuracy/validation",
          "val_binary_accuracy",
          "val_categorical_accuracy",
          "val_sparse_categorical_accuracy",
          "accuracy_top1",
          "accuracy/top1"}},
        {"train_accuracy",
         series,
         "top-1 training accuracy in %",
         {"train/acc1", "train_acc1", "train_acc", "train/acc1_epoch", "train_accuracy", "accuracy/train", "acc/train",
          "training_accuracy", "train/accuracy"}},
        {"top_k", number, "k of a reported top-k accuracy"},
        {"precision",
         series,
         "precision per epoch",
         {"metrics/precision(b)", "metrics/precision", "val/precision", "val_precision"}},
        {"recall", series, "recall per epoch", {"metrics/recall(b)", "metrics/recall", "val/recall", "val_recall"}},
        {"restarts", texts, "places where the epochs of a log begin again, in words"},
        {"runs_in_log", number, "runs that a log holds one behind the other"},
        {"positive_fraction", series, "share of positive predictions in validation"},
        {"spread",
         series,
         "standard deviation of the predictions over that of the targets, per epoch",
         {"metrics/spread"}},
        {"epoch_seconds", series, "seconds of each epoch"},
        {"elapsed_seconds", series, "seconds since the start, per epoch", {"time", "_runtime", "wall_time", "elapsed"}},
        {"rss_mb", series, "memory of the process in MB, per epoch", {"mem", "memory", "gpu_mem"}},
        {"epoch_lr", series, "learning rate per epoch", {"lr/pg0", "x/lr0", "lr/group0"}},
        {"train_term.", series, "a loss term per epoch in training: train_term.box"},
        {"val_term.", series, "the same in validation"},
        {"exit_loss.", series, "the same loss term of each exit, shallow to deep: exit_loss.8"},
        {"exit_metric.", series, "metric of each exit"},
        {"exit_target.", series, "what was declared for it"},
        {"blind_accuracy", number, "accuracy in % of an answer that never looks"},
        {"blind_metric", number, "metric of an answer that never looks: the best constant box"},
        {"images_per_second", number, "throughput of the run"},
        {"gmacs_per_image", number, "multiplications per picture forward, in 1e9"},
        {"peak_gmacs", number, "1e9 multiplications per second that this machine does in sgemm"},
        // By step
        {"largest_update", number, "largest share of its own norm by which a step changed a weight tensor"},
        {"largest_update_when", text, "in which step, or between which"},
        {"largest_update_tensor", text, "the tensor"},
        {"weights_moved", number, "path of the weights over the run in shares of their norm, the median tensor"},
        {"step",
         series,
         "number of the step, from 1",
         {"iteration", "iter", "iters", "global_step", "trainer/global_step", "_step"}},
        {"step_loss", series, "loss per step", {"loss_step", "train_loss_step", "train/loss_step"}},
        {"loss_start", number, "usual loss of the first five steps"},
        {"grad_norm", series, "global gradient norm before clipping, per step", {"gradient_norm", "train/grad_norm"}},
        {"step_lr", series, "learning rate per step"},
        {"step_lr_planned", series, "what the schedule says for it"},
        {"replanned_after", number, "step up to which the rates were planned for a shorter run (extend)"},
        {"mean_grad", series, "mean gradient norm of a parameter tensor, per recorded step"},
        {"nonfinite", texts, "tensors, losses or tables in which something is not finite, the first one first"},
    };
    return catalogue;
}

const FactInfo* find_fact(const std::string& written) {
    const std::string key = lower(written);
    for (const FactInfo& f : fact_catalogue()) {
        const bool family = f.name.ends_with('.');
        if (f.name == key || (family && key.starts_with(f.name) && key.size() > f.name.size())) return &f;
        if (std::find(f.aliases.begin(), f.aliases.end(), key) != f.aliases.end()) return &f;
    }
    return nullptr;
}

const FactInfo& fact_info(const std::string& name) {
    if (const FactInfo* f = find_fact(name)) return *f;
    std::vector<std::string> names;
    for (const FactInfo& f : fact_catalogue()) names.push_back(f.name);
    throw ConfigError(
        fmt::format("unknown fact '{}'{} (docs/doctor.md lists all)", name.substr(0, 60), did_you_mean(name, names)));
}

void Facts::set_text(const std::string& name, const std::string& value) {
    const FactInfo& info = fact_info(name);
    const std::string key = info.name.ends_with('.') ? lower(name) : info.name;
    switch (info.kind) {
        case FactKind::number:
            if (value == "true" || value == "false")
                set(key, value == "true" ? 1.0 : 0.0);
            else
                set(key, parse_number(key, value));
            return;
        case FactKind::text:
            set(key, value);
            return;
        case FactKind::series:
            set(key, parse_numbers(key, value));
            return;
        case FactKind::texts: {
            Texts items;
            for (std::size_t at = 0; at < value.size();) {
                const std::size_t end = std::min(value.find(',', at), value.size());
                if (end > at) items.push_back(value.substr(at, end - at));
                at = end + 1;
            }
            set(key, std::move(items));
        }
    }
}

void Facts::set_word(const std::string& word) {
    const std::size_t equals = word.find('=');
    if (equals == std::string::npos || equals == 0)
        throw ConfigError(fmt::format("'{}' is not understood: expected fact=value", word.substr(0, 60)));
    set_text(word.substr(0, equals), word.substr(equals + 1));
}

std::vector<std::pair<std::string, const Series*>> Facts::family(const std::string& prefix) const {
    std::vector<std::pair<std::string, const Series*>> members;
    for (const auto& [name, value] : values_)
        if (const auto* found = std::get_if<Series>(&value); found && name.starts_with(prefix))
            members.emplace_back(name.substr(prefix.size()), found);
    std::sort(members.begin(), members.end(),
              [](const auto& a, const auto& b) { return natural_less(a.first, b.first); });
    return members;
}

void Facts::merge(const Facts& other) {
    for (const auto& [name, value] : other.values_) values_[name] = value;
}

}  // namespace solobox::doctor
