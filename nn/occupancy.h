// A box told by what it covers: a map of cells x cells numbers in [0, 1], each the share of its cell that lies inside.
// A network puts out the map's logits; the box comes from the map's moments, so every cell has a say in every side.
// Compositions of ops: nobody types a gradient here. Boxes are (N, 4): cx, cy, w, h as fractions of the picture.
//
// With p the map, m = sum p and c = 1 / cells the side of a cell, over cell centres x:
//   cx = sum(p x) / m        w = sqrt(12 var + c^2), var = sum(p x^2) / m - cx^2        (likewise cy, h)
// A uniform distribution of width w has the variance w^2 / 12; n cells of side c have c^2 (n^2 - 1) / 12, so the map of
// a box between cell borders decodes to that very box. Elsewhere the cells that it covers in part make it wider, by at
// most 1.5 / n cells where it is n cells wide: a tenth of a cell for most of a picture, most of a cell for two.
// (Moments of a region as a description of its shape: Hu, "Visual pattern recognition by moment invariants", 1962.)
#pragma once

#include <string>
#include <vector>

#include "nn/graph.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

// logits (N, cells * cells), rows of the picture first -> boxes (N, 4). Sides are never below one cell. A map without
// any mass decodes to one cell in the middle.
Var occupancy_boxes(const Var& logits, std::int64_t cells);
// The same at the end of a graph.
std::string occupancy_boxes(GraphBuilder& graph, const std::string& logits, std::int64_t cells);

// boxes (N, 4) -> (N, cells * cells): the exact share of each cell that the box covers. What lies outside of the
// picture covers nothing.
Tensor occupancy_maps(const Tensor& boxes, std::int64_t cells);

// (cells * cells) biases with which a network starts that has seen no picture: the logits of the mean map of `boxes`
// (N, 4), kept within 0.02 .. 0.98 so that no cell is settled beforehand. No boxes: 0.
std::vector<double> occupancy_prior(const Tensor& boxes, std::int64_t cells);

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
