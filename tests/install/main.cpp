// d/dw of (w . x)^2 at w = (1, 2), x = (3, 4) is 2 (w . x) x = (66, 88).
#include <solobox/engine.h>

int main() {
    using namespace solobox;
    Parameter w(Tensor::from({1, 2}, {1, 2}));
    Tape tape;
    tape.backward(mse_loss(linear(Var(Tensor::from({1, 2}, {3, 4})), use(w)), Var(Tensor::zeros({1, 1}))));
    return w.grad[0] == 66 && w.grad[1] == 88 ? 0 : 1;
}
