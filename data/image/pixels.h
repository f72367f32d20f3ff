// A picture as numbers, and its size changed. No labels, no files.
#pragma once

#include <cstddef>
#include <vector>

namespace solobox {

// One picture as numbers, colours in [0, 1]: values[(y * width + x) * channels + c]. Training uses float; double is for
// the golden files. All arithmetic below is double whatever T is.
template <class T>
struct Pixels {
    int height = 0, width = 0, channels = 0;
    std::vector<T> values;

    Pixels() = default;
    Pixels(int height, int width, int channels, T fill = 0);  // ShapeError unless every side is positive
    std::size_t offset(int y, int x) const {
        return (static_cast<std::size_t>(y) * static_cast<std::size_t>(width) + static_cast<std::size_t>(x)) *
               static_cast<std::size_t>(channels);
    }
    T* at(int y, int x) { return values.data() + offset(y, x); }  // its channels
    const T* at(int y, int x) const { return values.data() + offset(y, x); }
};

// How output pixel i of an axis (in -> out) is taken from the source. None of them fights aliasing.
enum class Resampling {
    bilinear,       // max((i + 0.5) in/out - 0.5, 0) and its neighbour (torch, align_corners=False)
    nearest,        // floor((i + 0.5) in/out) (torch's nearest-exact)
    nearest_floor,  // floor(i in/out) (torch's nearest)
    area,           // mean over [i in/out, (i + 1) in/out), fractional weights at its ends
    adaptive_avg,   // plain mean over floor(i in/out) .. ceil((i + 1) in/out) - 1 (torch's adaptive_avg_pool2d)
};
template <class T>
Pixels<T> resize(const Pixels<T>& in, int height, int width, Resampling how = Resampling::bilinear);

}  // namespace solobox
