/*
 * A whole gateway in the test's process and thread: configured by YAML, its worker's pipeline called
 * directly.
 *
 * Test suites with EAL, CK_NOFORK. Ports are `net_ring` devices, whose transmit ring is their receive ring:
 * what the pipeline sends, the test receives. Frames are made from eal_pool(), so that eal_teardown finds
 * leaks. Limits: one gateway at a time; the control thread's part runs when the test calls
 * host_if_poll.
 */
#ifndef CULVERT_TESTS_SUPPORT_GATEWAY_H
#define CULVERT_TESTS_SUPPORT_GATEWAY_H

#include "control/control.h"
#include "support/packet.h"

struct gateway_env {
	struct gateway gateway;
	struct control control;
	struct worker *worker; /* number 0 */
	struct sa *peers[16];  /* the other ends of inbound SAs, by the SA's place; NULL until used */
};

/* Bring the gateway up; the test fails where that fails. EAL runs. */
void gateway_env_begin(struct gateway_env *env, const char *yaml);
/* The same outside of a test. Returns 0, or an error with err set. */
int gateway_env_try(struct gateway_env *env, const char *yaml, struct err *err);
/* Take it down; asserts that the statistics balance. */
void gateway_env_end(struct gateway_env *env);

/* Index of the port of that name. */
uint8_t gateway_env_port(const struct gateway_env *env, const char *name);

/*
 * The packet arrives at the port, in a frame to the port's MAC address, and goes all its way, crypto that is
 * in flight included.
 */
void gateway_env_receive(struct gateway_env *env, const char *port, const struct packet_spec *spec);
/* The same for n frames in one burst, which become the gateway's. */
void gateway_env_receive_frames(
	struct gateway_env *env, const char *port, struct rte_mbuf **frames, uint16_t n);
/* The frame in which the packet arrives at the port, to be spoiled first. */
struct rte_mbuf *gateway_env_frame_of(
	const struct gateway_env *env, const char *port, const struct packet_spec *spec);

/* The place of a policy in the SPD's list of its direction. */
uint32_t gateway_env_policy(const struct gateway_env *env, const char *name);

/* What control has for the worker goes on its way. */
void gateway_env_from_control(struct gateway_env *env);

/* The next frame that the port sent, or NULL. The caller frees it. */
struct rte_mbuf *gateway_env_sent(struct gateway_env *env, const char *port);

/* Drops of that reason so far, by workers and control. */
uint64_t gateway_env_dropped(const struct gateway_env *env, enum drop_reason reason);

/* What a peer sends that is not quite as it should be. */
struct peer_esp {
	const char *sa; /* the gateway's inbound SA */
	struct packet_spec inner;
	uint8_t next_header;   /* 0: the right one */
	uint8_t inner_version; /* of the inner header, 0: the right one */
	uint8_t outer_ecn;     /* set on the way */
};

/*
 * The packet inside an ESP tunnel packet, with the Ethernet header for `port`, as the SA's peer sends it. The
 * peer's sequence numbers go on from call to call; gateway_env_peer gives the peer's own SA, to change that.
 */
struct rte_mbuf *gateway_env_peer_esp(struct gateway_env *env, const char *port, const struct peer_esp *esp);
/* The same with the packet in a frame, one of gateway_env_peer_esp's for the port, inside; which stays the
 * caller's. */
struct rte_mbuf *gateway_env_peer_around(
	struct gateway_env *env, const char *port, const char *sa, struct rte_mbuf *frame);
struct sa *gateway_env_peer(struct gateway_env *env, const char *sa);

#endif
