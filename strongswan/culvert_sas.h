/*
 * The SAs that charon has asked for, as culvertd has them.
 *
 * The table belongs to kernel_culvert_ipsec.c, whose lock its caller holds. An entry begins with the SPI that
 * charon asks for, gets installed, and ends with culvert_sas_remove. It has no key: what moves keeps the one
 * culvertd has. Limits: found by a walk through the list; 20,000 SAs cost some 50 us.
 */
#ifndef CULVERT_SAS_H
#define CULVERT_SAS_H

#include "culvert_client.h"
#include "strongswan.h"

#include <jansson.h>

#define CULVERT_NAME_MAX 64

struct culvert_sa {
	char name[CULVERT_NAME_MAX]; /* `ike-<reqid>-<spi>-in`, once installed */
	uint32_t reqid;
	uint32_t spi; /* network order, as charon has it */
	uint8_t protocol;
	bool is_installed; /* else the SPI alone is taken */
	bool inbound;
	bool is_in_udp;
	bool has_window;            /* of anti-replay, without which nothing follows it */
	struct culvert_sa *follows; /* the inbound SA whose peer's address this one sends to, or NULL */
	host_t *source;
	host_t *destination;
};

struct culvert_sas {
	linked_list_t *list; /* newest first */
};

void culvert_sas_init(struct culvert_sas *sas);
void culvert_sas_fini(struct culvert_sas *sas);

/* The SA of that protocol and SPI (network order) to that host; NULL if there is none. */
struct culvert_sa *culvert_sas_find(
	const struct culvert_sas *sas, uint8_t protocol, uint32_t spi, const host_t *destination);
struct culvert_sa *culvert_sas_find_name(const struct culvert_sas *sas, const char *name);
/* The newest installed one of a direction and a reqid, and with an SPI unless that is 0; NULL if there is
 * none. */
struct culvert_sa *culvert_sas_newest(
	const struct culvert_sas *sas, bool inbound, uint32_t reqid, uint32_t spi);
/* All inbound ones of a reqid that are installed: their names, newest first. */
json_t *culvert_sas_inbound_names(const struct culvert_sas *sas, uint32_t reqid);

/* Take an SPI that none has, for an inbound SA to that host. False if there is no randomness. */
bool culvert_sas_take_spi(struct culvert_sas *sas, uint8_t protocol, host_t *destination, uint32_t *spi);

/* The entry of an SA that is to be installed, which it is not yet: that of its SPI, or a new one. */
struct culvert_sa *culvert_sas_add(
	struct culvert_sas *sas, const kernel_ipsec_sa_id_t *id, const kernel_ipsec_add_sa_t *data);
void culvert_sas_remove(struct culvert_sas *sas, struct culvert_sa *sa);

/* An outbound SA in UDP follows the inbound one from the same peer, where there is one (RFC 7296
 * section 2.23). */
void culvert_sas_follow(const struct culvert_sas *sas, struct culvert_sa *sa);
/* None follows that one any more: their names and what is to change go into `moves`, unless that is NULL. */
void culvert_sas_unfollow(const struct culvert_sas *sas, const struct culvert_sa *followed, json_t *moves);

/* Its object in `moves`, if its ends are these and it goes in UDP or not. */
json_t *culvert_sa_move(const struct culvert_sa *sa, host_t *source, host_t *destination, bool in_udp);

/*
 * Its object in `sas`, without its key. NULL, having logged why, if culvert can't do what is asked for.
 */
json_t *culvert_sa_conf(
	const struct culvert_sa *sa, const kernel_ipsec_add_sa_t *data, const struct culvert_key *key);

#endif
