#include "nn/visit.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {
namespace {
thread_local Watcher current_watcher;
}

Observe::Observe(Watcher watcher) : previous_(std::exchange(current_watcher, std::move(watcher))) {}
Observe::~Observe() { current_watcher = std::move(previous_); }

void observe(const std::string& name, const Tensor& activation) {
    if (current_watcher) current_watcher(name, activation);
}
bool observed() { return static_cast<bool>(current_watcher); }

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
