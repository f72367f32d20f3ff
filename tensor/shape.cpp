#include "tensor/shape.h"

#include <algorithm>

namespace solobox {

Shape::Shape(const std::vector<std::int64_t>& dims) {
    check(dims.size() <= static_cast<std::size_t>(max_rank), "a tensor has at most {} dimensions, asked for {}",
          max_rank, dims.size());
    rank_ = static_cast<int>(dims.size());
    bool empty = false;
    for (std::size_t i = 0; i < dims.size(); ++i) {
        check(dims[i] >= 0, "dimension {} has size {}: sizes cannot be negative", i, dims[i]);
        dims_[i] = dims[i];
        empty = empty || dims[i] == 0;
        numel_ = checked_mul(numel_, std::max<std::int64_t>(dims[i], 1));  // overflow counts even beside a 0
    }
    if (empty) numel_ = 0;
}

int Shape::normal_axis(int axis) const {
    const int normal = axis < 0 ? axis + rank_ : axis;
    check(normal >= 0 && normal < rank_, "axis {} is out of range for shape {}", axis, str());
    return normal;
}

bool Shape::operator==(const Shape& other) const {
    return rank_ == other.rank_ && std::equal(dims_.begin(), dims_.begin() + rank_, other.dims_.begin());
}

std::string Shape::str() const {
    if (rank_ == 0) return "scalar";
    std::string text;
    for (int i = 0; i < rank_; ++i) {
        if (i) text += 'x';
        text += std::to_string(dims_[static_cast<std::size_t>(i)]);
    }
    return text;
}

std::int64_t Shape::outer(int axis) const {
    std::int64_t product = 1;
    for (int i = 0, end = normal_axis(axis); i < end; ++i) product *= (*this)[i];
    return product;
}

std::int64_t Shape::inner(int axis) const {
    std::int64_t product = 1;
    for (int i = normal_axis(axis) + 1; i < rank_; ++i) product *= (*this)[i];
    return product;
}

Shape Shape::with(int axis, std::int64_t size) const {
    auto list = dims();
    list[static_cast<std::size_t>(normal_axis(axis))] = size;
    return Shape(list);
}

Shape Shape::without(int axis) const {
    auto list = dims();
    list.erase(list.begin() + normal_axis(axis));
    return Shape(list);
}

Shape Shape::inserted(int axis, std::int64_t size) const {
    const int normal = axis < 0 ? axis + rank_ + 1 : axis;
    check(normal >= 0 && normal <= rank_, "cannot insert an axis at {} into shape {}", axis, str());
    auto list = dims();
    list.insert(list.begin() + normal, size);
    return Shape(list);
}

Shape broadcast_shape(const char* op, const Shape& a, const Shape& b) {
    const int rank = std::max(a.rank(), b.rank());
    std::vector<std::int64_t> dims(static_cast<std::size_t>(rank));
    for (int i = 1; i <= rank; ++i) {
        const std::int64_t da = i <= a.rank() ? a[-i] : 1;
        const std::int64_t db = i <= b.rank() ? b[-i] : 1;
        check(da == db || da == 1 || db == 1,
              "[{}] cannot broadcast {} with {}: sizes {} and {} differ and neither is 1", op, a.str(), b.str(), da,
              db);
        dims[static_cast<std::size_t>(rank - i)] = da == 1 ? db : da;
    }
    return Shape(dims);
}

}  // namespace solobox
