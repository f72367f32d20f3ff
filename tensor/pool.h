// Where every tensor's memory comes from: a cache of aligned blocks, the large ones cut from one range of addresses.
//
// A training step asks for the same sizes again and again. Handing pages back to the system and faulting them in anew
// costs as much as the arithmetic on small models, so freed blocks are kept and given out again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace solobox {

using Block = std::shared_ptr<std::byte>;

struct PoolStats {
    std::int64_t live_bytes = 0;      // handed out now, rounded to block sizes
    std::int64_t peak_bytes = 0;      // highest live_bytes since the last reset_peak()
    std::int64_t reserved_bytes = 0;  // taken from the system
    std::int64_t system_calls = 0;    // how often a block had to come from the system
};

namespace pool {

// At least `bytes` bytes, aligned to 64; uninitialised (filled with NaN patterns in sanitizer builds, so that a read
// before a write is seen). Throws Error when the system has no memory left, saying how much was asked for.
Block allocate(std::int64_t bytes);

PoolStats stats();
void reset_peak();
void trim();  // give all cached free blocks back to the system

}  // namespace pool
}  // namespace solobox
