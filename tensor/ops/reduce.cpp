#include "tensor/ops/reduce.h"

#include <cmath>

#include "tensor/ops/elementwise.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {
namespace {

// A tensor seen as (kept, reduced): every reduction works on the rows of this matrix.
struct Rows {
    std::vector<int> order;  // kept axes, then reduced ones
    Shape permuted_shape;    // the input's sizes in that order
    Shape result, keepdim;   // shape of the result without and with the reduced axes
    std::int64_t count = 1, length = 1;

    Rows(const Shape& shape, const Axes& axes) {
        std::vector<bool> reduced(static_cast<std::size_t>(shape.rank()), axes.empty());
        for (const int axis : axes) {
            const auto a = static_cast<std::size_t>(shape.normal_axis(axis));
            check(!reduced[a], "axis {} is given twice for shape {}", axis, shape.str());
            reduced[a] = true;
        }
        std::vector<std::int64_t> kept_dims, all_dims, dims;
        for (int pass = 0; pass < 2; ++pass)
            for (int axis = 0; axis < shape.rank(); ++axis) {
                if (reduced[static_cast<std::size_t>(axis)] != (pass == 1)) continue;
                order.push_back(axis);
                dims.push_back(shape[axis]);
                (pass ? length : count) *= shape[axis];
                if (!pass) kept_dims.push_back(shape[axis]);
            }
        for (int axis = 0; axis < shape.rank(); ++axis)
            all_dims.push_back(reduced[static_cast<std::size_t>(axis)] ? 1 : shape[axis]);
        permuted_shape = Shape(dims);
        result = Shape(kept_dims);
        keepdim = Shape(all_dims);
    }
    bool in_place() const {
        for (std::size_t i = 0; i < order.size(); ++i)
            if (order[i] != static_cast<int>(i)) return false;
        return true;
    }
    Tensor gather(const Tensor& x) const { return in_place() ? x : permuted(x, order); }
    Tensor scatter(const Tensor& rows) const {
        const Tensor x = rows.reshaped(permuted_shape);
        if (in_place()) return x;
        std::vector<int> back(order.size());
        for (std::size_t i = 0; i < order.size(); ++i) back[static_cast<std::size_t>(order[i])] = static_cast<int>(i);
        return permuted(x, back);
    }
};

double row_sum(const Real* row, std::int64_t n) {
    double total = 0;
    for (std::int64_t i = 0; i < n; ++i) total += static_cast<double>(row[i]);
    return total;
}

Var spread(const char* op, const Var& x, const Axes& axes, bool unbiased, bool keepdim, bool root) {
    const Rows rows(x.shape(), axes);
    const double divisor = static_cast<double>(rows.length) - (unbiased ? 1 : 0);
    check(divisor > 0, "[{}] needs at least {} elements to reduce, shape {}", op, unbiased ? 2 : 1, x.shape().str());
    const Tensor values = rows.gather(x.value());
    Tensor y(keepdim ? rows.keepdim : rows.result), centred(values.shape());
    for (std::int64_t r = 0; r < rows.count; ++r) {
        const Real* row = values.data() + r * rows.length;
        const double centre = row_sum(row, rows.length) / static_cast<double>(rows.length);
        double total = 0;
        for (std::int64_t i = 0; i < rows.length; ++i) {
            const double d = static_cast<double>(row[i]) - centre;
            centred.mutable_data()[r * rows.length + i] = static_cast<Real>(d);
            total += d * d;
        }
        y.mutable_data()[r] = static_cast<Real>(root ? std::sqrt(total / divisor) : total / divisor);
    }
    return record(op, y, {x}, [rows, centred, y, divisor, root](const Tensor& dy) -> Grads {
        Tensor dx(centred.shape());
        for (std::int64_t r = 0; r < rows.count; ++r) {
            // d var = 2 (x - mean) / divisor; d std = d var / (2 std)
            double scale = static_cast<double>(dy[r]) / divisor;
            scale = root ? (y[r] == 0 ? 0 : scale / static_cast<double>(y[r])) : 2 * scale;
            for (std::int64_t i = r * rows.length; i < (r + 1) * rows.length; ++i)
                dx.mutable_data()[i] = static_cast<Real>(scale * static_cast<double>(centred[i]));
        }
        return {rows.scatter(dx)};
    });
}

// sign = 1: maximum, -1: minimum
Var shared_extremum(const char* op, const Var& x, const Axes& axes, bool keepdim, Real sign) {
    const Rows rows(x.shape(), axes);
    check(rows.length > 0, "[{}] cannot reduce shape {} over no elements", op, x.shape().str());
    const Tensor values = rows.gather(x.value());
    Tensor y(keepdim ? rows.keepdim : rows.result);
    for (std::int64_t r = 0; r < rows.count; ++r) {
        const Real* row = values.data() + r * rows.length;
        Real best = row[0];
        for (std::int64_t i = 1; i < rows.length; ++i)
            if (sign * row[i] > sign * best || std::isnan(row[i])) best = row[i];
        y.mutable_data()[r] = best;
    }
    return record(op, y, {x}, [rows, values, y](const Tensor& dy) -> Grads {
        Tensor dx(values.shape());
        for (std::int64_t r = 0; r < rows.count; ++r) {
            const std::int64_t begin = r * rows.length, end = begin + rows.length;
            const auto ties = std::count(values.data() + begin, values.data() + end, y[r]);
            const Real share = dy[r] / static_cast<Real>(std::max<std::int64_t>(ties, 1));
            for (std::int64_t i = begin; i < end; ++i) dx.mutable_data()[i] = values[i] == y[r] ? share : Real(0);
        }
        return {rows.scatter(dx)};
    });
}

std::pair<Var, IndexTensor> first_extremum(const char* op, const Var& x, int axis, bool keepdim, Real sign) {
    const Rows rows(x.shape(), {axis});
    check(rows.length > 0, "[{}] cannot reduce shape {} over no elements", op, x.shape().str());
    const Tensor values = rows.gather(x.value());
    Tensor y(keepdim ? rows.keepdim : rows.result);
    IndexTensor index(y.shape());
    for (std::int64_t r = 0; r < rows.count; ++r) {
        const Real* row = values.data() + r * rows.length;
        std::int64_t best = 0;
        for (std::int64_t i = 1; i < rows.length && !std::isnan(row[best]); ++i)
            if (sign * row[i] > sign * row[best] || std::isnan(row[i])) best = i;
        y.mutable_data()[r] = row[best];
        index.mutable_data()[r] = best;
    }
    Var out = record(op, y, {x}, [rows, index](const Tensor& dy) -> Grads {
        Tensor dx = Tensor::zeros(rows.permuted_shape);
        for (std::int64_t r = 0; r < rows.count; ++r) dx.mutable_data()[r * rows.length + index[r]] = dy[r];
        return {rows.scatter(dx)};
    });
    return {out, index};
}

}  // namespace

