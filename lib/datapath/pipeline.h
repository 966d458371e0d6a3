/*
 * The pipeline: the way of a burst of packets through the gateway. pipeline.c is the page to read first.
 *
 * Called by a worker for each burst. It takes all packets of the burst; nothing is left in it.
 */
#ifndef CULVERT_DATAPATH_PIPELINE_H
#define CULVERT_DATAPATH_PIPELINE_H

#include "datapath/worker.h"

/* Frames received on port `port` (its index). */
void pipeline_receive(struct worker *worker, uint8_t port, struct burst *burst);

/* Packets that came back from the crypto devices. */
void pipeline_crypto_done(struct worker *worker, struct burst *burst);

/* Packets and frames from the control thread. */
void pipeline_from_control(struct worker *worker, struct burst *burst);

/* Dummy packets that are due. */
void pipeline_dummies(struct worker *worker);

#endif
