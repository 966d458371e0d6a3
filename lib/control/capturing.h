/*
 * Captures: who asks for one, the thread that writes it, and its end.
 *
 * Main thread, but for the writer, a thread of its own, so that a slow disk holds up neither the workers nor
 * what else control does. A capture ends when it is asked to, after its time, when the file has as many
 * packets or bytes as it may have, or when a write fails; then the workers let go of it, what they have
 * copied is written, the file is closed, and the memory is freed. The file is a new one in the directory of
 * the configuration, for its owner alone.
 * Limits: one at a time. Without `capture.allow_inner` only the frames of unprotected ports are captured.
 */
#ifndef CULVERT_CONTROL_CAPTURING_H
#define CULVERT_CONTROL_CAPTURING_H

#include "base/err.h"
#include "datapath/capture.h"

#include <stdbool.h>
#include <stdint.h>

struct control;
struct capture_writer;

#define CAPTURING_BYTES_DEFAULT   (UINT64_C(100) << 20)
#define CAPTURING_BYTES_MAX       (UINT64_C(100) << 30)
#define CAPTURING_SECONDS_DEFAULT 60
#define CAPTURING_SECONDS_MAX     86400

enum capturing_state {
	CAPTURING_NONE, /* there was none yet */
	CAPTURING_RUNS,
	CAPTURING_ENDS,   /* workers let go */
	CAPTURING_WRITES, /* what they had copied */
	CAPTURING_DONE,
};

/* What is asked for. */
struct capturing_conf {
	const char *file; /* a name in the configured directory */
	struct filter filter;
	int port; /* index of the only port whose frames are captured, or FILTER_ANY */
	bool rx;
	bool tx;
	bool inner;
	uint32_t snap_bytes;
	uint32_t rate_pps;
	uint64_t bytes_max; /* of the file */
	uint64_t pkts_max;  /* in the file; 0: no limit */
	uint32_t seconds;
};

/* What came of it. */
struct capturing_result {
	enum capturing_state state;
	char path[512];
	uint64_t written_pkts;
	uint64_t written_bytes;
	uint64_t not_captured; /* passed the filter, and are not in the file */
	struct err err;        /* why it ended before its time; "" if it did not */
};

struct capturing {
	enum capturing_state state;
	struct capture *capture;
	struct capture_writer *writer;
	uint64_t until_ns;
	uint64_t token; /* of QSBR, while workers let go */
	struct capturing_result last;
};

/* What is asked for if nothing is said: all that the configuration allows. */
void capturing_conf_init(const struct control *control, struct capturing_conf *conf);

/*
 * Begin. -EBUSY: another runs; -EPERM: the configuration does not allow it; -EINVAL: a name or a number that
 * can't be; what opening the file gave; -ENOMEM. err says why.
 */
int capturing_begin(struct control *control, const struct capturing_conf *conf, struct err *err);
/* Ask it to end; capturing_poll then sees to it. None may run. */
void capturing_end(struct control *control);
/* Called all the time. */
void capturing_poll(struct control *control, uint64_t now_ns);
/* Any time. */
void capturing_look(const struct control *control, struct capturing_result *result);

/* A part of the daemon: nothing to begin; in the end no worker runs, and what was captured is written. */
void capturing_destroy(struct control *control);

#endif
