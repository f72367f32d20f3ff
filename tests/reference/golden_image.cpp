// Golden group `image`. Files have (C, H, W), the pictures here (H, W, C).
#include "data/feed/augment.h"
#include "nn/losses.h"
#include "tests/reference/golden_case.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {
namespace {

using Picture = Pixels<Real>;
using Objects = std::vector<Object>;
using Integers = std::vector<std::int64_t>;

// ---- Between the file's tensors and pictures, boxes

int int_argument(const Case& c, const char* key) { return static_cast<int>(c.args.integer(key)); }

Picture picture_from(const Tensor& chw, std::int64_t batch_index = 0) {
    const int first = chw.rank() - 3;
    const auto channels = static_cast<int>(chw.dim(first)), height = static_cast<int>(chw.dim(first + 1)),
               width = static_cast<int>(chw.dim(first + 2));
    Picture out(height, width, channels);
    const Real* from = chw.data() + batch_index * static_cast<std::int64_t>(out.values.size());
    for (int c = 0; c < channels; ++c)
        for (int y = 0; y < height; ++y)
            for (int x = 0; x < width; ++x) out.at(y, x)[c] = *from++;
    return out;
}
Picture picture(Case& c, const std::string& name = "input.0") {
    if (c.rank(name) != 3) throw Unsupported(name + " of rank " + std::to_string(c.rank(name)));
    return picture_from(c.floats(name));
}

void store(const Picture& in, Real* to) {
    for (int c = 0; c < in.channels; ++c)
        for (int y = 0; y < in.height; ++y)
            for (int x = 0; x < in.width; ++x) *to++ = in.at(y, x)[c];
}
void expect(Case& c, const std::string& name, const Picture& in) {
    Tensor t(Shape{in.channels, in.height, in.width});
    store(in, t.mutable_data());
    c.expect(name, t);
}
Objects corner_boxes(Case& c, const std::string& name, const std::string& labels = "") {
    const Tensor t = c.floats(name);
    Objects out;
    for (std::int64_t i = 0; i + 3 < t.numel(); i += 4)
        out.push_back({0, double{t[i]}, double{t[i + 1]}, double{t[i + 2]}, double{t[i + 3]}});
    if (labels.empty()) return out;
    const IndexTensor classes = c.index(labels);
    check(classes.numel() == static_cast<std::int64_t>(out.size()), "{} labels for {} boxes", classes.numel(),
          out.size());
    for (std::size_t i = 0; i < out.size(); ++i)
        out[i].class_id = static_cast<int>(classes[static_cast<std::int64_t>(i)]);
    return out;
}
void expect(Case& c, const std::string& name, const Objects& boxes) {
    std::vector<double> flat;
    for (const Object& o : boxes) flat.insert(flat.end(), {o.x1, o.y1, o.x2, o.y2});
    c.expect(name, flat, Shape{static_cast<std::int64_t>(boxes.size()), 4});
}
void expect_labels(Case& c, const Objects& boxes) {
    Integers labels;
    for (const Object& o : boxes) labels.push_back(o.class_id);
    c.expect_integers("output.labels", labels, Shape{static_cast<std::int64_t>(labels.size())});
}

template <class F>
Objects mapped(const Objects& boxes, F f) {
    Objects out;
    for (const Object& o : boxes) out.push_back(f(o));
    return out;
}

// Arguments that restate what the case computes: a difference is a failure.
void agree(const Case& c, const char* key, const Json& computed) {
    if (!c.args.has(key)) return;
    if (c.args.at(key) != computed)
        throw std::runtime_error(fmt::format("{}: {}, expected {}", key, computed.dump(), c.args.at(key).dump()));
}

// ---- Cases

void resize_case(Case& c, Resampling how) {
    expect(c, "output.0", resize(picture(c), int_argument(c, "height"), int_argument(c, "width"), how));
}

void hflip_case(Case& c) {
    const Picture in = picture(c);
    expect(c, "output.0", hflip(in));
    if (c.has("input.boxes"))
        expect(c, "output.boxes",
               mapped(corner_boxes(c, "input.boxes"), [&](const Object& o) { return hflip(o, in.width); }));
    if (!c.has("input.boxes_unit")) return;
    expect(c, "output.boxes_unit", mapped(corner_boxes(c, "input.boxes_unit"), [](const Object& row) {
               const UnitBox b = hflip(UnitBox{row.x1, row.y1, row.x2, row.y2});
               return Object{0, b.cx, b.cy, b.w, b.h};
           }));
}

void letterbox_case(Case& c) {
    const Picture in = picture(c);
    const Letterbox plan = plan_letterbox(in.height, in.width, int_argument(c, "height"), int_argument(c, "width"),
                                          c.args.flag("scaleup"));
    agree(c, "resized", Json::array({plan.inner_height, plan.inner_width}));
    agree(c, "top", plan.top);
    agree(c, "left", plan.left);
    expect(c, "output.0", letterbox(in, plan, c.args.number("fill")));
    if (!c.has("input.boxes")) return;
    const Objects inside =
        mapped(corner_boxes(c, "input.boxes"), [&](const Object& o) { return to_letterbox(o, plan); });
    expect(c, "output.boxes", inside);
    expect(c, "output.boxes_back", mapped(inside, [&](const Object& o) { return from_letterbox(o, plan); }));
}

void crop_case(Case& c) {
    const Window window{int_argument(c, "top"), int_argument(c, "left"), int_argument(c, "height"),
                        int_argument(c, "width")};
    expect(c, "output.0", crop(picture(c), window));
    const Cropped left =
        crop_objects(corner_boxes(c, "input.boxes", "input.labels"), window, c.args.number("min_visibility"));
    c.expect("output.visible", left.visible, Shape{static_cast<std::int64_t>(left.visible.size())});
    expect(c, "output.boxes", left.objects);
    expect_labels(c, left.objects);
    c.expect_integers("output.kept", Integers(left.kept.begin(), left.kept.end()),
                      Shape{static_cast<std::int64_t>(left.kept.size())});
}

void rotate_boxes_case(Case& c) {
    std::vector<double> corners, visible;
    Objects enclosing, clipped;
    for (const Object& o : corner_boxes(c, "input.boxes")) {
        const RotatedBox r = rotate(o, c.args.number("degrees"), int_argument(c, "height"), int_argument(c, "width"));
        for (const auto& corner : r.corners) corners.insert(corners.end(), corner.begin(), corner.end());
        enclosing.push_back(r.enclosing);
        clipped.push_back(r.clipped);
        visible.push_back(r.visible);
    }
    const auto n = static_cast<std::int64_t>(visible.size());
    c.expect("output.corners", corners, Shape{n, 4, 2});
    expect(c, "output.boxes", enclosing);
    expect(c, "output.clipped", clipped);
    c.expect("output.visible", visible, Shape{n});
}

void rot90_case(Case& c) {
    const Picture in = picture(c);
    const int k = int_argument(c, "k");
    expect(c, "output.0", rot90(in, k));
    if (c.has("input.boxes"))
        expect(c, "output.boxes", mapped(corner_boxes(c, "input.boxes"), [&](const Object& o) {
                   return rot90(o, k, in.height, in.width);
               }));
}

void colour_case(Case& c, void (*change)(Picture&, double)) {
    Picture image = picture(c);
    change(image, c.args.number("factor"));
    expect(c, "output.0", image);
}

void colour_chain_case(Case& c) {
    std::vector<ColourStep> steps;
    for (const Json& step : c.args.at("steps"))
        steps.push_back({colour_kind(step.at(0).get<std::string>()), step.at(1).get<double>()});
    Picture image = picture(c);
    colour_chain(image, steps);
    expect(c, "output.0", image);
}

void hsv_gain_case(Case& c) {
    Picture image = picture(c);
    if (c.has("output.hsv")) expect(c, "output.hsv", rgb_to_hsv(image));
    const Json& gain = c.args.at("gain");
    hsv_gain(image, {gain.at(0).get<double>(), gain.at(1).get<double>(), gain.at(2).get<double>()});
    expect(c, "output.0", image);
}

void normalize_case(Case& c) {
    const IndexTensor in = c.index("input.0");
    check(in.rank() == 3, "input.0 is {}, expected (H, W, C)", in.shape().str());
    const Integers values = in.to_vector();
    Picture image =
        from_bytes<Real>(std::vector<std::uint8_t>(values.begin(), values.end()), static_cast<int>(in.dim(0)),
                         static_cast<int>(in.dim(1)), static_cast<int>(in.dim(2)));
    expect(c, "output.0", image);
    normalize(image, c.args.at("mean").get<std::vector<double>>(), c.args.at("std").get<std::vector<double>>());
    expect(c, "output.1", image);
}

void mosaic_case(Case& c) {
    const int size = int_argument(c, "size");
    const std::vector<int> center = c.args.at("center").get<std::vector<int>>();  // (x, y)
    const double min_visibility = c.args.number("min_visibility");
    Picture canvas(2 * size, 2 * size, static_cast<int>(c.floats("input.0").dim(0)),
                   static_cast<Real>(c.args.number("fill")));
    Objects kept;
    Integers placement, source;
    for (int i = 0; i < 4; ++i) {
        const std::string n = std::to_string(i);
        const Picture image = picture(c, "input." + n);
        const Placement p = plan_mosaic(i, image.height, image.width, size, center.at(0), center.at(1));
        paint(canvas, image, p);
        placement.insert(placement.end(), {p.dx, p.dy, p.x1, p.y1, p.x2, p.y2});
        const Cropped left =
            mosaic_objects(corner_boxes(c, "input.boxes." + n, "input.labels." + n), p, min_visibility);
        kept = concat(std::move(kept), left.objects);
        for (const std::size_t k : left.kept) source.insert(source.end(), {i, static_cast<std::int64_t>(k)});
    }
    expect(c, "output.0", canvas);
    c.expect_integers("output.placement", placement, Shape{4, 6});
    expect(c, "output.boxes", kept);
    expect_labels(c, kept);
    c.expect_integers("output.source", source, Shape{static_cast<std::int64_t>(kept.size()), 2});
}

// The labels of a mixed batch: soft labels, loss, and the gradient of the logits.
void check_mixed_labels(Case& c, double lambda) {
    const IndexTensor labels = c.index("input.labels"), perm = c.index("input.perm");
    Integers second;
    for (const std::int64_t i : perm.to_vector()) second.push_back(labels.to_vector().at(static_cast<std::size_t>(i)));
    const std::int64_t classes = c.args.integer("num_classes");
    c.expect("output.soft_labels", soft_labels(labels.to_vector(), second, lambda, static_cast<int>(classes)),
             Shape{labels.numel(), classes});
    Parameter logits(c.floats("input.logits"));
    CrossEntropySpec spec;
    spec.label_smoothing = c.args.number("label_smoothing");
    const Var x = use(logits);
    const Var loss = lambda * cross_entropy(x, labels, spec) +
                     (1 - lambda) * cross_entropy(x, IndexTensor::from(labels.shape(), second), spec);
    c.expect("output.loss", loss.value());
    Tape::current()->backward(loss);
    c.expect("grad.input.logits", logits.grad);
}

// output.0: each picture of the batch together with the one that the permutation names.
template <class F>
void mix_batch(Case& c, F mix) {
    const Tensor batch = c.floats("input.0");
    const IndexTensor perm = c.index("input.perm");
    Tensor out(batch.shape());
    for (std::int64_t i = 0; i < batch.dim(0); ++i) {
        const Picture mixed = mix(picture_from(batch, i), picture_from(batch, perm[i]));
        store(mixed, out.mutable_data() + i * static_cast<std::int64_t>(mixed.values.size()));
    }
    c.expect("output.0", out);
}

void mixup_case(Case& c) {
    const double lambda = c.args.number("lambda");
    mix_batch(c, [&](const Picture& a, const Picture& b) { return blend(a, b, lambda); });
    check_mixed_labels(c, lambda);
}

void cutmix_case(Case& c) {
    const Tensor batch = c.floats("input.0");
    const auto height = static_cast<int>(batch.dim(2)), width = static_cast<int>(batch.dim(3));
    const std::vector<int> center = c.args.at("center").get<std::vector<int>>();  // (x, y)
    const Window w = cutmix_window(height, width, center.at(1), center.at(0), c.args.number("lambda"));
    const double lambda = cutmix_lambda(w, height, width);
    agree(c, "box", Json::array({w.left, w.top, w.left + w.width, w.top + w.height}));
    if (c.args.has("lambda_real") && std::abs(c.args.number("lambda_real") - lambda) > 1e-12)
        throw std::runtime_error(fmt::format("lambda_real: {}, expected {}", lambda, c.args.number("lambda_real")));
    mix_batch(c, [&](Picture a, const Picture& b) {
        paste(a, b, w);
        return a;
    });
    check_mixed_labels(c, lambda);
}

void mixup_boxes_case(Case& c) {
    expect(c, "output.0", blend(picture(c, "input.0"), picture(c, "input.1"), c.args.number("lambda")));
    const Objects both =
        concat(corner_boxes(c, "input.boxes.0", "input.labels.0"), corner_boxes(c, "input.boxes.1", "input.labels.1"));
    expect(c, "output.boxes", both);
    expect_labels(c, both);
}

const bool image_registered = [] {
    auto& a = adapters();
    a["image.resize_bilinear"] = [](Case& c) { resize_case(c, Resampling::bilinear); };
    a["image.resize_nearest"] = [](Case& c) { resize_case(c, Resampling::nearest); };
    a["image.resize_nearest_floor"] = [](Case& c) { resize_case(c, Resampling::nearest_floor); };
    a["image.resize_area"] = [](Case& c) { resize_case(c, Resampling::area); };
    a["image.resize_adaptive_avg"] = [](Case& c) { resize_case(c, Resampling::adaptive_avg); };
    a["image.hflip"] = hflip_case;
    a["image.letterbox"] = letterbox_case;
    a["image.crop"] = crop_case;
    a["image.rotate_boxes"] = rotate_boxes_case;
    a["image.rot90"] = rot90_case;
    a["image.brightness"] = [](Case& c) { colour_case(c, brightness<Real>); };
    a["image.contrast"] = [](Case& c) { colour_case(c, contrast<Real>); };
    a["image.saturation"] = [](Case& c) { colour_case(c, saturation<Real>); };
    a["image.hue"] = [](Case& c) { colour_case(c, hue<Real>); };
    a["image.color_chain"] = colour_chain_case;
    a["image.hsv_gain"] = hsv_gain_case;
    a["image.normalize"] = normalize_case;
    a["image.mosaic"] = mosaic_case;
    a["image.mixup"] = mixup_case;
    a["image.cutmix"] = cutmix_case;
    a["image.mixup_boxes"] = mixup_boxes_case;
    return true;
}();

}  // namespace
}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
