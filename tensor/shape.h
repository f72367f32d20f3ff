// Sizes of the dimensions of a tensor, outermost first, and the arithmetic that goes with them.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

#include "tensor/check.h"

namespace solobox {

class Shape {
public:
    static constexpr int max_rank = 8;

    Shape() = default;  // rank 0: a scalar
    Shape(std::initializer_list<std::int64_t> dims) : Shape(std::vector<std::int64_t>(dims)) {}
    explicit Shape(const std::vector<std::int64_t>& dims);  // ShapeError: negative size, rank > 8, overflow

    int rank() const { return rank_; }
    std::int64_t numel() const { return numel_; }
    // Negative indices count from the end, as in PyTorch. ShapeError when out of range.
    std::int64_t operator[](int axis) const { return dims_[static_cast<std::size_t>(normal_axis(axis))]; }
    int normal_axis(int axis) const;

    bool operator==(const Shape& other) const;
    std::vector<std::int64_t> dims() const { return {dims_.begin(), dims_.begin() + rank_}; }
    std::string str() const;  // "8x16x16x32"; "scalar" for rank 0

    // Elements before and after one axis: the shape seen as (outer, dim, inner).
    std::int64_t outer(int axis) const;
    std::int64_t inner(int axis) const;
    // The same shape with one axis replaced, removed or inserted.
    Shape with(int axis, std::int64_t size) const;
    Shape without(int axis) const;
    Shape inserted(int axis, std::int64_t size) const;

private:
    std::array<std::int64_t, max_rank> dims_{};
    int rank_ = 0;
    std::int64_t numel_ = 1;
};

// NumPy's rule: trailing dimensions are aligned, a size of 1 stretches. ShapeError naming `op` and both shapes.
Shape broadcast_shape(const char* op, const Shape& a, const Shape& b);

}  // namespace solobox
