// The one thread pool. Work is cut into tiles; tile i always does the same thing, whoever runs it, so results do not
// depend on the number of threads. Sums across tiles belong to the caller: one partial per tile, merged in order.
#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>

namespace solobox {

int thread_count();
void set_thread_count(int threads);  // >= 1; takes effect at the next parallel_for
// Physical cores this process may run on; SOLOBOX_THREADS=N says otherwise (ConfigError when it is no number from 1 to
// 1024).
int default_thread_count();

namespace detail {
void run_tiles(std::int64_t tiles, void (*call)(void* body, std::int64_t tile), void* body);
}

// body(tile) for every tile in 0 .. tiles-1, each exactly once; returns when all are done. Nested calls run serially.
// An exception of a tile is rethrown here, of the lowest tile if several throw.
template <class Body>
void parallel_for(std::int64_t tiles, Body&& body) {
    using Plain = std::remove_reference_t<Body>;
    detail::run_tiles(
        tiles, [](void* b, std::int64_t tile) { (*static_cast<Plain*>(b))(tile); },
        const_cast<std::remove_const_t<Plain>*>(&body));
}

// body(begin, end) over 0 .. n-1 in ranges of fixed size, for loops over elements.
template <class Body>
void parallel_ranges(std::int64_t n, Body&& body) {
    constexpr std::int64_t range = 1 << 14;
    parallel_for((n + range - 1) / range, [&](std::int64_t t) { body(t * range, std::min(n, (t + 1) * range)); });
}

}  // namespace solobox
