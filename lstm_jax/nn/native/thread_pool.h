// Threads that work together, on those of XLA's pool that are free.
//
// No one ever waits for a thread that has not begun: the pool may be busy with
// whoever called us, and would then wait for us.
#ifndef LSTM_JAX_NN_NATIVE_THREAD_POOL_H_
#define LSTM_JAX_NN_NATIVE_THREAD_POOL_H_

#include <atomic>
#include <condition_variable>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "xla/ffi/api/ffi.h"

namespace lstm_jax {

// Bytes of a core's second cache that weights may take.
constexpr double kCache = 0.75e6;

// Asks the pool for a helper; without one the work is done by fewer.
template <class Help>
bool called(xla::ffi::ThreadPool& pool, const Help& help) {
  try {
    pool.Schedule(Help(help));
    return true;
  } catch (const std::exception&) {
    return false;
  }
}

// Runs `work` for 0, ..., count - 1 on this thread and on those of the pool
// that come to help. What one of them throws, this thread throws at the end.
inline void in_parallel(xla::ffi::ThreadPool& pool, int64_t count,
                        std::function<void(int64_t)> work) {
  struct Shared {
    std::function<void(int64_t)> work;
    int64_t count;
    std::atomic<int64_t> next{0};
    std::mutex mutex;
    std::condition_variable ended;
    int64_t done = 0;
    std::exception_ptr thrown;

    void help() {
      for (int64_t i; (i = next++) < count;) {
        std::exception_ptr error;
        try {
          work(i);
        } catch (...) {
          error = std::current_exception();
        }
        std::lock_guard<std::mutex> lock(mutex);
        if (error) thrown = error;
        if (++done == count) ended.notify_all();
      }
    }
  };
  auto shared = std::make_shared<Shared>();
  shared->work = std::move(work);
  shared->count = count;
  const int64_t helpers = std::min(pool.num_threads(), count) - 1;
  for (int64_t i = 0; i < helpers; ++i)
    if (!called(pool, [shared] { shared->help(); })) break;
  shared->help();
  std::unique_lock<std::mutex> lock(shared->mutex);
  shared->ended.wait(lock, [&] { return shared->done == count; });
  if (shared->thrown) std::rethrow_exception(shared->thrown);
}

// A crew of one thread.
struct SerialExecutor {
  template <class Work>
  void each(int64_t count, const Work& work) {
    for (int64_t i = 0; i < count; ++i) work(i);
  }
};

// One of several threads that run the same program: a row of stages, `each`.
// The threads that have arrived do one before the next begins. A late thread
// finds the first ones done.
class Worker {
 public:
  struct Shared {
    std::atomic<int64_t> next{0}, done{0};
  };

  explicit Worker(Shared* shared) : shared_(shared) {}

  template <class Work>
  void each(int64_t count, const Work& work) {
    const int64_t first = end_;
    end_ += count;
    int64_t mine = shared_->next.load();
    while (mine < end_) {
      if (!shared_->next.compare_exchange_weak(mine, mine + 1)) continue;
      work(mine - first);
      shared_->done.fetch_add(1);
      mine = shared_->next.load();
    }
    for (int turn = 0; shared_->done.load() < end_; ++turn)
      if (turn > 10000) std::this_thread::yield();
  }

 private:
  Shared* shared_;
  int64_t end_ = 0;  // of the blocks of all stages so far
};

// Calls `program(member)`, which throws nothing, on this thread and on those
// that come to help.
template <class Program>
void together(xla::ffi::ThreadPool& pool, const Program& program) {
  struct Shared {
    Worker::Shared stages;
    std::mutex mutex;
    std::condition_variable left;
    int inside = 0;
    bool over = false;
  };
  auto shared = std::make_shared<Shared>();
  for (int64_t i = 1; i < pool.num_threads(); ++i) {
    const auto help = [shared, &program] {
      {
        std::lock_guard<std::mutex> lock(shared->mutex);
        if (shared->over) return;  // `program` is no more
        ++shared->inside;
      }
      program(Worker(&shared->stages));
      std::lock_guard<std::mutex> lock(shared->mutex);
      --shared->inside;
      shared->left.notify_all();
    };
    if (!called(pool, help)) break;
  }
  program(Worker(&shared->stages));
  std::unique_lock<std::mutex> lock(shared->mutex);
  shared->over = true;
  shared->left.wait(lock, [&] { return shared->inside == 0; });
}

}  // namespace lstm_jax

#endif  // LSTM_JAX_NN_NATIVE_THREAD_POOL_H_
