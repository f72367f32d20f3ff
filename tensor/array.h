// Dense numbers with a shape: a small value handle on shared, contiguous, row-major storage.
//
// Copying an Array copies the handle: both see the same numbers. clone() is the only copy of the numbers. No op writes
// into an existing array; mutable_data() is for the code that has just made one, and for the few that may write in
// place (optimizers, clipping, running statistics).
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "tensor/pool.h"
#include "tensor/shape.h"

namespace solobox {

template <class T>
class Array {
public:
    Array() = default;                  // undefined: no storage; defined() is false
    explicit Array(const Shape& shape)  // uninitialised numbers
        : shape_(shape), block_(pool::allocate(checked_mul(shape.numel(), sizeof(T)))) {}

    static Array full(const Shape& shape, T value) {
        Array a(shape);
        std::fill_n(a.mutable_data(), a.numel(), value);
        return a;
    }
    static Array zeros(const Shape& shape) { return full(shape, T(0)); }
    static Array from(const Shape& shape, const std::vector<T>& values) {
        check(static_cast<std::int64_t>(values.size()) == shape.numel(), "{} values do not fill shape {}",
              values.size(), shape.str());
        Array a(shape);
        std::copy(values.begin(), values.end(), a.mutable_data());
        return a;
    }
    static Array scalar(T value) { return full(Shape{}, value); }

    bool defined() const { return block_ != nullptr; }
    const Shape& shape() const { return shape_; }
    int rank() const { return shape_.rank(); }
    std::int64_t dim(int axis) const { return shape_[axis]; }
    std::int64_t numel() const { return shape_.numel(); }

    const T* data() const { return reinterpret_cast<const T*>(block_.get()); }
    T* mutable_data() { return reinterpret_cast<T*>(block_.get()); }
    T operator[](std::int64_t flat) const { return data()[flat]; }
    T item() const {
        check(numel() == 1, "item() needs one element, the shape is {}", shape_.str());
        return data()[0];
    }
    std::vector<T> to_vector() const { return {data(), data() + numel()}; }

    Array clone() const {
        Array copy(shape_);
        std::copy_n(data(), numel(), copy.mutable_data());
        return copy;
    }
    // The same numbers under another shape of as many elements.
    Array reshaped(const Shape& shape) const {
        check(shape.numel() == numel(), "cannot reshape {} to {}: {} against {} elements", shape_.str(), shape.str(),
              numel(), shape.numel());
        Array view = *this;
        view.shape_ = shape;
        return view;
    }
    // No other handle sees this storage.
    bool unique() const { return block_.use_count() == 1; }

private:
    Shape shape_;
    Block block_;
};

// Indices and masks are never on the tape.
using IndexTensor = Array<std::int64_t>;
using MaskTensor = Array<std::uint8_t>;

}  // namespace solobox
