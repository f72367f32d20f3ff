// Holds fixed what backward holds fixed, so that differences of a loss can be compared with its gradient.
#pragma once

#include <utility>
#include <vector>

#include "tensor/constant.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

// While it lives: the first pass remembers what goes through constant_in_backward; after rewind(), each further pass
// gets the remembered values back in their order.
class FreezeConstants {
public:
    FreezeConstants() : previous_(std::exchange(constant_instead(), [this](const Tensor& v) { return pass(v); })) {}
    ~FreezeConstants() { constant_instead() = std::move(previous_); }
    FreezeConstants(const FreezeConstants&) = delete;
    FreezeConstants& operator=(const FreezeConstants&) = delete;
    void rewind() { replay_ = true, next_ = 0; }

private:
    Tensor pass(const Tensor& value) {
        if (!replay_) return values_.emplace_back(value.clone());
        check(next_ < values_.size(), "[freeze] this pass asks for more constants than the first one");
        return values_[next_++];
    }
    std::vector<Tensor> values_;
    bool replay_ = false;
    std::size_t next_ = 0;
    std::function<Tensor(const Tensor&)> previous_;
};

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
