// Seventeen weights learn XOR. The shortest program: a network, a tape, an optimizer.
#include <solobox/engine.h>

#include <iostream>

using namespace solobox;

int main() {
    Initializer init(0);  // a seed: the same weights on every machine
    Linear hidden(2, 4, init), out(4, 1, init);
    const auto net = [&](const Var& x) { return out(tanh(hidden(x))); };
    Adam optimizer({{"hidden.weight", &hidden.weight},
                    {"hidden.bias", &hidden.bias},
                    {"out.weight", &out.weight},
                    {"out.bias", &out.bias}});
    const Tensor x = Tensor::from({4, 2}, {0, 0, 0, 1, 1, 0, 1, 1}), y = Tensor::from({4, 1}, {0, 1, 1, 0});
    for (int step = 0; step < 300; ++step) {
        optimizer.zero_grad();
        Tape tape;  // from here on every op is remembered
        const Var loss = binary_cross_entropy_with_logits(net(x), y);
        tape.backward(loss);  // now each parameter has its gradient
        optimizer.step(0.05);
    }
    std::cout << sigmoid(net(x)) << "\n";  // close to 0, 1, 1, 0
}
