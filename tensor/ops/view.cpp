#include "tensor/ops/view.h"

#include "tensor/ops/elementwise.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

Var reshape(const Var& x, const std::vector<std::int64_t>& shape) {
    auto dims = shape;
    std::int64_t known = 1, open = -1;
    for (std::size_t i = 0; i < dims.size(); ++i) {
        if (dims[i] != -1) {
            known = checked_mul(known, dims[i]);
            continue;
        }
        check(open < 0, "[reshape] only one size may be -1");
        open = static_cast<std::int64_t>(i);
    }
    if (open >= 0) {
        check(known > 0 && x.numel() % known == 0, "[reshape] {} elements of {} do not divide by {}", x.numel(),
              x.shape().str(), known);
        dims[static_cast<std::size_t>(open)] = x.numel() / known;
    }
    return record("reshape", x.value().reshaped(Shape(dims)), {x},
                  [from = x.shape()](const Tensor& dy) -> Grads { return {dy.reshaped(from)}; });
}

Var permute(const Var& x, const std::vector<int>& order) {
    Tensor y = permuted(x.value(), order);
    std::vector<int> back(order.size());
    for (std::size_t i = 0; i < order.size(); ++i)
        back[static_cast<std::size_t>(x.shape().normal_axis(order[i]))] = static_cast<int>(i);
    return record("permute", y, {x}, [back](const Tensor& dy) -> Grads { return {permuted(dy, back)}; });
}

Var transpose(const Var& x, int axis0, int axis1) {
    if (x.rank() == 0) return x;
    std::vector<int> order(static_cast<std::size_t>(x.rank()));
    for (int i = 0; i < x.rank(); ++i) order[static_cast<std::size_t>(i)] = i;
    std::swap(order[static_cast<std::size_t>(x.shape().normal_axis(axis0))],
              order[static_cast<std::size_t>(x.shape().normal_axis(axis1))]);
    return permute(x, order);
}

Var expand(const Var& x, const std::vector<std::int64_t>& shape) {
    auto dims = shape;
    const std::size_t lead = dims.size() - static_cast<std::size_t>(x.rank());
    check(dims.size() >= static_cast<std::size_t>(x.rank()), "[expand] {} has more axes than the {} asked for",
          x.shape().str(), dims.size());
    for (std::size_t i = 0; i < dims.size(); ++i)
        if (dims[i] == -1) {
            check(i >= lead, "[expand] size -1 at axis {}: shape {} has no such axis to keep", i, x.shape().str());
            dims[i] = x.dim(static_cast<int>(i - lead));
        }
    const Shape target(dims);
    check(broadcast_shape("expand", x.shape(), target) == target, "[expand] {} does not stretch to {}", x.shape().str(),
          target.str());
    return record("expand", stretched(x.value(), target), {x},
                  [from = x.shape()](const Tensor& dy) -> Grads { return {reduce_to(dy, from)}; });
}

namespace {

// Moves a block of `count` positions along one axis between a full tensor and a piece of it.
struct Window {
    std::int64_t outer, full, inner;      // the full tensor as (outer, full, inner)
    std::int64_t start, count, step = 1;  // which positions of `full`

    Tensor read(const Tensor& x, const Shape& shape) const {
        Tensor y(shape);
        for (std::int64_t o = 0; o < outer; ++o)
            for (std::int64_t k = 0; k < count; ++k)
                std::copy_n(x.data() + (o * full + start + k * step) * inner, inner,
                            y.mutable_data() + (o * count + k) * inner);
        return y;
    }
    void write(const Tensor& piece, Tensor& x) const {
        for (std::int64_t o = 0; o < outer; ++o)
            for (std::int64_t k = 0; k < count; ++k)
                std::copy_n(piece.data() + (o * count + k) * inner, inner,
                            x.mutable_data() + (o * full + start + k * step) * inner);
    }
};

Var read_window(const char* op, const Var& x, int axis, std::int64_t start, std::int64_t count, std::int64_t step) {
    const Window w{x.shape().outer(axis), x.dim(axis), x.shape().inner(axis), start, count, step};
    return record(op, w.read(x.value(), x.shape().with(axis, count)), {x},
                  [w, from = x.shape()](const Tensor& dy) -> Grads {
                      Tensor dx = Tensor::zeros(from);
                      w.write(dy, dx);
                      return {dx};
                  });
}

}  // namespace

