// Trains as `solobox train` does, and keeps what it takes to train again elsewhere: ./scripts/peer-losses
//
//     training_losses RUN key=value ...
//
// RUN becomes an ordinary run's directory (the losses are in its steps.csv), with recording.safetensors beside: the
// weights before the first step under PyTorch's names, every batch as the model saw it, and all keys as metadata.
#include <fmt/format.h>

#include <cstdio>
#include <span>

#include "nn/checkpoint.h"
#include "tensor/tape.h"
#include "train/config/setup.h"
#include "train/session/session.h"
#include "train/step/open_split.h"
#include "train/tasks/kinds.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {
namespace {

template <class T>
RawTensor raw(const char* dtype, std::vector<std::int64_t> shape, const std::vector<T>& values) {
    const auto bytes = std::as_bytes(std::span(values));
    return {dtype, std::move(shape), {bytes.begin(), bytes.end()}};
}

// Writes down every batch that a step asks for.
class RecordedLearner : public Learner {
public:
    using Learner::Learner;

    std::vector<BatchPart> losses(const Batch& batch, std::int64_t parts, const RandomKey& dropout) override {
        auto result = Learner::losses(batch, parts, dropout);
        result.at(0).loss = [this, &batch, inner = result.at(0).loss] {
            if (Tape::current()) record(batch);  // a look at the loss outside of a step has no tape
            return inner();
        };
        return result;
    }

    SafetensorsFile recording;
    std::int64_t steps = 0;

private:
    void record(const Batch& batch) {
        const auto n = static_cast<std::int64_t>(batch.count());
        std::vector<double> boxes;
        for (const Labels& l : batch.labels) {
            const UnitBox& b = l.objects.at(0).box;
            boxes.insert(boxes.end(), {b.cx, b.cy, b.w, b.h});
        }
        recording.tensors[fmt::format("batch.{}.images", steps)] =
            raw("F32", {n, batch.size.height, batch.size.width, 3}, batch.images);
        recording.tensors[fmt::format("batch.{}.boxes", steps)] = raw("F64", {n, 4}, boxes);
        ++steps;
    }
};

void run(const std::string& place, const std::vector<std::string>& words) {
    Config config;
    config.set_words(words, "command line");
    apply_model_defaults(config);
    auto task = make_task(config);
    Split data = open_split(config, *task);
    RecordedLearner learner(config, std::move(task), std::move(data));
    save_state(learner, learner.recording);
    for (const auto& [key, v] : config.all()) learner.recording.metadata["config." + key] = v.value;
    learner.recording.metadata["batches_per_epoch"] = std::to_string(learner.batches_per_epoch());
    const RunDirectory directory({"", "", place, false});
    train(learner, directory, {});
    learner.recording.metadata["steps"] = std::to_string(learner.steps);
    write_safetensors(directory.file("recording.safetensors"), learner.recording);
}

}  // namespace
}  // namespace SOLOBOX_PRECISION
}  // namespace solobox

int main(int argc, char** argv) try {
    if (argc < 2) throw solobox::ConfigError("usage: training_losses RUN key=value ...");
    solobox::run(argv[1], {argv + 2, argv + argc});
    return 0;
} catch (const std::exception& e) {
    fmt::print(stderr, "training_losses: {}\n", e.what());
    return 1;
}