Var sum(const Var& x, const Axes& axes, bool keepdim) {
    const Rows rows(x.shape(), axes);
    const Tensor values = rows.gather(x.value());
    Tensor y(keepdim ? rows.keepdim : rows.result);
    for (std::int64_t r = 0; r < rows.count; ++r)
        y.mutable_data()[r] = static_cast<Real>(row_sum(values.data() + r * rows.length, rows.length));
    return record("sum", y, {x}, [rows](const Tensor& dy) -> Grads {
        Tensor dx(rows.permuted_shape);
        for (std::int64_t r = 0; r < rows.count; ++r)
            std::fill_n(dx.mutable_data() + r * rows.length, rows.length, dy[r]);
        return {rows.scatter(dx)};
    });
}

Var mean(const Var& x, const Axes& axes, bool keepdim) {
    const Rows rows(x.shape(), axes);
    check(rows.length > 0, "[mean] shape {} has no elements to average", x.shape().str());
    const Tensor values = rows.gather(x.value());
    const double share = 1 / static_cast<double>(rows.length);
    Tensor y(keepdim ? rows.keepdim : rows.result);
    for (std::int64_t r = 0; r < rows.count; ++r)
        y.mutable_data()[r] = static_cast<Real>(row_sum(values.data() + r * rows.length, rows.length) * share);
    return record("mean", y, {x}, [rows, share](const Tensor& dy) -> Grads {
        Tensor dx(rows.permuted_shape);
        for (std::int64_t r = 0; r < rows.count; ++r)
            std::fill_n(dx.mutable_data() + r * rows.length, rows.length, dy[r] * static_cast<Real>(share));
        return {rows.scatter(dx)};
    });
}

