// Arithmetic with NumPy broadcasting. Gradients of stretched operands are summed back to the operand's shape.
#pragma once

#include "tensor/tape.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

Var add(const Var& a, const Var& b);
Var sub(const Var& a, const Var& b);
Var mul(const Var& a, const Var& b);
Var div(const Var& a, const Var& b);
// a ** b. Gradient of the base is 0 where the exponent is 0, of the exponent 0 where the base is 0 (PyTorch's rule).
Var pow(const Var& a, const Var& b);
// Where a == b each side receives half of the gradient.
Var minimum(const Var& a, const Var& b);
Var maximum(const Var& a, const Var& b);
// condition != 0 ? a : b; all three broadcast.
Var where(const MaskTensor& condition, const Var& a, const Var& b);

Var neg(const Var& x);
Var reciprocal(const Var& x);
Var exp(const Var& x);
Var log(const Var& x);
Var sqrt(const Var& x);
Var square(const Var& x);
Var abs(const Var& x);  // gradient 0 at 0
Var atan(const Var& x);

inline Var scalar(double value) { return Var(Tensor::scalar(static_cast<Real>(value))); }

inline Var operator+(const Var& a, const Var& b) { return add(a, b); }
inline Var operator-(const Var& a, const Var& b) { return sub(a, b); }
inline Var operator*(const Var& a, const Var& b) { return mul(a, b); }
inline Var operator/(const Var& a, const Var& b) { return div(a, b); }
inline Var operator-(const Var& a) { return neg(a); }
inline Var operator+(const Var& a, double b) { return add(a, scalar(b)); }
inline Var operator-(const Var& a, double b) { return sub(a, scalar(b)); }
inline Var operator*(const Var& a, double b) { return mul(a, scalar(b)); }
inline Var operator/(const Var& a, double b) { return div(a, scalar(b)); }
inline Var operator+(double a, const Var& b) { return add(scalar(a), b); }
inline Var operator-(double a, const Var& b) { return sub(scalar(a), b); }
inline Var operator*(double a, const Var& b) { return mul(scalar(a), b); }
inline Var operator/(double a, const Var& b) { return div(scalar(a), b); }

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
