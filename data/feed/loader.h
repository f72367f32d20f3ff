// Batches made ahead of the step by worker threads, handed out in their order. What a batch holds is up to `make`; the
// workers change when it is made, never what it is.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

namespace solobox {

template <class Batch>
class Loader {
public:
    // make(number) for number = first .. last - 1; called by several threads at a time. workers 0: by next() itself.
    Loader(std::function<Batch(std::int64_t number)> make, std::int64_t first, std::int64_t last, int workers)
        : make_(std::move(make)), claimed_(first), handed_(first), last_(last), ahead_(2 * workers + 2) {
        for (int i = 0; i < workers; ++i) threads_.emplace_back([this] { work(); });
    }
    ~Loader() {
        {
            const std::lock_guard lock(mutex_);
            stopping_ = true;
        }
        changed_.notify_all();
        for (std::thread& t : threads_) t.join();
    }
    Loader(const Loader&) = delete;
    Loader& operator=(const Loader&) = delete;

    // The next batch; rethrows what its making threw. Not beyond the last.
    Batch next() {
        const auto start = std::chrono::steady_clock::now();
        const auto done = [&] {
            waited_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
        };
        if (threads_.empty()) {
            Batch batch = make_(handed_++);
            done();
            return batch;
        }
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return ready_.contains(handed_); });
        auto node = ready_.extract(handed_++);
        lock.unlock();
        changed_.notify_all();
        done();
        if (node.mapped().error) std::rethrow_exception(node.mapped().error);
        return std::move(node.mapped().batch);
    }
    double waited_seconds() const { return waited_; }  // that next() spent waiting, in all

private:
    struct Made {
        Batch batch;
        std::exception_ptr error;
    };
    void work() {
        std::unique_lock lock(mutex_);
        while (true) {
            changed_.wait(lock, [this] { return stopping_ || claimed_ >= last_ || claimed_ < handed_ + ahead_; });
            if (stopping_ || claimed_ >= last_) return;
            const std::int64_t number = claimed_++;
            lock.unlock();
            Made made;
            try {
                made.batch = make_(number);
            } catch (...) {
                made.error = std::current_exception();
            }
            lock.lock();
            ready_.emplace(number, std::move(made));
            changed_.notify_all();
        }
    }

    std::function<Batch(std::int64_t)> make_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::map<std::int64_t, Made> ready_;
    std::int64_t claimed_, handed_, last_, ahead_;
    bool stopping_ = false;
    double waited_ = 0;
    std::vector<std::thread> threads_;
};

}  // namespace solobox
