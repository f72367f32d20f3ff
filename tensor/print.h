// Tensors for people: `std::cout << x` prints shape and numbers as NumPy has them, of large ones the ends of each axis.
#pragma once

#include <iosfwd>
#include <string>

#include "tensor/tape.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

// "(2, 3)\n[[1, 2, 3],\n [4, 5, 6]]". More than 1000 elements: three from each end of every axis.
std::string to_text(const Tensor& x);
std::string to_text(const IndexTensor& x);
std::string to_text(const MaskTensor& x);

std::ostream& operator<<(std::ostream& out, const Tensor& x);
std::ostream& operator<<(std::ostream& out, const IndexTensor& x);
std::ostream& operator<<(std::ostream& out, const MaskTensor& x);
std::ostream& operator<<(std::ostream& out, const Var& x);

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
