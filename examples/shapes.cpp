// A network of one's own learns to tell squares from discs, leaves a page on how its gradients flowed, and is read back
// from its file.
#include <solobox/engine.h>

#include <fstream>
#include <iostream>

using namespace solobox;

struct Net {  // layers are plain members; visit() gives them their names, which are PyTorch's
    Conv2d conv1, conv2;
    GroupNorm norm1{4, 8}, norm2{4, 16};
    Linear out;
    explicit Net(Initializer init)
        : conv1(1, 8, 3, {{2, 2}, {1, 1}}, false, init),
          conv2(8, 16, 3, {{2, 2}, {1, 1}}, false, init),
          out(64, 2, init) {}
    Var operator()(const Var& x) {  // pictures are (N, H, W, C)
        const Var y = norm2(conv2(norm1(conv1(x), Act::relu())), Act::relu());
        return out(flatten_chw(adaptive_avg_pool2d(y, {2, 2})));
    }
    void visit(Visitor& v) {
        v.child("conv1", conv1), v.child("norm1", norm1), v.child("conv2", conv2), v.child("norm2", norm2),
            v.child("out", out);
    }
};

struct Batch {  // of 32 pictures, 16 x 16, and what each of them is
    Tensor x = Tensor::zeros({32, 16, 16, 1});
    IndexTensor y = IndexTensor::zeros({32});
    explicit Batch(Random random) {
        for (int i = 0; i < 32; ++i) {
            const double cx = random.uniform(5, 11), cy = random.uniform(5, 11), r = random.uniform(3, 5);
            y.mutable_data()[i] = i % 2;
            for (int p = 0; p < 256; ++p) {
                const double dx = p % 16 - cx, dy = (p - p % 16) / 16.0 - cy;
                const bool inside = i % 2 ? dx * dx + dy * dy < r * r : std::max(std::abs(dx), std::abs(dy)) < r;
                x.mutable_data()[256 * i + p] = inside;
            }
        }
    }
};

int main() {
    Net net(Initializer(0));
    Adam optimizer(parameters_of(net));
    Trainer trainer(parameters_of(net), optimizer,
                    {[](std::int64_t) { return 3e-3; }, 5});  // rate by step, clipped at 5
    FlowRecorder flow(parameters_of(net));
    std::vector<double> losses;
    for (std::uint32_t step = 0; step < 200; ++step) {
        const Batch b(Random({0, Stream::test, step}));
        const auto loss = [&]() -> Objective { return LossValue{cross_entropy(net(b.x), b.y), {}}; };
        losses.push_back(trainer.step(loss, step % 10 ? nullptr : &flow).loss);
    }
    save(net, "shapes.safetensors");
    Net again(Initializer(1));
    load(again, "shapes.safetensors");
    const Batch fresh(Random({1, Stream::test}));
    const IndexTensor said = argmax(again(fresh.x).value(), 1);
    int right = 0;
    for (int i = 0; i < 32; ++i) right += said[i] == fresh.y[i];
    Report page;
    page.title = "squares and discs";
    page.findings = diagnose({flow.flows(), {}, {}, losses, 3e-3});
    add_flow_layers(page, flow.flows());
    std::ofstream("shapes.html") << render_report(page);
    std::cout << right << " of 32 new pictures right; shapes.html shows the gradients\n";
    return right >= 30 ? 0 : 1;
}
