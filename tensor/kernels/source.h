// Numbers that a kernel reads: as they are, or normalised and activated on the way.
#pragma once

#include <cstdint>

namespace solobox {

// The activations that a kernel can apply in passing, to what it reads or to what it writes.
struct Act {
    enum class Kind { leaky, silu, gelu };
    Kind kind = Kind::leaky;
    double slope = 1;  // of leaky, below 0: v > 0 ? v : slope * v

    static constexpr Act none() { return {}; }
    static constexpr Act relu() { return {Kind::leaky, 0}; }
    static constexpr Act leaky_relu(double negative_slope) { return {Kind::leaky, negative_slope}; }
    static constexpr Act silu() { return {Kind::silu}; }  // v sigmoid(v)
    static constexpr Act gelu() { return {Kind::gelu}; }  // v Phi(v), Phi with erf
    const char* op() const { return kind == Kind::silu ? "silu" : kind == Kind::gelu ? "gelu" : "leaky_relu"; }
    bool identity() const { return kind == Kind::leaky && slope == 1; }
    // Whether the derivative at v can be told from act(v), too.
    bool keeps_sign() const { return kind == Kind::leaky && slope >= 0; }
};

// x (n, .., c), or act(scale * x + shift) of it. A kernel that touches every pixel
// anyway works this out while reading: the normalisation and activation in front of a convolution then need no pass
// over memory of their own, and their result no memory.
template <class T>
struct Source {
    const T* x;
    const T *scale = nullptr,
            *shift = nullptr;    // (c), those of the next image `per_image` further on; null: x as it is
    std::int64_t per_image = 0;  // c, or 0 where all images share them
    Act act = Act::none();

    Source(const T* numbers) : x(numbers) {}  // implicit: plain numbers are the common case
    Source(const T* numbers, const T* factors, const T* terms, std::int64_t step, const Act& activation)
        : x(numbers), scale(factors), shift(terms), per_image(step), act(activation) {}
    bool plain() const { return scale == nullptr; }
    const T* scale_of(std::int64_t image) const { return scale + image * per_image; }
    const T* shift_of(std::int64_t image) const { return shift + image * per_image; }
};

}  // namespace solobox
