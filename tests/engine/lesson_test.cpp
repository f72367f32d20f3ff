// The numbers of docs/conv_backward.md.
#include <gtest/gtest.h>

#include "tensor/kernels/dispatch.h"
#include "tensor/ops.h"

namespace solobox {
namespace {

std::vector<double> numbers(const Tensor& t) { return {t.data(), t.data() + t.numel()}; }

double dot(const Tensor& a, const Tensor& b) {
    double sum = 0;
    for (std::int64_t i = 0; i < a.numel(); ++i) sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
    return sum;
}

TEST(EngineLesson, TheNumbersOfTheConvolutionPageAreRight) {
    Parameter x(Tensor::from(Shape{1, 3, 3, 1}, {1, 2, 0, 0, 1, 3, 2, 1, 1}));
    Parameter w(Tensor::from({2, 2, 1, 1}, {1, -1, 2, 0})), b(Tensor::from({1}, {0}));
    const Tensor dy = Tensor::from({1, 2, 2, 1}, {1, 0, 2, -1});
    Tape tape;
    const Var y = conv2d(use(x), use(w), use(b), {});
    EXPECT_EQ(numbers(y.value()), (std::vector<double>{-1, 4, 3, 0}));
    tape.backward({{y, dy}});
    EXPECT_EQ(numbers(w.grad), (std::vector<double>{0, 1, 3, 2}));
    EXPECT_EQ(numbers(x.grad), (std::vector<double>{1, -1, 0, 4, -3, 1, 4, -2, 0}));
    EXPECT_EQ(numbers(b.grad), (std::vector<double>{2}));
    EXPECT_EQ(dot(dy, y.value()), 5);
    EXPECT_EQ(dot(w.grad, w.value), 5);
    EXPECT_EQ(dot(x.grad, x.value), 5);
}

}  // namespace
}  // namespace solobox
