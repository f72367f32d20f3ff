#include "tensor/ops/arith.h"

#include <cmath>

#include "tensor/ops/elementwise.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

Var add(const Var& a, const Var& b) {
    Tensor y = broadcast_zip("add", a.value(), b.value(), [](Real p, Real q) { return p + q; });
    return record("add", y, {a, b}, [sa = a.shape(), sb = b.shape()](const Tensor& dy) -> Grads {
        return {reduce_to(dy, sa), reduce_to(dy, sb)};
    });
}

Var sub(const Var& a, const Var& b) {
    Tensor y = broadcast_zip("sub", a.value(), b.value(), [](Real p, Real q) { return p - q; });
    return record("sub", y, {a, b}, [sa = a.shape(), sb = b.shape()](const Tensor& dy, const Wanted& want) -> Grads {
        return {reduce_to(dy, sa), want[1] ? reduce_to(map(dy, [](Real g) { return -g; }), sb) : Tensor{}};
    });
}

Var mul(const Var& a, const Var& b) {
    const auto times = [](Real p, Real q) { return p * q; };
    Tensor y = broadcast_zip("mul", a.value(), b.value(), times);
    return record("mul", y, {a, b},
                  [times, x = a.value(), z = b.value()](const Tensor& dy, const Wanted& want) -> Grads {
                      return {want[0] ? reduce_to(broadcast_zip("mul", dy, z, times), x.shape()) : Tensor{},
                              want[1] ? reduce_to(broadcast_zip("mul", dy, x, times), z.shape()) : Tensor{}};
                  });
}

Var div(const Var& a, const Var& b) {
    const auto over = [](Real p, Real q) { return p / q; };
    Tensor y = broadcast_zip("div", a.value(), b.value(), over);
    return record("div", y, {a, b},
                  [over, y, sa = a.shape(), z = b.value()](const Tensor& dy, const Wanted& want) -> Grads {
                      const Tensor da = broadcast_zip("div", dy, z, over);  // dy / b
                      Tensor db;
                      if (want[1])
                          db = reduce_to(zip(da, y, [](Real g, Real q) { return -g * q; }), z.shape());  // -dy a / b^2
                      return {reduce_to(da, sa), db};
                  });
}

Var pow(const Var& a, const Var& b) {
    const auto power = [](Real p, Real q) { return std::pow(p, q); };
    Tensor y = broadcast_zip("pow", a.value(), b.value(), power);
    return record("pow", y, {a, b}, [y, x = a.value(), e = b.value()](const Tensor& dy, const Wanted& want) -> Grads {
        Tensor da, db;
        if (want[0]) {
            const auto slope = [](Real p, Real q) { return q == 0 ? Real(0) : q * std::pow(p, q - 1); };
            const Tensor d = broadcast_zip("pow", x, e, slope);
            da = reduce_to(zip(dy, d, [](Real g, Real s) { return g * s; }), x.shape());
        }
        if (want[1]) {
            const auto slope = [](Real p, Real q) { return p == 0 && q >= 0 ? Real(0) : std::pow(p, q) * std::log(p); };
            const Tensor d = broadcast_zip("pow", x, e, slope);
            db = reduce_to(zip(dy, d, [](Real g, Real s) { return g * s; }), e.shape());
        }
        return {da, db};
    });
}

namespace {

// minimum and maximum: `side(a, b)` is 1 where a wins, 0 where b does, 1/2 at a tie.
template <class Pick, class Side>
Var extremum(const char* op, const Var& a, const Var& b, Pick pick, Side side) {
    Tensor y = broadcast_zip(op, a.value(), b.value(), pick);
    return record(op, y, {a, b}, [op, side, x = a.value(), z = b.value()](const Tensor& dy) -> Grads {
        const Tensor share = broadcast_zip(op, x, z, side);
        return {reduce_to(zip(dy, share, [](Real g, Real s) { return g * s; }), x.shape()),
                reduce_to(zip(dy, share, [](Real g, Real s) { return g * (1 - s); }), z.shape())};
    });
}

}  // namespace

