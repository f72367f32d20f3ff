#include "nn/occupancy.h"

#include <algorithm>
#include <cmath>

namespace solobox {
inline namespace SOLOBOX_PRECISION {
namespace {

// Keeps an empty map finite; beside the mass of one cell it is nothing.
constexpr double least_mass = 1e-9;

// (cells * cells, 5): 1, x, y, x^2, y^2 of every cell's centre. The origin is the picture's centre: squares stay small,
// and so does what their difference loses.
Tensor powers_of_centres(std::int64_t cells) {
    Tensor t(Shape{cells * cells, 5});
    const auto centre = [cells](std::int64_t i) {
        return (static_cast<double>(i) + 0.5) / static_cast<double>(cells) - 0.5;
    };
    for (std::int64_t i = 0; i < cells * cells; ++i) {
        const double x = centre(i % cells), y = centre(i / cells);
        const double powers[5] = {1, x, y, x * x, y * y};
        for (std::int64_t k = 0; k < 5; ++k) t.mutable_data()[5 * i + k] = static_cast<Real>(powers[k]);
    }
    return t;
}

double cell_area(std::int64_t cells) { return 1 / static_cast<double>(cells * cells); }

}  // namespace

Var occupancy_boxes(const Var& logits, std::int64_t cells) {
    check(logits.rank() == 2 && logits.dim(1) == cells * cells,
          "[occupancy] the head's output is {}, expected (N, {}): {} x {} cells", logits.shape().str(), cells * cells,
          cells, cells);
    const Var sums = matmul(sigmoid(logits), Var(powers_of_centres(cells)));  // (N, 5)
    const auto columns = [&](std::int64_t begin, std::int64_t end) { return slice(sums, {-1, begin, end, 1}); };
    const Var mass = columns(0, 1) + least_mass, centre = columns(1, 3) / mass;  // (N, 1), (N, 2)
    const Var variance = columns(3, 5) / mass - square(centre);
    return cat({centre + 0.5, sqrt(variance * 12.0 + cell_area(cells))}, 1);
}

std::string occupancy_boxes(GraphBuilder& graph, const std::string& logits, std::int64_t cells) {
    const auto number = [&](const char* name, double v) {
        return graph.constant(std::string("occupancy.") + name, Tensor::full({1}, static_cast<Real>(v)));
    };
    const std::string sums = graph.add(
        "MatMul", {graph.add("Sigmoid", {logits}), graph.constant("occupancy.powers", powers_of_centres(cells))});
    const auto columns = [&](std::int64_t from, std::int64_t to) {
        return graph.add("Slice", {sums, graph.integers({from}), graph.integers({to}), graph.integers({1})});
    };
    const std::string mass = graph.add("Add", {columns(0, 1), number("least_mass", least_mass)});
    const std::string centre = graph.add("Div", {columns(1, 3), mass});
    const std::string variance =
        graph.add("Sub", {graph.add("Div", {columns(3, 5), mass}), graph.add("Mul", {centre, centre})});
    const std::string sides = graph.add("Sqrt", {graph.add("Add", {graph.add("Mul", {variance, number("twelve", 12)}),
                                                                   number("cell_area", cell_area(cells))})});
    return graph.add("Concat", {graph.add("Add", {centre, number("half", 0.5)}), sides}, {{"axis", std::int64_t{1}}});
}

Tensor occupancy_maps(const Tensor& boxes, std::int64_t cells) {
    check(boxes.rank() == 2 && boxes.dim(1) == 4, "[occupancy] boxes are {}, expected (N, 4)", boxes.shape().str());
    const std::int64_t n = boxes.dim(0);
    Tensor maps(Shape{n, cells * cells});
    std::vector<double> along[2];
    for (std::int64_t i = 0; i < n; ++i) {
        for (const std::int64_t axis : {0, 1}) {  // the share of every column, then of every row
            const double centre = static_cast<double>(boxes[4 * i + axis]),
                         side = static_cast<double>(boxes[4 * i + 2 + axis]);
            const double from = (centre - side / 2) * static_cast<double>(cells),
                         to = (centre + side / 2) * static_cast<double>(cells);
            auto& share = along[axis];
            share.assign(static_cast<std::size_t>(cells), 0);
            for (std::int64_t k = 0; k < cells; ++k)
                share[static_cast<std::size_t>(k)] =
                    std::max(0.0, std::min(to, static_cast<double>(k + 1)) - std::max(from, static_cast<double>(k)));
        }
        for (std::int64_t k = 0; k < cells * cells; ++k)
            maps.mutable_data()[i * cells * cells + k] = static_cast<Real>(
                along[0][static_cast<std::size_t>(k % cells)] * along[1][static_cast<std::size_t>(k / cells)]);
    }
    return maps;
}

std::vector<double> occupancy_prior(const Tensor& boxes, std::int64_t cells) {
    std::vector<double> bias(static_cast<std::size_t>(cells * cells), 0.0);
    if (boxes.dim(0) == 0) return bias;
    const Tensor maps = occupancy_maps(boxes, cells);
    for (std::int64_t k = 0; k < cells * cells; ++k) {
        double mean = 0;
        for (std::int64_t i = 0; i < boxes.dim(0); ++i) mean += static_cast<double>(maps[i * cells * cells + k]);
        mean = std::clamp(mean / static_cast<double>(boxes.dim(0)), 0.02, 0.98);
        bias[static_cast<std::size_t>(k)] = std::log(mean / (1 - mean));
    }
    return bias;
}

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
