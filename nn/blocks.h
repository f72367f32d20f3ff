// The parts that networks are listed from. Each knows its six walks: it describes itself from its plan alone, is built,
// runs, is visited, freezes and exports itself. A model is a list of them and what it does in between.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "nn/describe.h"
#include "nn/graph.h"
#include "nn/layers.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

class Module {
public:
    virtual ~Module() = default;
    // Adds its rows to the table. Shapes without the batch, (H, W, C) or (features); what comes out is the result. A
    // side of 0: the picture was too small.
    virtual Shape describe(const Shape& in, std::vector<LayerRow>& rows) const = 0;
    virtual Shape build(const Shape& in, Initializer& init) = 0;  // makes the weights; the result as of describe()
    virtual Var run(const Var& x) = 0;
    virtual void visit(Visitor&) {}  // full names: the block's own are in its plan
    virtual void freeze() {}         // for prediction only, from now on
    virtual std::string append_to(GraphBuilder& graph, const std::string& x) const = 0;

    std::string shown;  // its output is observed under this name (nn/visit.h); empty: it is not
};

enum class NormKind { none, batch, group };
NormKind norm_of(const std::string& name);  // ConfigError
const char* name_of(NormKind kind);

// A square convolution padded by half its kernel, with the norm and the activation behind it.
class ConvBlock : public Module {
public:
    struct Plan {
        std::string conv, norm;    // names
        std::string act_row = {};  // the activation has a row of its own; empty: it is told beside the norm
        std::int64_t out = 0, kernel = 3, stride = 1, groups = 1;
        NormKind kind = NormKind::batch;  // none: the convolution has a bias
        std::int64_t norm_groups = 8;     // of GroupNorm; where they do not divide the channels, the greatest divisor
        Act act = Act::none();
        bool recompute = false;  // the output is computed anew in backward (ConvSpec)
        bool fan_out = false;  // under a norm: normal(0, sqrt(2 / (k k out))) (He et al. 2015); else PyTorch's default
        bool starts_at_0 = false;  // the norm's weight
    };
    explicit ConvBlock(Plan plan);

    Shape describe(const Shape& in, std::vector<LayerRow>& rows) const override;
    Shape build(const Shape& in, Initializer& init) override;
    Var run(const Var& x) override;
    void visit(Visitor& v) override;
    void freeze() override;  // the batch norm goes into the convolution, the weight keeps its packed form
    std::string append_to(GraphBuilder& graph, const std::string& x) const override;
    const Plan& plan() const { return plan_; }

private:
    Shape out(const Shape& in) const;
    Plan plan_;
    Conv2d conv_;
    std::optional<BatchNorm2d> batch_norm_;
    std::optional<GroupNorm> group_norm_;
};

class MaxPoolBlock : public Module {
public:
    MaxPoolBlock(std::string name, const PoolSpec& spec) : name_(std::move(name)), spec_(spec) {}
    Shape describe(const Shape& in, std::vector<LayerRow>& rows) const override;
    Shape build(const Shape& in, Initializer&) override { return out(in); }
    Var run(const Var& x) override { return max_pool2d(x, spec_); }
    std::string append_to(GraphBuilder& graph, const std::string& x) const override { return graph.max_pool(x, spec_); }

private:
    Shape out(const Shape& in) const;
    std::string name_;
    PoolSpec spec_;
};

// act(path(x) + shortcut(x)), the shortcut x itself where there is none (He et al. 2016).
class ResidualBlock : public Module {
public:
    ResidualBlock(std::string name, std::vector<ConvBlock::Plan> path, std::optional<ConvBlock::Plan> shortcut,
                  const Act& act);
    Shape describe(const Shape& in, std::vector<LayerRow>& rows) const override;
    Shape build(const Shape& in, Initializer& init) override;
    Var run(const Var& x) override;
    void visit(Visitor& v) override;
    void freeze() override;
    std::string append_to(GraphBuilder& graph, const std::string& x) const override;
    const std::string& name() const { return name_; }
    std::int64_t channels() const { return path_.back().plan().out; }

private:
    std::string name_;
    std::vector<ConvBlock> path_;
    std::optional<ConvBlock> shortcut_;
    Act act_;
};

// A map as features, channel by channel as PyTorch flattens them. Maps of pictures of other sizes than it was built for
// are averaged to that one first.
class FlattenBlock : public Module {
public:
    explicit FlattenBlock(std::string name) : name_(std::move(name)) {}
    Shape describe(const Shape& in, std::vector<LayerRow>& rows) const override;
    Shape build(const Shape& in, Initializer&) override;
    Var run(const Var& x) override { return flatten_chw(adaptive_avg_pool2d(x, map_)); }
    std::string append_to(GraphBuilder& graph, const std::string& x) const override {
        return graph.add("Flatten", {x});
    }

private:
    std::string name_;
    Pair map_;
};

// A map averaged to one number a channel.
class GlobalAverageBlock : public Module {
public:
    explicit GlobalAverageBlock(std::string name) : name_(std::move(name)) {}
    Shape describe(const Shape& in, std::vector<LayerRow>& rows) const override;
    Shape build(const Shape& in, Initializer&) override { return {in[-1]}; }
    Var run(const Var& x) override { return flatten_chw(adaptive_avg_pool2d(x, {1, 1})); }
    std::string append_to(GraphBuilder& graph, const std::string& x) const override;

private:
    std::string name_;
};

class LinearBlock : public Module {
public:
    LinearBlock() = default;
    LinearBlock(std::string name, std::int64_t out, std::string act_row = {}, const Act& act = Act::none())
        : name_(std::move(name)), act_row_(std::move(act_row)), out_(out), act_(act) {}
    Shape describe(const Shape& in, std::vector<LayerRow>& rows) const override;
    Shape build(const Shape& in, Initializer& init) override;
    Var run(const Var& x) override { return activate(linear(x), act_); }
    void visit(Visitor& v) override { v.child(name_, linear); }
    std::string append_to(GraphBuilder& graph, const std::string& x) const override {
        return graph.activation(graph.linear(x, name_, linear), act_);
    }

    Linear linear;

private:
    std::string name_, act_row_;
    std::int64_t out_ = 0;
    Act act_ = Act::none();
};

// Blocks one after the other.
class Sequence : public Module {
public:
    template <class M>
    M& add(M block) {
        blocks_.push_back(std::make_unique<M>(std::move(block)));
        return static_cast<M&>(*blocks_.back());
    }
    Shape describe(const Shape& in, std::vector<LayerRow>& rows) const override;
    Shape build(const Shape& in, Initializer& init) override;
    Var run(const Var& x) override;
    void visit(Visitor& v) override;
    void freeze() override;
    std::string append_to(GraphBuilder& graph, const std::string& x) const override;

private:
    std::vector<std::unique_ptr<Module>> blocks_;
};

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
