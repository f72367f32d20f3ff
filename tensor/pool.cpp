#include "tensor/pool.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "tensor/check.h"

namespace solobox::pool {
namespace {

constexpr std::size_t alignment = 64;
constexpr std::size_t huge_page = std::size_t{2} << 20;

constexpr std::size_t large = std::size_t{1} << 20;     // from here on blocks are cut from the arena
constexpr std::size_t granule = std::size_t{64} << 10;  // of the arena

// One range of addresses for the large blocks, cut best fit first and joined again when they come back: whatever sizes
// a step asks for, they share the same memory. Pages are never given back, so each is faulted in once.
class Arena {
public:
    Arena() {
        // As much as there is memory: what does not fit there would not fit anywhere. Reserved addresses cost nothing.
        const auto memory =
            static_cast<std::size_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
        for (capacity_ = memory / huge_page * huge_page; capacity_ >= 64 * large; capacity_ /= 2) {
            void* at =
                mmap(nullptr, capacity_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
            if (at == MAP_FAILED) continue;
            base_ = static_cast<std::byte*>(at);
            // Fewer page faults and TLB misses where the system allows it; a refusal costs nothing.
            madvise(base_, capacity_, MADV_HUGEPAGE);
            return;
        }
        capacity_ = 0;
    }
    bool holds(const std::byte* p) const { return base_ && p >= base_ && p < base_ + capacity_; }
    std::size_t touched() const { return touched_; }

    std::byte* take(std::size_t size) {  // nullptr: no room
        auto best = free_.end();
        for (auto it = free_.begin(); it != free_.end(); ++it)
            if (it->second >= size && (best == free_.end() || it->second < best->second)) best = it;
        if (best != free_.end()) {
            const auto [offset, length] = *best;
            free_.erase(best);
            if (length > size) free_[offset + size] = length - size;
            return base_ + offset;
        }
        if (capacity_ - end_ < size) return nullptr;
        end_ += size;
        touched_ = std::max(touched_, end_);
        return base_ + end_ - size;
    }
    void give_back(std::byte* block, std::size_t size) {
        auto offset = static_cast<std::size_t>(block - base_);
        auto next = free_.lower_bound(offset);
        if (next != free_.end() && next->first == offset + size) {
            size += next->second;
            next = free_.erase(next);
        }
        if (next != free_.begin()) {
            const auto before = std::prev(next);
            if (before->first + before->second == offset) {
                offset = before->first;
                size += before->second;
                free_.erase(before);
            }
        }
        if (offset + size == end_)
            end_ = offset;
        else
            free_[offset] = size;
    }
    void trim() {
        for (const auto& [offset, size] : free_) madvise(base_ + offset, size, MADV_DONTNEED);
        if (touched_ > end_) madvise(base_ + end_, touched_ - end_, MADV_DONTNEED);
        touched_ = end_;
    }

private:
    std::byte* base_ = nullptr;
    std::size_t capacity_ = 0, end_ = 0, touched_ = 0;
    std::map<std::size_t, std::size_t> free_;  // offset -> size, no two touching
};

struct Cache {
    std::mutex mutex;
    std::unordered_map<std::size_t, std::vector<std::byte*>> free;
    Arena arena;
    PoolStats stats;
};

// Never destroyed: tensors in static storage may outlive any order of destruction.
Cache& cache() {
    static Cache* instance = new Cache;
    return *instance;
}

// Small blocks: eight sizes per power of two, so that equal requests meet in one list. Large ones: whole granules.
std::size_t block_size(std::int64_t bytes) {
    const std::size_t wanted = std::max<std::size_t>(static_cast<std::size_t>(bytes), alignment);
    const std::size_t step = wanted >= large ? granule : std::max<std::size_t>(std::bit_floor(wanted) / 8, alignment);
    return (wanted + step - 1) / step * step;
}

std::byte* from_system(Cache& c, std::size_t size) {
    void* block = std::aligned_alloc(alignment, size);
    if (!block)
        throw Error(fmt::format("out of memory: a block of {:.1f} MB was refused", static_cast<double>(size) / 1e6));
    c.stats.reserved_bytes += static_cast<std::int64_t>(size);
    ++c.stats.system_calls;
    return static_cast<std::byte*>(block);
}

std::byte* take(Cache& c, std::size_t size) {
    auto& list = c.free[size];
    if (!list.empty()) {
        std::byte* block = list.back();
        list.pop_back();
        return block;
    }
#if !defined(SOLOBOX_POISON)  // there every block is its own, so that a step over its end is seen
    if (size >= large) {
        const std::size_t touched = c.arena.touched();
        if (std::byte* block = c.arena.take(size)) {
            c.stats.reserved_bytes += static_cast<std::int64_t>(c.arena.touched() - touched);
            c.stats.system_calls += c.arena.touched() > touched;
            return block;
        }
    }
#endif
    return from_system(c, size);
}

void give_back(std::byte* block, std::size_t size) {
    auto& c = cache();
    const std::lock_guard lock(c.mutex);
    c.stats.live_bytes -= static_cast<std::int64_t>(size);
    if (c.arena.holds(block))
        c.arena.give_back(block, size);
    else
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
        block = take(c, size);
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
    const std::size_t touched = c.arena.touched();
    c.arena.trim();
    c.stats.reserved_bytes -= static_cast<std::int64_t>(touched - c.arena.touched());
}

}  // namespace solobox::pool