Var slice(const Var& x, const Slice& s) {
    check(s.step >= 1, "[slice] the step is {}, expected at least 1", s.step);
    const std::int64_t n = x.dim(s.axis);
    const auto bound = [n](std::int64_t v) { return std::clamp<std::int64_t>(v < 0 ? v + n : v, 0, n); };
    const std::int64_t start = bound(s.start.value_or(0)), end = bound(s.end.value_or(n));
    return read_window("slice", x, s.axis, start, std::max<std::int64_t>(0, (end - start + s.step - 1) / s.step),
                       s.step);
}

std::vector<Var> split(const Var& x, const std::vector<std::int64_t>& lengths, int axis) {
    std::int64_t total = 0;
    for (const auto length : lengths) total += length;
    check(total == x.dim(axis), "[split] pieces add up to {}, axis {} of {} has {}", total, axis, x.shape().str(),
          x.dim(axis));
    std::vector<Var> parts;
    std::int64_t start = 0;
    for (const auto length : lengths) {
        parts.push_back(read_window("split", x, axis, start, length, 1));
        start += length;
    }
    return parts;
}

std::vector<Var> split(const Var& x, std::int64_t length, int axis) {
    check(length >= 1, "[split] pieces of {} elements: expected at least 1", length);
    std::vector<std::int64_t> lengths;
    for (std::int64_t left = x.dim(axis); left > 0; left -= length) lengths.push_back(std::min(left, length));
    return split(x, lengths, axis);
}

Var cat(const std::vector<Var>& parts, int axis) {
    check(!parts.empty(), "[cat] needs at least one tensor");
    const Shape& first = parts[0].shape();
    const int at = first.normal_axis(axis);
    std::int64_t total = 0;
    for (const Var& part : parts) {
        check(part.rank() == first.rank() && part.shape().with(at, 0) == first.with(at, 0),
              "[cat] shapes {} and {} differ outside axis {}", first.str(), part.shape().str(), axis);
        total += part.dim(at);
    }
    const Shape shape = first.with(at, total);
    Tensor y(shape);
    std::vector<Window> windows;
    std::vector<Shape> shapes;
    std::int64_t start = 0;
    for (const Var& part : parts) {
        windows.push_back({shape.outer(at), total, shape.inner(at), start, part.dim(at)});
        shapes.push_back(part.shape());
        windows.back().write(part.value(), y);
        start += part.dim(at);
    }
    return record("cat", y, parts, [windows, shapes](const Tensor& dy) -> Grads {
        Grads grads;
        for (std::size_t i = 0; i < windows.size(); ++i) grads.push_back(windows[i].read(dy, shapes[i]));
        return grads;
    });
}

Var stack(const std::vector<Var>& parts, int axis) {
    check(!parts.empty(), "[stack] needs at least one tensor");
    std::vector<Var> raised;
    for (const Var& part : parts) raised.push_back(reshape(part, part.shape().inserted(axis, 1).dims()));
    return cat(raised, axis < 0 ? axis + raised[0].rank() : axis);
}

Var pad(const Var& x, const std::vector<std::int64_t>& amounts, double value) {
    check(amounts.size() % 2 == 0 && amounts.size() / 2 <= static_cast<std::size_t>(x.rank()),
          "[pad] {} amounts for shape {}: expected a pair per padded axis, the last axis first", amounts.size(),
          x.shape().str());
    Var y = x;
    for (std::size_t pair = 0; pair < amounts.size() / 2; ++pair) {
        const int axis = x.rank() - 1 - static_cast<int>(pair);
        const std::int64_t before = amounts[2 * pair], after = amounts[2 * pair + 1];
        if (before < 0 || after < 0) {  // crop first
            y = slice(y,
                      {axis, std::max<std::int64_t>(-before, 0), y.dim(axis) - std::max<std::int64_t>(-after, 0), 1});
        }
        const std::int64_t front = std::max<std::int64_t>(before, 0), back = std::max<std::int64_t>(after, 0);
        if (front + back == 0) continue;
        const Shape shape = y.shape().with(axis, y.dim(axis) + front + back);
        const Window w{shape.outer(axis), shape[axis], shape.inner(axis), front, y.dim(axis)};
        Tensor out = Tensor::full(shape, static_cast<Real>(value));
        w.write(y.value(), out);
        y = record("pad", out, {y}, [w, from = y.shape()](const Tensor& dy) -> Grads { return {w.read(dy, from)}; });
    }
    return y;
}

namespace {

void check_index(const char* op, std::int64_t index, std::int64_t size) {
    check(index >= 0 && index < size, "[{}] index {} is out of range for size {}", op, index, size);
}

}  // namespace

