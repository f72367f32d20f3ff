#include "tensor/kernels/parallel.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <fstream>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tensor/check.h"

namespace solobox {
namespace {

thread_local bool inside_tile = false;

struct Job {
    std::int64_t tiles = 0;
    void (*call)(void*, std::int64_t) = nullptr;
    void* body = nullptr;
    int parts = 1;
};

// Spins for some tens of microseconds, about the gap between two layers, then gives the core back.
constexpr int spins_before_sleep = 20000;
constexpr int spins_before_yield = 2000;

inline void relax() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

class ThreadPool {
public:
    ~ThreadPool() { stop(); }

    void resize(int threads) {
        stop();
        threads_ = threads;
        shares_ = std::vector<Share>(static_cast<std::size_t>(threads));
        quit_ = false;
        for (int part = 1; part < threads; ++part)
            workers_.emplace_back([this, part, seen = generation_.load()] { work(part, seen); });
    }
    int threads() const { return threads_; }

    void run(const Job& job) {
        job_ = job;
        error_ = nullptr;
        error_tile_ = job.tiles;
        for (int part = 0; part < job.parts; ++part) {
            Share& share = shares_[static_cast<std::size_t>(part)];
            share.next.store(job.tiles * part / job.parts, std::memory_order_relaxed);
            share.end = job.tiles * (part + 1) / job.parts;
        }
        pending_.store(threads_ - 1, std::memory_order_relaxed);
        {
            const std::lock_guard lock(mutex_);
            generation_.fetch_add(1, std::memory_order_release);
        }
        if (sleeping_.load() > 0) wake_.notify_all();
        run_part(0);
        for (int spins = 0; pending_.load(std::memory_order_acquire) > 0; ++spins)
            if (spins < spins_before_yield)
                relax();
            else
                std::this_thread::yield();  // more threads than cores: let the others work
        if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
    }

private:
    void run_part(int part) {
        // Contiguous shares first: neighbours in memory stay with one thread, layer after layer. Who is done helps the
        // others, so that a core which the system took away for a while holds nobody up.
        inside_tile = true;
        for (int i = 0; i < job_.parts && run_share((part + i) % job_.parts); ++i) {
        }
        inside_tile = false;
    }

    bool run_share(int part) {
        Share& share = shares_[static_cast<std::size_t>(part)];
        for (std::int64_t tile; (tile = share.next.fetch_add(1, std::memory_order_relaxed)) < share.end;) {
            try {
                job_.call(job_.body, tile);
            } catch (...) {
                const std::lock_guard lock(mutex_);
                if (tile < error_tile_) {
                    error_tile_ = tile;
                    error_ = std::current_exception();
                }
                return false;
            }
        }
        return true;
    }

    void work(int part, std::uint64_t seen) {
        for (;;) {
            int spins = 0;
            while (generation_.load(std::memory_order_acquire) == seen && spins < spins_before_sleep) {
                relax();
                ++spins;
            }
            if (generation_.load(std::memory_order_acquire) == seen) {
                std::unique_lock lock(mutex_);
                ++sleeping_;
                wake_.wait(lock, [&] { return generation_.load() != seen; });
                --sleeping_;
            }
            ++seen;
            if (quit_.load()) return;
            run_part(part);
            pending_.fetch_sub(1, std::memory_order_release);
        }
    }

    void stop() {
        if (workers_.empty()) return;
        {
            const std::lock_guard lock(mutex_);
            quit_ = true;
            generation_.fetch_add(1, std::memory_order_release);
        }
        wake_.notify_all();
        for (auto& worker : workers_) worker.join();
        workers_.clear();
    }

    struct alignas(64) Share {  // a cache line each
        std::atomic<std::int64_t> next{0};
        std::int64_t end = 0;
    };
    std::vector<Share> shares_ = std::vector<Share>(1);  // a thread each; the caller alone needs no resize()
    std::vector<std::thread> workers_;
    int threads_ = 1;
    Job job_;
    std::atomic<std::uint64_t> generation_{0};
    std::atomic<int> pending_{0};
    std::atomic<int> sleeping_{0};
    std::atomic<bool> quit_{false};
    std::mutex mutex_;
    std::condition_variable wake_;
    std::exception_ptr error_;
    std::int64_t error_tile_ = 0;
};

int wanted_threads = 0;
std::mutex pool_mutex;  // one parallel region at a time; a second caller waits

ThreadPool& thread_pool() {
    static ThreadPool pool;
    return pool;
}

}  // namespace

int default_thread_count() {
    if (const char* text = std::getenv("SOLOBOX_THREADS"); text && *text) {
        int threads = 0;
        const char* end = text + std::strlen(text);
        const auto [last, error] = std::from_chars(text, end, threads);
        if (error != std::errc() || last != end || threads < 1 || threads > 1024)
            throw ConfigError(fmt::format("SOLOBOX_THREADS={}: expected a number from 1 to 1024", text));
        return threads;
    }
    cpu_set_t allowed;
    CPU_ZERO(&allowed);
    if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0) return 1;
    std::set<std::string> cores;  // threads of one core share their siblings list
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
        if (!CPU_ISSET(cpu, &allowed)) continue;
        std::ifstream file(fmt::format("/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list", cpu));
        std::string siblings;
        if (!std::getline(file, siblings)) siblings = std::to_string(cpu);
        cores.insert(siblings);
    }
    return std::max(1, static_cast<int>(cores.size()));
}

int thread_count() {
    const std::lock_guard lock(pool_mutex);
    if (wanted_threads == 0) wanted_threads = default_thread_count();
    return wanted_threads;
}

void set_thread_count(int threads) {
    if (threads < 1 || threads > 1024) throw ConfigError(fmt::format("threads must lie in 1..1024, got {}", threads));
    const std::lock_guard lock(pool_mutex);
    wanted_threads = threads;
}

void detail::run_tiles(std::int64_t tiles, void (*call)(void*, std::int64_t), void* body) {
    if (tiles <= 0) return;
    if (tiles == 1 || inside_tile) {
        for (std::int64_t tile = 0; tile < tiles; ++tile) call(body, tile);
        return;
    }
    const std::lock_guard lock(pool_mutex);
    if (wanted_threads == 0) wanted_threads = default_thread_count();
    auto& pool = thread_pool();
    if (pool.threads() != wanted_threads) pool.resize(wanted_threads);
    pool.run({tiles, call, body, wanted_threads});
}

}  // namespace solobox
