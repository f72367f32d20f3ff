// A task of your own: where in the picture is the point? A model, a loss, a meter, keys and a main of one line; train,
// resume, val, predict, overfit, report and doctor come with it.
//
//     own_task overfit --model pointer                         8 shapes, their middles by heart
//     own_task train data=SET model=pointer epochs=12          a YOLO set with kpt_shape in its data.yaml, or synthetic
//     own_task predict RUN PICTURE --out pictures
#include <fmt/format.h>
#include <solobox/run.h>

#include <algorithm>
#include <cmath>
#include <numeric>

using namespace solobox;

namespace {

// ---- the model: three convolutions, a pool, one linear that says (x, y)
struct Pointer : Model {
    std::vector<Conv2d> convs;
    std::vector<GroupNorm> norms;
    Linear point;
    std::int64_t width;

    Pointer(std::int64_t width_, std::uint64_t seed) : width(width_) {
        Initializer init(seed);
        for (std::int64_t in = 3, k = 1; k <= 4; in = k * width, k *= 2) {
            convs.emplace_back(in, k * width, 3, ConvSpec{{2, 2}, {1, 1}, {1, 1}, 1}, false, init);
            norms.emplace_back(std::gcd(std::int64_t{8}, width), k * width);
        }
        point = Linear(64 * width, 2, init);
    }
    Answers answers(const Var& images, const RandomKey&) override {
        Var x = images;
        for (std::size_t i = 0; i < convs.size(); ++i) x = norms[i](convs[i](x), Act::leaky_relu(0.1));
        return {{{"point", sigmoid(point(flatten_chw(adaptive_avg_pool2d(x, {4, 4}))))}}};
    }
    void visit(Visitor& v) override {
        for (std::size_t i = 0; i < convs.size(); ++i)
            v.child(fmt::format("conv{}", i + 1), convs[i]), v.child(fmt::format("norm{}", i + 1), norms[i]);
        v.child("point", point);
    }
    std::vector<std::string> heads() const override { return {"point."}; }
};

const KeyPoint& truth_of(const Labels& labels) { return labels.objects.at(0).points.at(0); }

// 1 where the point is hit, 0 from a tenth of the picture on.
double closeness(const KeyPoint& a, const KeyPoint& b) {
    return std::max(0.0, 1 - 10 * std::hypot(a.x - b.x, a.y - b.y));
}

// ---- the meter: how close the answers are
struct PointMeter : Meter {
    std::vector<double> each;
    double blind;

    explicit PointMeter(double blind_score) : blind(blind_score) {}
    std::vector<std::string> columns() const override { return {"metrics/closeness", "metrics/mean_point_closeness"}; }
    void add(const Prediction& p, const Labels& truth) override {
        each.push_back(closeness(p.objects.at(0).points.at(0), truth_of(truth)));
    }
    double mean() const { return std::accumulate(each.begin(), each.end(), 0.0) / static_cast<double>(each.size()); }
    Measured result() const override {
        Measured m;
        m.columns = {{"metrics/closeness", mean()}, {"metrics/mean_point_closeness", blind}};
        m.score = mean(), m.each = each;
        m.text = fmt::format("closeness {:.4f} (mean point {:.4f})", m.score, blind);
        return m;
    }
};

// ---- the task
struct PointTask : Task {
    const Config& config;
    explicit PointTask(const Config& c) : config(c) {}

    TaskInfo info() const override {
        TaskInfo t;
        t.kind = "point", t.name = "closeness", t.title = "closeness", t.column = "metrics/closeness";
        t.blind_column = "metrics/mean_point_closeness", t.blind_title = "mean point";
        t.compare_title = t.plot_title = "Closeness on the validation pictures";
        t.plot = {{t.column, t.title}, {t.blind_column, t.blind_title}};
        t.shown = {{t.blind_title, t.blind_column}};
        return t;
    }
    Need needs() const override { return Need::points; }
    Recipe recipe(bool, std::int64_t) const override {
        Recipe r = squeezed_recipe(config);
        r.settle = keep_largest;
        return r;
    }
    std::vector<Extent> sizes() const override { return training_sizes(config); }
    std::unique_ptr<Model> make_model(const Split&) const override {
        return std::make_unique<Pointer>(config.integer("pointer_width"),
                                         static_cast<std::uint64_t>(config.integer("seed")));
    }
    Objective objective(const Answers& answers, std::span<const Labels> labels) const override {
        Tensor target(Shape{std::ssize(labels), 2});
        for (std::size_t i = 0; i < labels.size(); ++i)
            target.mutable_data()[2 * i] = static_cast<Real>(truth_of(labels[i]).x),
                                      target.mutable_data()[2 * i + 1] = static_cast<Real>(truth_of(labels[i]).y);
        const Var distance = smooth_l1_loss(answers["point"], Var(target), 0.05);
        return LossValue{distance, {{"distance", distance, 1}}};
    }
    std::vector<Reading> read(const Answers& answers) const override {
        Reading r;
        const Tensor& p = answers["point"].value();
        for (std::int64_t i = 0; i < p.dim(0); ++i)
            r.pictures.push_back(
                {{{{}, 1, 0, {{static_cast<double>(p[2 * i]), static_cast<double>(p[2 * i + 1]), 2}}}}});
        return {r};
    }
    std::unique_ptr<Meter> meter(const Split&, const std::vector<Blind>& blind, const std::string&) const override {
        return std::make_unique<PointMeter>(blind.at(0).score);
    }
    std::vector<Blind> blind(const Split& data, const PictureStore& on) const override {
        KeyPoint mean{0, 0, 2};
        double sum = 0;
        for (std::size_t i = 0; i < data.train->size(); ++i)
            mean.x += truth_of(data.train->labels(i)).x / static_cast<double>(data.train->size()),
                mean.y += truth_of(data.train->labels(i)).y / static_cast<double>(data.train->size());
        for (std::size_t i = 0; i < on.size(); ++i) sum += closeness(mean, truth_of(on.labels(i)));
        return {{"mean_point_closeness", "mean point", sum / static_cast<double>(on.size())}};
    }
    Labels draw(Random& random, const Split&) const override {
        return {
            {{{0.5, 0.5, 0.5, 0.5}, 0, false, {{random.uniform(0.2, 0.8), random.uniform(0.2, 0.8), 2}}}}, -1, nullptr};
    }
};

TaskKind point_kind() {
    TaskKind kind{{}, [](const Config& c) { return std::make_unique<PointTask>(c); }};
    kind.keys.kind = "point", kind.keys.puts_out = "a point", kind.keys.asked = "point", kind.keys.models = {"pointer"};
    kind.keys.keys = [] {
        return std::vector<ConfigKey>{keys::integer("pointer_width", 16, 1, 1024, "channels of the first convolution")};
    };
    kind.keys.groups = {"geometry", "objects"};
    return kind;
}

}  // namespace

int main(int argc, char** argv) { return tool(argc, argv, {point_kind()}); }