Var gather(const Var& x, int axis, const IndexTensor& index) {
    if (x.rank() == 0) return reshape(gather(reshape(x, {1}), 0, index.reshaped(Shape{1})), {});
    const int at = x.shape().normal_axis(axis);
    check(index.rank() == x.rank(), "[gather] index {} and input {} differ in rank", index.shape().str(),
          x.shape().str());
    for (int a = 0; a < x.rank(); ++a)
        check(a == at || index.dim(a) <= x.dim(a), "[gather] index {} exceeds input {} along axis {}",
              index.shape().str(), x.shape().str(), a);
    // Where each element of the result comes from.
    IndexTensor from(index.shape());
    std::vector<std::int64_t> position(static_cast<std::size_t>(x.rank()), 0);
    for (std::int64_t i = 0; i < index.numel(); ++i) {
        check_index("gather", index[i], x.dim(at));
        std::int64_t offset = 0;
        for (int a = 0; a < x.rank(); ++a)
            offset += (a == at ? index[i] : position[static_cast<std::size_t>(a)]) * x.shape().inner(a);
        from.mutable_data()[i] = offset;
        for (int a = x.rank() - 1; a >= 0; --a) {
            if (++position[static_cast<std::size_t>(a)] < index.dim(a)) break;
            position[static_cast<std::size_t>(a)] = 0;
        }
    }
    Tensor y(index.shape());
    for (std::int64_t i = 0; i < y.numel(); ++i) y.mutable_data()[i] = x.value()[from[i]];
    return record("gather", y, {x}, [from, shape = x.shape()](const Tensor& dy) -> Grads {
        Tensor dx = Tensor::zeros(shape);
        for (std::int64_t i = 0; i < dy.numel(); ++i) dx.mutable_data()[from[i]] += dy[i];
        return {dx};
    });
}

Var index_select(const Var& x, int axis, const IndexTensor& index) {
    check(index.rank() <= 1, "[index_select] index is {}, expected rank 1", index.shape().str());
    const std::int64_t outer = x.shape().outer(axis), size = x.dim(axis), inner = x.shape().inner(axis);
    const std::int64_t count = index.numel();
    for (std::int64_t k = 0; k < count; ++k) check_index("index_select", index[k], size);
    Tensor y(x.shape().with(axis, count));
    for (std::int64_t o = 0; o < outer; ++o)
        for (std::int64_t k = 0; k < count; ++k)
            std::copy_n(x.value().data() + (o * size + index[k]) * inner, inner,
                        y.mutable_data() + (o * count + k) * inner);
    return record("index_select", y, {x}, [=, shape = x.shape()](const Tensor& dy) -> Grads {
        Tensor dx = Tensor::zeros(shape);
        for (std::int64_t o = 0; o < outer; ++o)
            for (std::int64_t k = 0; k < count; ++k)
                for (std::int64_t i = 0; i < inner; ++i)
                    dx.mutable_data()[(o * size + index[k]) * inner + i] += dy[(o * count + k) * inner + i];
        return {dx};
    });
}

Var embedding(const Var& weight, const IndexTensor& index, std::optional<std::int64_t> padding_index) {
    check(weight.rank() == 2, "[embedding] weight is {}, expected (rows, width)", weight.shape().str());
    const std::int64_t rows = weight.dim(0), width = weight.dim(1);
    const std::int64_t skip = padding_index ? (*padding_index < 0 ? *padding_index + rows : *padding_index) : -1;
    Tensor y(index.shape().inserted(index.rank(), width));
    for (std::int64_t i = 0; i < index.numel(); ++i) {
        check_index("embedding", index[i], rows);
        std::copy_n(weight.value().data() + index[i] * width, width, y.mutable_data() + i * width);
    }
    return record("embedding", y, {weight}, [index, skip, width, shape = weight.shape()](const Tensor& dy) -> Grads {
        Tensor dw = Tensor::zeros(shape);
        for (std::int64_t i = 0; i < index.numel(); ++i)
            for (std::int64_t k = 0; index[i] != skip && k < width; ++k)
                dw.mutable_data()[index[i] * width + k] += dy[i * width + k];
        return {dw};
    });
}

Var flatten_chw(const Var& x) {
    check(x.rank() == 4, "[flatten_chw] input is {}, expected (N, H, W, C)", x.shape().str());
    const Shape nhwc = x.shape();
    const Shape flat{nhwc[0], checked_mul(nhwc[1] * nhwc[2], nhwc[3])}, nchw{nhwc[0], nhwc[3], nhwc[1], nhwc[2]};
    return record("flatten_chw", nchw_from_nhwc(x.value()).reshaped(flat), {x},
                  [nchw](const Tensor& dy) -> Grads { return {nhwc_from_nchw(dy.reshaped(nchw))}; });
}

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
