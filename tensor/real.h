// The one switch between single and double precision.
//
// The library is compiled twice: once with Real = float in solobox::f32, once with Real = double in solobox::f64. Both
// are inline namespaces, so a source file writes solobox::Tensor and gets the precision it is compiled for.
#pragma once

#if defined(SOLOBOX_DOUBLE)
#define SOLOBOX_PRECISION f64
#else
#define SOLOBOX_PRECISION f32
#endif

namespace solobox {
inline namespace SOLOBOX_PRECISION {

#if defined(SOLOBOX_DOUBLE)
using Real = double;
#else
using Real = float;
#endif

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
