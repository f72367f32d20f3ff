// An op of one's own: forward, backward, and the check that the one is the derivative of the other. Built in double
// precision (solobox::engine_double), where central differences can tell.
#include <solobox/engine.h>

#include <iostream>

using namespace solobox;

// x exp(-x^2): what is small stays, what is large fades.
Var bump(const Var& x) {
    const Tensor& v = x.value();
    Tensor y(v.shape());
    for (std::int64_t i = 0; i < v.numel(); ++i) y.mutable_data()[i] = v[i] * std::exp(-v[i] * v[i]);
    // The closure keeps numbers, never a Var, and returns one gradient per input; the tape adds them up.
    return record("bump", y, {x}, [v](const Tensor& dy) -> Grads {
        Tensor dx(v.shape());
        for (std::int64_t i = 0; i < v.numel(); ++i)
            dx.mutable_data()[i] = dy[i] * (1 - 2 * v[i] * v[i]) * std::exp(-v[i] * v[i]);
        return {dx};
    });
}

int main() {
    Parameter x(normal({2, 3}, 0, 1, Random({0, Stream::test})));
    const Tensor seed = normal({2, 3}, 0, 1, Random({1, Stream::test}));  // of the gradient that comes from above
    Tape tape;
    tape.backward({{bump(use(x)), seed}});
    double worst = 0;
    for (std::int64_t i = 0; i < x.value.numel(); ++i) {
        const auto moved = [&](double h) {  // sum(seed * bump(x)) with element i moved by h
            const NoGrad quiet;
            Tensor at = x.value.clone();
            at.mutable_data()[i] += h;
            const Tensor y = bump(at).value();
            double sum = 0;
            for (std::int64_t k = 0; k < y.numel(); ++k) sum += seed[k] * y[k];
            return sum;
        };
        worst = std::max(worst, std::abs((moved(1e-6) - moved(-1e-6)) / 2e-6 - x.grad[i]));
    }
    std::cout << "x = " << x.value << "\ndL/dx = " << x.grad << "\nlargest error " << worst << "\n";
    return worst < 1e-8 ? 0 : 1;
}
