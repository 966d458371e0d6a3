/*
 * The security association database: inbound SAs by protocol and SPI, and by destination, or destination and
 * source, or neither, as each says (`lookup`). Of the SAs that match a packet the most specific one is found
 * (RFC 4301 section 4.1).
 *
 * One writer, the control thread; any number of workers look up without a lock. The table borrows SAs. A
 * worker may hold an SA that it found until its next quiescent state (struct rte_rcu_qsbr, shared with the
 * whole data path), and longer in packets that a crypto device has in flight. So an SA that was removed is
 * destroyed only after every worker has adopted a snapshot that was published after the removal, for which it
 * empties those queues first (datapath/worker.h).
 * A second table of the same kind has the outbound SAs, for whoever is told of a packet that one of them
 * sent. Limits: unicast; a fixed capacity.
 */
#ifndef CULVERT_IPSEC_SAD_H
#define CULVERT_IPSEC_SAD_H

#include "base/err.h"
#include "ipsec/sa.h"
#include "net/burst.h"

struct rte_rcu_qsbr;
struct sad;

struct sad_conf {
	const char *name;          /* unique in the process; NULL: culvert_sad */
	uint32_t capacity;         /* SAs that there is room for, at least */
	unsigned n_workers;        /* that sad_lookup is for; 0: sad_find alone is called */
	struct rte_rcu_qsbr *qsbr; /* borrowed */
	int socket;
};

/* Returns 0, or -ENOMEM with err set. */
int sad_create(const struct sad_conf *conf, struct sad **sad, struct err *err);
/* No worker may be looking up any more. The SAs stay the caller's. */
void sad_destroy(struct sad *sad);

/*
 * Publish an SA. -EEXIST: another is found by the same; -ENOSPC, -ENOMEM: full. err is set on failure.
 */
int sad_add(struct sad *sad, struct sa *sa, struct err *err);
/*
 * Unlink an SA. Workers may still hold it until each has adopted a later snapshot. -ENOENT: it wasn't there.
 */
int sad_remove(struct sad *sad, const struct sa *sa);

/* How many SAs it holds, and has room for. Any thread. */
uint32_t sad_count(const struct sad *sad);
uint32_t sad_capacity(const struct sad *sad);

/*
 * The most specific SA for packets of that protocol (enum sa_protocol), SPI, destination and source, or NULL;
 * whether they are in UDP, and whether the source is the SA's, is not asked. Any thread that the QSBR
 * variable knows, or the writer.
 */
struct sa *sad_find(const struct sad *sad, uint8_t protocol, rte_be32_t spi,
	const struct ip_addr *destination, const struct ip_addr *source);

/* The SA, or NULL, because of which sad_add would refuse one of that configuration. The writer. */
struct sa *sad_find_same(const struct sad *sad, const struct sa_conf *conf);

/* SPI (of IPComp the CPI) and, but of IPComp, sequence number of a packet that sad_lookup has found long
 * enough. */
rte_be32_t sad_spi_one(struct rte_mbuf *m);
uint32_t sad_seq_one(struct rte_mbuf *m);

/*
 * For each packet of ESP, AH or IPComp find the SA and put it into struct pkt. tally->worker is the calling
 * thread's, as it alone uses what that worker remembers of earlier look-ups. Drops: in_hdr where its header
 * is cut short, in_no_sa, in_endpoint where the outer source is not the SA's, in_encap
 * (ipsec/natt.h), frag_bad (section 3.4.1 of RFC 4303).
 */
void sad_lookup(struct burst *burst, const struct sad *sad, const struct sa_tally *tally);

#endif