Var var(const Var& x, const Axes& axes, bool unbiased, bool keepdim) {
    return spread("var", x, axes, unbiased, keepdim, false);
}
Var std_dev(const Var& x, const Axes& axes, bool unbiased, bool keepdim) {
    return spread("std", x, axes, unbiased, keepdim, true);
}
Var amax(const Var& x, const Axes& axes, bool keepdim) { return shared_extremum("amax", x, axes, keepdim, 1); }
Var amin(const Var& x, const Axes& axes, bool keepdim) { return shared_extremum("amin", x, axes, keepdim, -1); }

std::pair<Var, IndexTensor> max(const Var& x, int axis, bool keepdim) {
    return first_extremum("max", x, axis, keepdim, 1);
}
std::pair<Var, IndexTensor> min(const Var& x, int axis, bool keepdim) {
    return first_extremum("min", x, axis, keepdim, -1);
}
IndexTensor argmax(const Tensor& x, int axis, bool keepdim) {
    return first_extremum("argmax", Var(x), axis, keepdim, 1).second;
}

Var softmax(const Var& x, int axis) {
    const Rows rows(x.shape(), {axis});
    const Tensor values = rows.gather(x.value());
    Tensor y(values.shape());
    for (std::int64_t r = 0; r < rows.count; ++r) {
        const Real* row = values.data() + r * rows.length;
        Real* out = y.mutable_data() + r * rows.length;
        const Real top = *std::max_element(row, row + rows.length);
        double total = 0;
        for (std::int64_t i = 0; i < rows.length; ++i) total += static_cast<double>(out[i] = std::exp(row[i] - top));
        for (std::int64_t i = 0; i < rows.length; ++i) out[i] = static_cast<Real>(static_cast<double>(out[i]) / total);
    }
    return record("softmax", rows.scatter(y), {x}, [rows, y](const Tensor& dy) -> Grads {
        const Tensor g = rows.gather(dy);
        Tensor dx(y.shape());
        for (std::int64_t r = 0; r < rows.count; ++r) {
            const std::int64_t begin = r * rows.length, end = begin + rows.length;
            double dot = 0;
            for (std::int64_t i = begin; i < end; ++i) dot += static_cast<double>(g[i]) * static_cast<double>(y[i]);
            for (std::int64_t i = begin; i < end; ++i) dx.mutable_data()[i] = y[i] * (g[i] - static_cast<Real>(dot));
        }
        return {rows.scatter(dx)};
    });
}

Var log_softmax(const Var& x, int axis) {
    const Rows rows(x.shape(), {axis});
    const Tensor values = rows.gather(x.value());
    Tensor y(values.shape());
    for (std::int64_t r = 0; r < rows.count; ++r) {
        const Real* row = values.data() + r * rows.length;
        const Real top = *std::max_element(row, row + rows.length);
        double total = 0;
        for (std::int64_t i = 0; i < rows.length; ++i) total += std::exp(static_cast<double>(row[i] - top));
        const Real shift = static_cast<Real>(std::log(total));
        for (std::int64_t i = 0; i < rows.length; ++i) y.mutable_data()[r * rows.length + i] = row[i] - top - shift;
    }
    return record("log_softmax", rows.scatter(y), {x}, [rows, y](const Tensor& dy) -> Grads {
        const Tensor g = rows.gather(dy);
        Tensor dx(y.shape());
        for (std::int64_t r = 0; r < rows.count; ++r) {
            const std::int64_t begin = r * rows.length;
            const Real total = static_cast<Real>(row_sum(g.data() + begin, rows.length));
            for (std::int64_t i = begin; i < begin + rows.length; ++i)
                dx.mutable_data()[i] = g[i] - std::exp(y[i]) * total;
        }
        return {rows.scatter(dx)};
    });
}

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
