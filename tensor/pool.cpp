#include "tensor/pool.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "tensor/check.h"

namespace solobox::pool {
namespace {

constexpr std::size_t alignment = 64;
constexpr std::size_t huge_page = std::size_t{2} << 20;

struct Cache {
    std::mutex mutex;
    std::unordered_map<std::size_t, std::vector<std::byte*>> free;
    PoolStats stats;
};

// Never destroyed: tensors in static storage may outlive any order of destruction.
Cache& cache() {
    static Cache* instance = new Cache;
    return *instance;
}

// Eight sizes per power of two: at most 1/8 of a block is wasted, and equal requests meet in one list.
std::size_t block_size(std::int64_t bytes) {
    const std::size_t wanted = std::max<std::size_t>(static_cast<std::size_t>(bytes), alignment);
    const std::size_t step = std::max<std::size_t>(std::bit_floor(wanted) / 8, alignment);
    return (wanted + step - 1) / step * step;
}

std::byte* from_system(std::size_t size) {
    const std::size_t align = size >= huge_page ? huge_page : alignment;
    void* block = std::aligned_alloc(align, (size + align - 1) / align * align);
    if (!block)
        throw Error(fmt::format("out of memory: a block of {:.1f} MB was refused", static_cast<double>(size) / 1e6));
    // Fewer page faults and TLB misses where the system allows it; a refusal costs nothing.
    if (size >= huge_page) madvise(block, size, MADV_HUGEPAGE);
    return static_cast<std::byte*>(block);
}

void give_back(std::byte* block, std::size_t size) {
    auto& c = cache();
    const std::lock_guard lock(c.mutex);
    c.stats.live_bytes -= static_cast<std::int64_t>(size);
    c.free[size].push_back(block);
}

}  // namespace

Block allocate(std::int64_t bytes) {
    check(bytes >= 0 && bytes < (std::int64_t{1} << 46), "a tensor of {} bytes is beyond any machine", bytes);
    const std::size_t size = block_size(bytes);
    auto& c = cache();
    std::byte* block = nullptr;
    {
        const std::lock_guard lock(c.mutex);
        auto& list = c.free[size];
        if (!list.empty()) {
            block = list.back();
            list.pop_back();
        } else {
            block = from_system(size);
            c.stats.reserved_bytes += static_cast<std::int64_t>(size);
            ++c.stats.system_calls;
        }
        c.stats.live_bytes += static_cast<std::int64_t>(size);
        c.stats.peak_bytes = std::max(c.stats.peak_bytes, c.stats.live_bytes);
    }
#if defined(SOLOBOX_POISON)
    std::memset(block, 0xff, size);
#endif
    return Block(block, [size](std::byte* p) { give_back(p, size); });
}

PoolStats stats() {
    const std::lock_guard lock(cache().mutex);
    return cache().stats;
}

void reset_peak() {
    const std::lock_guard lock(cache().mutex);
    cache().stats.peak_bytes = cache().stats.live_bytes;
}

void trim() {
    auto& c = cache();
    const std::lock_guard lock(c.mutex);
    for (auto& [size, blocks] : c.free) {
        for (std::byte* block : blocks) std::free(block);
        c.stats.reserved_bytes -= static_cast<std::int64_t>(size * blocks.size());
        blocks.clear();
    }
}

}  // namespace solobox::pool
