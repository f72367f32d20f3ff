// The page of a run: one offline HTML file with curves, every picture with truth and prediction, the gradient flow per
// layer, findings, configuration and environment. Renders what it is given; measures and decides nothing.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "data/types.h"

namespace solobox {

struct ReportCurve {
    std::string name;  // "loss", "mean IoU", "lr"
    std::vector<double> x, y;
    bool log_scale = false;
};

// Curves drawn in one plot, for instance training and validation loss.
struct ReportPlot {
    std::string title, x_label;
    std::vector<ReportCurve> curves;
    std::string note;  // one line under the plot: what a reader should see in it
};

struct ReportPicture {
    std::string name;  // file name or "shape 3"
    Image image;
    std::optional<UnitBox> truth, prediction;
    double score = 0;                                      // 0 to 1, what the pictures are sorted by
    std::string score_name = "IoU";                        // "IoU", "p"
    std::string caption = {};                              // under the picture: "goldfish, taken for: bullfrog 83 %"
    std::vector<KeyPoint> truth_points = {}, points = {};  // in fractions; crosses of truth and prediction
};

struct ReportTable {
    std::string title, lead;
    std::vector<std::string> header;
    std::vector<std::vector<std::string>> rows;  // the first cell is a row's name
    // Numbers 0 to 1 behind the cells, as shades; empty, or as long as `rows`.
    std::vector<std::vector<double>> shades;
};

// Scores of an experiment's arms, seed by seed.
struct ReportDots {
    struct Row {
        std::string name;
        std::vector<double> values;          // one a seed
        double mean = 0, low = 0, high = 0;  // the interval's ends; NaN: none
        std::string text;                    // beside the dots
    };
    std::string title, note;
    std::vector<std::pair<std::string, double>> marks;  // lines through all rows: "best constant box"
    std::vector<Row> rows;
};

// Arrows on a grid over the unit square, drawn upon shades: what a loss does to a box, place by place.
struct ReportField {
    struct Rect {  // in the unit square
        UnitBox box;
        std::string look;  // "truth" | "prediction" | "reach": a thin dashed line
    };
    std::string title, subtitle, x_label, y_label;
    bool y_up = false;                          // otherwise as in pictures: y grows downwards
    std::int64_t columns = 0, rows = 0;         // cell (row, column) is entry row * columns + column
    std::vector<double> shades;                 // 0 to 1
    std::vector<std::array<double, 2>> arrows;  // lengths 0 to 1 of a cell; {0, 0} is drawn as a dot: no arrow here
    std::vector<Rect> rects;
    std::vector<std::array<double, 2>> crosses;
    std::string note;  // what a reader should see in it
};

struct ReportFields {
    std::string id, title, lead;                           // id: of the section, a word
    std::vector<std::pair<std::string, std::string>> key;  // look of a rectangle, "dot" or "cross", and what it means
    std::vector<ReportField> fields;
};

// One parameter tensor over time. All series are as long as Report::layer_steps; a NaN is a gap.
struct ReportLayer {
    std::string name;               // "feat.0.weight"
    std::vector<double> grad_norm;  // L2 norm of the gradient
    std::vector<double> weight_norm;
    std::vector<double> update_ratio;   // norm of the update / norm of the weight
    std::vector<double> dead_fraction;  // share of its output units without any gradient; empty: not measured
    std::vector<double> saturated_fraction =
        {};  // with less than 1 % of the median unit's gradient; empty: not measured
};

struct ReportFinding {
    std::string severity;  // FAIL | WARN | INFO | PASS
    std::string id;        // rule or short name
    std::string message;   // evidence in words
    std::string cure;      // the next thing to try
};

struct ReportConfigRow {
    std::string key, value, origin;  // origin: default | file | environment | command line
};

struct Report {
    std::string title;                                         // "overfit: 8 images of raccoon"
    std::string verdict;                                       // "pass" | "fail" | ""
    std::string verdict_text;                                  // one or two sentences
    std::vector<std::pair<std::string, std::string>> summary;  // "mean IoU", "0.991"
    std::vector<ReportDots> dots;
    std::vector<ReportFields> fields;
    std::vector<ReportPlot> plots;
    std::vector<ReportPicture> pictures;  // shown worst first
    std::vector<ReportTable> tables;
    std::vector<double> layer_steps;
    std::vector<ReportLayer> layers;  // from the input to the output
    std::vector<ReportFinding> findings;
    std::vector<ReportConfigRow> config;
    std::vector<std::pair<std::string, std::string>> environment;
};

// The whole page as text: no link, no script from elsewhere, under 2 MB for up to some hundred pictures.
std::string render_report(const Report& report);

// The pictures in a grid with truth (green) and prediction (red, dashed) drawn on them and the IoU beside the name.
Image draw_pictures(const std::vector<ReportPicture>& pictures, int columns, int cell);

}  // namespace solobox