Var minimum(const Var& a, const Var& b) {
    return extremum(
        "minimum", a, b, [](Real p, Real q) { return std::isnan(p) || p < q ? p : q; },
        [](Real p, Real q) { return p < q    ? Real(1)
                                    : p == q ? Real(0.5)
                                             : Real(0); });
}

Var maximum(const Var& a, const Var& b) {
    return extremum(
        "maximum", a, b, [](Real p, Real q) { return std::isnan(p) || p > q ? p : q; },
        [](Real p, Real q) { return p > q    ? Real(1)
                                    : p == q ? Real(0.5)
                                             : Real(0); });
}

Var where(const MaskTensor& condition, const Var& a, const Var& b) {
    const Shape shape = broadcast_shape("where", condition.shape(), broadcast_shape("where", a.shape(), b.shape()));
    const MaskTensor mask = stretched(condition, shape);
    const Tensor x = stretched(a.value(), shape), z = stretched(b.value(), shape);
    Tensor y(shape);
    for (std::int64_t i = 0; i < y.numel(); ++i) y.mutable_data()[i] = mask[i] ? x[i] : z[i];
    return record("where", y, {a, b}, [mask, sa = a.shape(), sb = b.shape()](const Tensor& dy) -> Grads {
        Tensor da(dy.shape()), db(dy.shape());
        for (std::int64_t i = 0; i < dy.numel(); ++i) {
            da.mutable_data()[i] = mask[i] ? dy[i] : Real(0);
            db.mutable_data()[i] = mask[i] ? Real(0) : dy[i];
        }
        return {reduce_to(da, sa), reduce_to(db, sb)};
    });
}

Var neg(const Var& x) {
    const auto minus = [](Real v) { return -v; };
    return record("neg", map(x.value(), minus), {x}, [minus](const Tensor& dy) -> Grads { return {map(dy, minus)}; });
}

Var reciprocal(const Var& x) {
    Tensor y = map(x.value(), [](Real v) { return 1 / v; });
    return record("reciprocal", y, {x},
                  [y](const Tensor& dy) -> Grads { return {zip(dy, y, [](Real g, Real r) { return -g * r * r; })}; });
}

Var exp(const Var& x) {
    Tensor y = map(x.value(), [](Real v) { return std::exp(v); });
    return record("exp", y, {x},
                  [y](const Tensor& dy) -> Grads { return {zip(dy, y, [](Real g, Real e) { return g * e; })}; });
}

Var log(const Var& x) {
    Tensor y = map(x.value(), [](Real v) { return std::log(v); });
    return record("log", y, {x}, [v = x.value()](const Tensor& dy) -> Grads {
        return {zip(dy, v, [](Real g, Real p) { return g / p; })};
    });
}

Var sqrt(const Var& x) {
    Tensor y = map(x.value(), [](Real v) { return std::sqrt(v); });
    return record("sqrt", y, {x},
                  [y](const Tensor& dy) -> Grads { return {zip(dy, y, [](Real g, Real r) { return g / (2 * r); })}; });
}

Var square(const Var& x) {
    Tensor y = map(x.value(), [](Real v) { return v * v; });
    return record("square", y, {x}, [v = x.value()](const Tensor& dy) -> Grads {
        return {zip(dy, v, [](Real g, Real p) { return 2 * g * p; })};
    });
}

Var abs(const Var& x) {
    Tensor y = map(x.value(), [](Real v) { return std::abs(v); });
    return record("abs", y, {x}, [v = x.value()](const Tensor& dy) -> Grads {
        return {zip(dy, v, [](Real g, Real p) { return p > 0 ? g : p < 0 ? -g : Real(0); })};
    });
}

Var atan(const Var& x) {
    Tensor y = map(x.value(), [](Real v) { return std::atan(v); });
    return record("atan", y, {x}, [v = x.value()](const Tensor& dy) -> Grads {
        return {zip(dy, v, [](Real g, Real p) { return g / (1 + p * p); })};
    });
}

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
