#include "bench/threads.h"

#include <pthread.h>

#include <rte_launch.h>

#include "base/clock.h"

static int thread_main(void *arg)
{
	struct thread *thread = arg;

	pthread_getcpuclockid(pthread_self(), &thread->clock);
	return worker_run(thread->worker);
}

int threads_begin(struct threads *threads, const struct control *control)
{
	int ret = 0;

	*threads = (struct threads){0};
	for (unsigned i = 0; ret == 0 && i < control->n_workers; i++) {
		struct thread *thread = &threads->threads[i];

		thread->worker = control->workers[i];
		ret = rte_eal_remote_launch(thread_main, thread, thread->worker->lcore);
		threads->n += ret == 0;
	}
	return ret;
}

int threads_end(struct threads *threads)
{
	int ret = 0;

	for (unsigned i = 0; i < threads->n; i++)
		atomic_store(&threads->threads[i].worker->stop, true);
	for (unsigned i = 0; i < threads->n; i++) {
		int failed = rte_eal_wait_lcore(threads->threads[i].worker->lcore);

		ret = ret != 0 ? ret : failed;
	}
	return ret;
}

uint64_t threads_clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * CLOCK_NS_PER_S + (uint64_t)t.tv_nsec;
}
