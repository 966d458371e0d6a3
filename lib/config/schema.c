#include "config/schema.h"
#include "config/read.h"
#include "config/sa_rules.h"
#include "model/gateway.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CPU_MAX            1023 /* glibc's CPU_SETSIZE - 1 */
#define CRYPTO_DRIVERS_MAX 16
#define PORT_ADDRESSES_MAX 64
#define PORT_NAME_MAX      31
#define NAME_MAX_LENGTH    63
#define IDLE_SLEEP_MAX_US  10000
#define MEMORY_SIZE_MAX_MB (16u << 20)
#define MEMORY_SAS_MAX     (1u << 24)
#define MEMORY_PACKETS_MIN MEMORY_PACKETS_EACH
#define MEMORY_PACKETS_MAX (4u << 20)
#define ICMP_KINDS_MAX     4
#define HOST_ROUTES_MAX    1024
#define PROTOCOL_UDPLITE   136
#define PROTOCOL_SCTP      132
#define PROTOCOL_DCCP      33

/* The field of one value, and the two fields of several. */
#define FIELD(type_, member) .offset = offsetof(type_, member), .bytes = sizeof(((type_ *)NULL)->member)
#define ITEMS(type_, member, count)                                                                          \
	.offset = offsetof(type_, member), .bytes = sizeof(*((type_ *)NULL)->member),                        \
	.count_offset = offsetof(type_, count)
#define KEYS(table) .keys = (table), .n_keys = sizeof(table) / sizeof((table)[0])

static const struct schema_choice drivers[] = {
	{"ipsec_mb", 0}, {"aesni_gcm", 0}, {"aesni_mb", 0}, {"openssl", 0}, {NULL, 0}};
static const struct schema_choice crypto_modes[] = {
	{"auto", CRYPTO_AUTO}, {"sync", CRYPTO_SYNC}, {"async", CRYPTO_ASYNC}, {NULL, 0}};
static const struct schema_choice sides[] = {
	{"protected", SIDE_PROTECTED}, {"unprotected", SIDE_UNPROTECTED}, {NULL, 0}};
static const struct schema_choice modes[] = {{"tunnel", SA_TUNNEL}, {"transport", SA_TRANSPORT}, {NULL, 0}};
static const struct schema_choice lookups[] = {{"destination", SA_LOOKUP_DESTINATION},
	{"source", SA_LOOKUP_SOURCE}, {"spi", SA_LOOKUP_SPI}, {NULL, 0}};
static const struct schema_choice compressions[] = {{"deflate", SA_IPCOMP}, {NULL, 0}};
static const struct schema_choice fragments[] = {
	{"before", SA_FRAGMENT_BEFORE}, {"after", SA_FRAGMENT_AFTER}, {NULL, 0}};
static const struct schema_choice dfs[] = {
	{"set", SA_DF_SET}, {"clear", SA_DF_CLEAR}, {"copy", SA_DF_COPY}, {NULL, 0}};
/* RFC 2474 section 4.2.2, RFC 2597 section 6, RFC 3246, RFC 8622 */
#define DSCP_NAMES                                                                                           \
	{"cs0", 0}, {"cs1", 8}, {"cs2", 16}, {"cs3", 24}, {"cs4", 32}, {"cs5", 40}, {"cs6", 48},             \
		{"cs7", 56}, {"af11", 10}, {"af12", 12}, {"af13", 14}, {"af21", 18}, {"af22", 20},           \
		{"af23", 22}, {"af31", 26}, {"af32", 28}, {"af33", 30}, {"af41", 34}, {"af42", 36},          \
		{"af43", 38}, {"ef", 46}, {"le", 1},                                                         \
	{                                                                                                    \
		NULL, 0                                                                                      \
	}
static const struct schema_choice dscps[] = {{"copy", SA_DSCP_COPY}, DSCP_NAMES};
static const struct schema_choice dscp_names[] = {DSCP_NAMES};
static const struct schema_choice encaps[] = {{"none", SA_ENCAP_NONE}, {"udp", SA_ENCAP_UDP}, {NULL, 0}};
static const struct schema_choice udp_checksums[] = {
	{"computed", SA_UDP_CHECKSUM_COMPUTED}, {"zero", SA_UDP_CHECKSUM_ZERO}, {NULL, 0}};
static const struct schema_choice tfcs[] = {{"mtu", SA_TFC_MTU}, {NULL, 0}};
static const struct schema_choice directions[] = {{"in", POLICY_IN}, {"out", POLICY_OUT}, {NULL, 0}};
static const struct schema_choice actions[] = {
	{"protect", POLICY_PROTECT}, {"bypass", POLICY_BYPASS}, {"discard", POLICY_DISCARD}, {NULL, 0}};
static const struct schema_choice protocols[] = {{"any", SELECTOR_PROTOCOL_ANY},
	{"opaque", SELECTOR_PROTOCOL_OPAQUE}, {"mobility", IPPROTO_NUMBER_MH}, {"tcp", IPPROTO_NUMBER_TCP},
	{"udp", IPPROTO_NUMBER_UDP}, {"icmp", IPPROTO_NUMBER_ICMP}, {"icmpv6", IPPROTO_NUMBER_ICMPV6},
	{"sctp", PROTOCOL_SCTP}, {"dccp", PROTOCOL_DCCP}, {"udplite", PROTOCOL_UDPLITE}, {"esp", 50},
	{"ah", 51}, {"gre", 47}, {"igmp", 2}, {"ospf", 89}, {"pim", 103}, {"vrrp", 112}, {"l2tp", 115},
	{NULL, 0}};

static const struct schema_choice icmp_kinds[] = {{"unreachable", ICMP_KIND_UNREACHABLE},
	{"too_big", ICMP_KIND_TOO_BIG}, {"time_exceeded", ICMP_KIND_TIME_EXCEEDED},
	{"parameter_problem", ICMP_KIND_PARAMETER_PROBLEM}, {NULL, 0}};

/* clang-format off */
static const struct schema_key control_keys[] = {
	{"directory", .type = &read_path, FIELD(struct gateway, control_directory),
		.absent = "chosen by the daemon",
		.doc = "Where the daemon keeps its lock and its control socket; one daemon holds it."},
	{"state_directory", .type = &read_path, FIELD(struct gateway, state_directory),
		.absent = "chosen by the daemon",
		.doc = "Where the daemon keeps what must outlive it: which sequence numbers of each static key were used, so that none is used again. One daemon holds it, on a local file system that a reboot leaves as it is. Else it is `$STATE_DIRECTORY`, or `/var/lib/culvert`, or for an ordinary user `$XDG_STATE_HOME/culvert` or `~/.local/state/culvert`."},
	{"socket", .type = &read_path, FIELD(struct gateway, control_socket),
		.absent = "`control.sock` in the directory",
		.doc = "The Unix socket by which `culvertctl` and programs ask the gateway and change it (mode 0660)."},
	{"group", .type = &read_name, FIELD(struct gateway, control_group), .max = NAME_MAX_LENGTH, .fallback = "culvert",
		.doc = "The group whose members may use the socket, if there is such a group; beside them root and the daemon's own user may."},
	{"audit", .type = &read_bool, FIELD(struct gateway, audit), .fallback = "true",
		.doc = "Log what RFC 4301 and RFC 4303 call auditable events: packets of no SA, replays, wrong ICVs, packets that their SA may not carry or that came in clear, SAs that have ended. A flood is told of by a few lines and a count."},
};

static const struct schema_key capture_keys[] = {
	{"directory", .type = &read_path, FIELD(struct gateway, capture_directory),
		.absent = "none, and nothing can be captured",
		.doc = "The directory that captures are written to. Who asks for a capture names a file in it, and no other path."},
	{"allow_inner", .type = &read_bool, FIELD(struct gateway, capture_inner), .fallback = "false",
		.doc = "Captures may show in clear what tunnels protect: packets before encryption and after decryption, and the frames of protected ports. Without it, the frames of unprotected ports alone are captured."},
};

static const struct schema_key memory_keys[] = {
	{"hugepages", .type = &read_bool, FIELD(struct memory_conf, hugepages), .fallback = "true",
		.doc = "Take the memory from hugepages; without them the gateway is slower and can't use hardware ports."},
	{"size_mb", .type = &read_number, FIELD(struct memory_conf, size_mb), .max = MEMORY_SIZE_MAX_MB, .unit = "MB",
		.fallback = "0", .doc = "Memory to take at the start; 0 takes what is needed, as it is needed."},
	{"packets", .type = &read_number, FIELD(struct memory_conf, packets), .or_zero = true, .fallback = "0",
		.min = MEMORY_PACKETS_MIN, .max = MEMORY_PACKETS_MAX, .unit = "packets",
		.doc = "Packet buffers in the pool, 512 for each worker at least; 0 computes it from ports and workers."},
	{"sas", .type = &read_number, FIELD(struct memory_conf, sas), .max = MEMORY_SAS_MAX, .unit = "SAs", .fallback = "0",
		.doc = "SAs that there is room for, those that are added while the gateway runs among them; 0 makes room for twice as many as the file has, and 1,024 more."},
};

static const struct schema_key workers_keys[] = {
	{"lcores", .type = &read_number, .shape = SHAPE_LIST, ITEMS(struct workers_conf, lcores, n_lcores),
		.max = CPU_MAX, .items_min = 1, .items_max = GATEWAY_WORKERS_MAX, .required = true,
		.doc = "CPU numbers; one polling thread is pinned to each."},
	{"crypto", .type = &read_driver, .shape = SHAPE_LIST, ITEMS(struct workers_conf, crypto, n_crypto),
		.choices = drivers, .items_min = 1, .items_max = CRYPTO_DRIVERS_MAX, .fallback = "ipsec_mb, aesni_mb",
		.doc = "Crypto drivers in order of preference; a PCI address is that of a QAT device. `ipsec_mb` is IPsec-MB without cryptodev, the fastest for every algorithm; it encrypts in the call, so `async` passes it over. Of what a driver in software decrypts, the driver compares the ICV, which the log warns of: before DPDK 26.07 those of IPsec-MB do it in a time that depends on it."},
	{"crypto_mode", .type = &read_choice, FIELD(struct workers_conf, crypto_mode), .choices = crypto_modes,
		.fallback = "auto",
		.doc = "`sync` encrypts on the worker in the call, `async` enqueues and collects later; `auto` takes the faster for each algorithm."},
	{"idle_sleep_us", .type = &read_number, FIELD(struct workers_conf, idle_sleep_us), .max = IDLE_SLEEP_MAX_US,
		.unit = "microseconds", .fallback = "50",
		.doc = "The longest sleep of a worker that finds nothing to do; 0 polls without rest."},
};

static const struct schema_key port_keys[] = {
	{"device", .type = &read_device, FIELD(struct port_conf, device), .required = true,
		.doc = "The NIC's PCI address, or a DPDK virtual device with its arguments."},
	{"side", .type = &read_choice, FIELD(struct port_conf, side), .choices = sides, .required = true,
		.doc = "Where packets come in by this port: in clear from the network that is protected, or from the one that is not."},
	{"addresses", .type = &read_interface, .shape = SHAPE_LIST, ITEMS(struct port_conf, addresses, n_addresses),
		.items_max = PORT_ADDRESSES_MAX, .absent = "none",
		.doc = "The gateway's own addresses on this link, of either family, each with the link's prefix length."},
	{"mtu", .type = &read_number, FIELD(struct port_conf, mtu_bytes), .min = PORT_MTU_MIN, .max = PORT_MTU_MAX,
		.unit = "bytes", .fallback = "1500", .doc = "The longest IP packet that the link carries."},
	{"vlan", .type = &read_number, FIELD(struct port_conf, vlan), .min = 1, .max = PORT_VLAN_MAX, .absent = "untagged",
		.doc = "The 802.1Q tag of all frames of this port."},
};

static const struct schema_key route_keys[] = {
	{"to", .type = &read_prefix, FIELD(struct route_conf, to), .required = true,
		.doc = "The destinations; the longest prefix that matches wins."},
	{"via", .type = &read_address, FIELD(struct route_conf, via), .required = true,
		.doc = "The next hop: a neighbour on one of the ports' links, of the same family."},
};

static const struct schema_key neighbour_keys[] = {
	{"port", .type = &read_name, FIELD(struct neighbour_conf, port), .max = PORT_NAME_MAX, .required = true,
		.doc = "The name of the port on whose link the neighbour is."},
	{"address", .type = &read_address, FIELD(struct neighbour_conf, address), .required = true,
		.doc = "Its address."},
	{"mac", .type = &read_mac, FIELD(struct neighbour_conf, mac), .required = true,
		.doc = "Its MAC address; ARP and neighbour discovery are not asked."},
};

static const struct schema_key sa_keys[] = {
	{"spi", .type = &read_number, FIELD(struct sa_conf, spi), .min = SA_SPI_MIN, .max = UINT32_MAX, .required = true,
		.doc = "The security parameters index, the same at both ends; with `ipcomp` the CPI, up to 61439."},
	{"source", .type = &read_address, FIELD(struct sa_conf, source), .required = true,
		.doc = "The sending end; the gateway's own address if the SA is outbound."},
	{"destination", .type = &read_address, FIELD(struct sa_conf, destination), .required = true,
		.doc = "The receiving end; the gateway's own address if the SA is inbound."},
	{"lookup", .type = &read_choice, FIELD(struct sa_conf, lookup), .choices = lookups, .fallback = "destination",
		.doc = "What of a packet, beside its SPI, an inbound SA is found by; of those that match the most specific one is taken (RFC 4301 section 4.1). `destination`: its destination; the source must then be the SA's. `source`: both, so that SAs from other sources may have the same SPI. `spi`: neither, so that the peer may send from any address and to any of the gateway's, of the SA's family; the ICV alone says whose a packet is."},
	{"mode", .type = &read_choice, FIELD(struct sa_conf, mode), .choices = modes, .fallback = "tunnel",
		.doc = "`tunnel` carries whole IP packets; `transport` puts its header behind the packet's own IP header, so that the packet's ends are the SA's: for what the gateway itself sends, and for further SAs of a bundle (RFC 4301 section 4.1)."},
	{"esp", .type = &read_algorithm, FIELD(struct sa_conf, alg), .absent = "`ah` or `ipcomp` is given",
		.doc = "The ESP algorithm, by strongSwan's keyword; the table below lists them."},
	{"ah", .type = &read_ah_algorithm, FIELD(struct sa_conf, alg), .absent = "`esp` or `ipcomp` is given",
		.doc = "The authentication header instead of ESP: sha1, sha256, sha256_96, sha384, sha512, aesxcbc or aescmac. It proves the IP header too, and encrypts nothing."},
	{"ipcomp", .type = &read_choice, FIELD(struct sa_conf, protocol), .choices = compressions, .absent = "`esp` or `ah` is given",
		.doc = "Compression (RFC 3173) instead of ESP, as the innermost SA of a bundle; it has no key."},
	{"key", .type = &read_key, FIELD(struct sa_conf, key), .absent = "`key_file` is given",
		.doc = "The keying material: cipher key, salt, authentication key, in that order. Quote it."},
	{"key_file", .type = &read_key_file, FIELD(struct sa_conf, key), .absent = "`key` is given",
		.doc = "A file that holds the key as hexadecimal digits; below the configuration's directory unless absolute, and accessible to its owner alone (mode 0600)."},
	{"replay_window", .type = &read_number, FIELD(struct sa_conf, replay_window_pkts), .or_zero = true,
		.min = SA_REPLAY_WINDOW_MIN, .max = SA_REPLAY_WINDOW_MAX, .unit = "packets", .fallback = "1024",
		.doc = "How late a packet may come and still be told from a replay; 0 turns anti-replay off."},
	{"esn", .type = &read_bool, FIELD(struct sa_conf, esn), .fallback = "false",
		.doc = "Extended (64-bit) sequence numbers, as agreed with the other end."},
	{"df", .type = &read_choice, FIELD(struct sa_conf, df), .choices = dfs, .fallback = "set",
		.doc = "The DF flag of an outbound SA's IPv4 tunnel header; `copy` takes the inner packet's, and sets it for an IPv6 packet."},
	{"fragment", .type = &read_choice, FIELD(struct sa_conf, fragment), .choices = fragments, .fallback = "before",
		.doc = "Outbound: packets that are too long for the tunnel and may be fragmented are cut `before` encryption, so that the peer reassembles nothing, or `after` it, so that the hosts behind it don't."},
	{"dscp", .type = &read_dscp, FIELD(struct sa_conf, dscp), .choices = dscps, .fallback = "copy",
		.doc = "The DSCP of an outbound SA's tunnel header; `copy` takes the inner packet's."},
	{"mss_clamp", .type = &read_bool, FIELD(struct sa_conf, mss_clamp), .fallback = "true",
		.doc = "Lower the MSS of TCP connections through an outbound SA, in the SYN of either end, to what its tunnel carries. It is of the SA, since tunnels differ in what they carry, and in whether their ends learn it by themselves."},
	{"rekey_time", .type = &read_duration, FIELD(struct sa_conf, limits[SA_LIMIT_TIME].soft), .max = SA_TIME_MAX_S,
		.absent = "none", .doc = "How long after it was made an SA is to be replaced, which the log then says."},
	{"life_time", .type = &read_duration, FIELD(struct sa_conf, limits[SA_LIMIT_TIME].hard), .max = SA_TIME_MAX_S,
		.absent = "none", .doc = "How long after it was made an SA ends: its packets are dropped."},
	{"rekey_bytes", .type = &read_size, FIELD(struct sa_conf, limits[SA_LIMIT_BYTES].soft),
		.absent = "none", .doc = "After so many bytes that its cipher worked on (padding too) an SA is to be replaced."},
	{"life_bytes", .type = &read_size, FIELD(struct sa_conf, limits[SA_LIMIT_BYTES].hard),
		.absent = "none; an outbound SA with 3DES: 8M",
		.doc = "After so many such bytes an SA ends. It may end a little sooner, and never later."},
	{"rekey_packets", .type = &read_number, FIELD(struct sa_conf, limits[SA_LIMIT_PACKETS].soft), .min = 1,
		.max = INT64_MAX, .unit = "packets", .absent = "none",
		.doc = "After so many packets an SA is to be replaced."},
	{"life_packets", .type = &read_number, FIELD(struct sa_conf, limits[SA_LIMIT_PACKETS].hard), .min = 1,
		.max = INT64_MAX, .unit = "packets", .absent = "none; an outbound SA with AES and ESN: 2^38",
		.doc = "After so many packets an SA ends."},
	{"tfc_padding", .type = &read_tfc, FIELD(struct sa_conf, tfc_bytes), .choices = tfcs, .max = PORT_MTU_MAX,
		.fallback = "0",
		.doc = "Outbound: make inner packets that are shorter so many bytes long (RFC 4303 section 2.7), `mtu` as long as the tunnel carries; 0 leaves them."},
	{"dummy_rate", .type = &read_number, FIELD(struct sa_conf, dummy_rate_pps), .max = SA_DUMMY_RATE_MAX,
		.unit = "packets a second", .fallback = "0",
		.doc = "Outbound: dummy packets of random lengths to send beside the traffic (RFC 4303 section 2.6)."},
	{"allow_insecure", .type = &read_bool, FIELD(struct sa_conf, allow_insecure), .fallback = "false",
		.doc = "Accept an algorithm of the table that is marked as insecure, on this SA."},
	{"allow_static_iv_reuse", .type = &read_bool, FIELD(struct sa_conf, allow_static_iv_reuse), .fallback = "false",
		.doc = "Outbound: keep nothing on disk for the key, so that after a restart the SA begins with number 1 again. With AES-GCM, CCM, CTR, GMAC or ChaCha20-Poly1305 packets under one nonce tell what is in them, and let others be forged (RFC 8221 section 3): for tests, or keys that are made anew for each start. Within one run no number is used twice all the same."},
	{"for_dscp", .type = &read_dscp, .shape = SHAPE_ONE_OR_LIST, ITEMS(struct sa_conf, for_dscp, n_for_dscp),
		.choices = dscp_names, .items_min = 1, .items_max = SA_DSCP_MAX + 1, .absent = "any",
		.doc = "As an outbound policy's alternative: only for packets with one of these DSCPs."},
	{"for_worker", .type = &read_number, .shape = SHAPE_ONE_OR_LIST,
		ITEMS(struct sa_conf, for_worker, n_for_worker), .max = GATEWAY_WORKERS_MAX - 1, .items_min = 1,
		.items_max = GATEWAY_WORKERS_MAX, .absent = "any",
		.doc = "As an outbound policy's alternative: only for packets of one of these workers, each by its place in `workers.lcores`, from 0 (RFC 9611)."},
	{"after", .type = &read_name, FIELD(struct sa_conf, after), .max = NAME_MAX_LENGTH, .absent = "at once",
		.doc = "As an outbound policy's alternative: only once this inbound SA has accepted a packet, which shows that the other end uses the new SAs (RFC 7296 section 2.8)."},
	{"for_peer", .type = &read_name, FIELD(struct sa_conf, for_peer), .max = NAME_MAX_LENGTH, .absent = "any",
		.doc = "As an outbound policy's alternative: only for packets that answer what came by an inbound SA with this `peer`. For peers whose inner addresses are the same, so that no selector tells them apart (RFC 3948 section 5)."},
	{"peer", .type = &read_name, FIELD(struct sa_conf, peer), .max = NAME_MAX_LENGTH, .absent = "none",
		.doc = "Of an inbound SA: the name of the peer whose packets come by it, for outbound SAs with that `for_peer`. The gateway remembers by which peer each flow (addresses, protocol and ports, or ICMP echo's identifier) came in last. SAs that follow one another, as a rekeying makes them, have the same name, so that flows go on."},
	{"encap", .type = &read_choice, FIELD(struct sa_conf, encap), .choices = encaps, .fallback = "none",
		.doc = "`udp` carries ESP in UDP, through NATs (RFC 3948). The keys below are for that."},
	{"source_port", .type = &read_number, FIELD(struct sa_conf, source_port), .min = 1, .max = UINT16_MAX,
		.fallback = "4500", .doc = "The sending end's UDP port: an inbound SA takes packets from it alone, unless the peer is followed."},
	{"destination_port", .type = &read_number, FIELD(struct sa_conf, destination_port), .min = 1, .max = UINT16_MAX,
		.fallback = "4500", .doc = "The receiving end's UDP port."},
	{"bare_esp", .type = &read_bool, FIELD(struct sa_conf, bare_esp), .fallback = "true",
		.doc = "An inbound SA takes ESP without UDP too, as RFC 7296 section 2.23 demands."},
	{"udp_checksum", .type = &read_choice, FIELD(struct sa_conf, udp_checksum), .choices = udp_checksums,
		.fallback = "computed",
		.doc = "Of an outbound SA over IPv6; `zero` needs a peer that takes it (RFC 6935). Over IPv4 it is always zero."},
	{"keepalive", .type = &read_number, FIELD(struct sa_conf, keepalive_s), .max = SA_KEEPALIVE_MAX_S, .unit = "seconds",
		.fallback = "0",
		.doc = "An outbound SA that has sent nothing for so long sends a keepalive, so that a NAT in front of this gateway remembers it; 20 is RFC 3948's choice, 0 sends none."},
	{"follows", .type = &read_name, FIELD(struct sa_conf, follows), .max = NAME_MAX_LENGTH, .absent = "the peer stays",
		.doc = "The inbound SA from the same peer. That one then takes packets from any address and port, and this one sends to where its newest authentic packet in UDP came from."},
};

static const struct schema_key icmp_keys[] = {
	{"accept", .type = &read_choice, .shape = SHAPE_LIST, ITEMS(struct icmp_conf, accept, n_accept),
		.choices = icmp_kinds, .items_max = ICMP_KINDS_MAX, .fallback = "too_big",
		.doc = "Kinds of ICMP and ICMPv6 errors to the gateway's addresses on the unprotected side that are accepted, although nobody has authenticated them (RFC 4301 section 6.1.1); the others are dropped. An error must quote a packet that one of the SAs sent lately, or else goes to the host's own stack, if it has an interface (`host`) and may have sent what is quoted in clear. `too_big` lowers the SA's path MTU, the others are counted for the SA. Errors that are forwarded in clear are packets like any other, for policies to judge."},
	{"path_mtu_min_ipv4", .type = &read_number, FIELD(struct icmp_conf, path_mtu_min_ipv4), .min = PATH_MTU_IPV4_MIN,
		.max = PORT_MTU_MAX, .unit = "bytes", .fallback = "576",
		.doc = "The path MTU of an SA between IPv4 addresses is made no less than this, whatever an ICMP error says."},
	{"path_mtu_min_ipv6", .type = &read_number, FIELD(struct icmp_conf, path_mtu_min_ipv6), .min = PATH_MTU_IPV6_MIN,
		.max = PORT_MTU_MAX, .unit = "bytes", .fallback = "1280",
		.doc = "The same for an SA between IPv6 addresses."},
	{"path_mtu_age_s", .type = &read_number, FIELD(struct icmp_conf, path_mtu_age_s), .min = PATH_MTU_AGE_MIN_S,
		.max = PATH_MTU_AGE_MAX_S, .unit = "seconds", .fallback = "600",
		.doc = "After so long without another such error, a path MTU is forgotten (RFC 1191 section 6.3)."},
};

static const struct schema_key metrics_keys[] = {
	{"address", .type = &read_address, FIELD(struct metrics_conf, address), .fallback = "127.0.0.1",
		.doc = "Where to listen, an address of this machine: `0.0.0.0` or `::` is all of them. Nobody is asked who he is, so let no stranger reach it."},
	{"port", .type = &read_number, FIELD(struct metrics_conf, port), .max = UINT16_MAX, .fallback = "0",
		.doc = "The TCP port; 9464 is usual, 0 serves no metrics."},
	{"sas", .type = &read_bool, FIELD(struct metrics_conf, sas), .fallback = "true",
		.doc = "Serve the numbers of each SA too. With `false` a scrape stays small however many SAs there are."},
};

static const struct schema_key host_keys[] = {
	{"interface", .type = &read_name, FIELD(struct host_conf, interface), .max = HOST_INTERFACE_NAME_MAX,
		.absent = "none, and the host gets nothing",
		.doc = "The name of a TUN device, which the daemon makes and gives the addresses of all ports, or which is there already for its user. By it the host's own stack gets what is for the gateway's addresses and the gateway does not answer itself: IKE in clear to and from an address of an unprotected port, whatever policies say (RFC 4301 section 4.4.1), what comes out of an SA that may carry it, and what a policy lets in in clear. What the host sends by it is taken as from the protected side."},
	{"routes", .type = &read_prefix, .shape = SHAPE_LIST, ITEMS(struct host_conf, routes, n_routes),
		.items_max = HOST_ROUTES_MAX, .fallback = "0.0.0.0/0, ::/0",
		.doc = "What the host reaches by the interface: the daemon that makes the device gives the host these routes, behind every other of the host's for the same prefix. So the default is of use where the host has no other way; else name the peers here, or let the host choose by source address (docs/operations.md). `[]` gives it none."},
};

static const struct schema_key policy_keys[] = {
	{"name", .type = &read_name, FIELD(struct policy, name), .max = NAME_MAX_LENGTH, .required = true,
		.doc = "Its name, of one policy only."},
	{"direction", .type = &read_choice, FIELD(struct policy, direction), .choices = directions, .required = true,
		.doc = "`out` is from the protected side, `in` towards it."},
	{"action", .type = &read_choice, FIELD(struct policy, action), .choices = actions, .required = true,
		.doc = "`protect` is by IPsec, `bypass` lets packets pass in clear, `discard` drops them."},
	{"source", .type = &read_range, .shape = SHAPE_ONE_OR_LIST, ITEMS(struct policy, selector.sources, selector.n_sources),
		.items_min = 1, .absent = "any", .doc = "Source addresses, of either family; any of the list matches."},
	{"destination", .type = &read_range, .shape = SHAPE_ONE_OR_LIST,
		ITEMS(struct policy, selector.destinations, selector.n_destinations),
		.items_min = 1, .absent = "any", .doc = "Destination addresses."},
	{"protocol", .type = &read_protocol, FIELD(struct policy, selector.protocol), .choices = protocols, .absent = "any",
		.doc = "The next layer protocol, after IPv6 extension headers. `opaque` is for IPv6 packets in which it can't be seen: fragments that are not the first, of packets with more extension headers. See `source_port`."},
	{"source_port", .type = &read_port_range, FIELD(struct policy, selector.source_ports), .max = UINT16_MAX,
		.absent = "any", .doc = "Only with protocol tcp, udp, sctp, dccp or udplite. `opaque`, here and in the next keys, and with any protocol here and in `destination_port`, is for packets in which it can't be seen, as it is in fragments that are not the first, and for no others. A policy of the same direction that asks for it sees fragments as they come; without one, they are made whole for policies that name ports (RFC 4301 section 7)."},
	{"destination_port", .type = &read_port_range, FIELD(struct policy, selector.destination_ports),
		.max = UINT16_MAX, .absent = "any", .doc = "Only with protocol tcp, udp, sctp, dccp or udplite, but `opaque` with any."},
	{"icmp_type", .type = &read_port_range, FIELD(struct policy, selector.source_ports), .max = UINT8_MAX,
		.absent = "any", .doc = "Only with protocol icmp or icmpv6."},
	{"icmp_code", .type = &read_port_range, FIELD(struct policy, selector.destination_ports), .max = UINT8_MAX,
		.absent = "any", .doc = "Only with protocol icmp or icmpv6."},
	{"mobility_type", .type = &read_port_range, FIELD(struct policy, selector.source_ports), .max = UINT8_MAX,
		.absent = "any", .doc = "The type of the mobility header (RFC 6275 section 6.1), only with protocol mobility."},
	{"sas", .type = &read_name, .shape = SHAPE_LIST, ITEMS(struct policy, sas, n_sas), .max = NAME_MAX_LENGTH,
		.items_max = POLICY_BUNDLE_MAX, .absent = "none",
		.doc = "The SA that protects the packets, of this policy's direction, only with `action: protect`. Several are a bundle, innermost first: IPComp, then ESP, then AH, say; inbound, all of them are required, in that order. `[]` is none: where there are no `alternatives`, the packets are dropped, and the log says which SA they want."},
	{"alternatives", .type = &read_name, .shape = SHAPE_LIST,
		ITEMS(struct policy, alternatives, n_alternatives), .max = NAME_MAX_LENGTH, .items_min = 1,
		.items_max = POLICY_ALTERNATIVES_MAX, .absent = "none",
		.doc = "Further SAs of the same direction. Inbound, packets may come out of any of them. Outbound, the first that is for a packet, by its `for_dscp`, `for_worker`, `after` and `for_peer`, protects it, and `sas` where none is; with `sas: []` such a packet is dropped (`out_no_alternative`)."},
	{"icmp_errors", .type = &read_bool, FIELD(struct policy, icmp_errors), .fallback = "true",
		.doc = "Take an ICMP error that is itself within no policy, such as a far router's, if the packet that it quotes, turned round, is within this one; of use only with `action: protect`. RFC 4301 section 6.2 demands it: without it, path MTU discovery and traceroute fail between hosts whose routers have other addresses. The error must be for the host that sent what it quotes, so that nobody is reached whom the policy does not allow."},
	{"tell_sender", .type = &read_bool, FIELD(struct policy, tell_sender), .fallback = "false",
		.doc = "Answer packets for which there is no SA with ICMP 'administratively prohibited', at a limited rate. Only with `action: protect` and `direction: out`. Off unless asked for, since a connection would end for an SA that may be there in a moment, and since the answer goes to whoever a packet says that it is from."},
};
/* clang-format on */

/* Two values of one list that are the same; `equal` compares items i and j of the object's list. */
static void check_distinct(struct reader *reader, const struct schema_result *result, const char *key,
	size_t n, bool (*equal)(const struct workers_conf *workers, size_t i, size_t j),
	const struct workers_conf *workers)
{
	const struct yaml_node *list = yaml_node_find(result->node, key);
	char item[64];

	if (!list || !result_is_good(result, key))
		return;
	for (size_t i = 1; i < n; i++) {
		for (size_t j = 0; j < i; j++) {
			if (!equal(workers, i, j))
				continue;
			snprintf(item, sizeof(item), "%s[%zu]", key, i);
			read_fault(reader, &list->items[i], item, "%s is given twice", list->items[i].text);
			break;
		}
	}
}

static bool lcores_equal(const struct workers_conf *workers, size_t i, size_t j)
{
	return workers->lcores[i] == workers->lcores[j];
}

static bool drivers_equal(const struct workers_conf *workers, size_t i, size_t j)
{
	return strcmp(workers->crypto[i], workers->crypto[j]) == 0;
}

static void workers_finish(struct reader *reader, const struct schema_result *result, void *object)
{
	const struct workers_conf *workers = object;

	check_distinct(reader, result, "lcores", workers->n_lcores, lcores_equal, workers);
	check_distinct(reader, result, "crypto", workers->n_crypto, drivers_equal, workers);
}

static void host_finish(struct reader *reader, const struct schema_result *result, void *object)
{
	const struct host_conf *host = object;
	const struct yaml_node *routes = yaml_node_find(result->node, "routes");

	if (routes && !host->interface && result_is_good(result, "interface"))
		read_fault(reader, routes, "routes", "'interface' is missing, by which they would lead");
}

static void policy_init(void *object)
{
	struct policy *policy = object;

	selector_init(&policy->selector);
}

static bool protocol_has_ports(int protocol)
{
	return protocol == IPPROTO_NUMBER_TCP || protocol == IPPROTO_NUMBER_UDP ||
	       protocol == PROTOCOL_SCTP || protocol == PROTOCOL_DCCP || protocol == PROTOCOL_UDPLITE;
}

static bool protocol_is_icmp(int protocol)
{
	return protocol == IPPROTO_NUMBER_ICMP || protocol == IPPROTO_NUMBER_ICMPV6;
}

static void check_needs_protocol(struct reader *reader, const struct schema_result *result, const char *key,
	bool allowed, const char *needs)
{
	const struct yaml_node *node = yaml_node_find(result->node, key);

	if (node && !allowed && result_is_good(result, "protocol"))
		read_fault(reader, node, key, "needs protocol %s", needs);
}

/* Ports are seen both or not at all. */
static void check_opaque(
	struct reader *reader, const struct schema_result *result, const struct selector *selector)
{
	static const char *const keys[] = {"destination_port", "icmp_code"};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		const struct yaml_node *node = yaml_node_find(result->node, keys[i]);

		if (node && selector_reads_opaque(selector) && selector_reads_ports(selector))
			read_fault(reader, node, keys[i],
				"matches nothing: one of two is opaque, and packets have both or none");
	}
}

static void check_action(
	struct reader *reader, const struct schema_result *result, const struct policy *policy)
{
	const struct yaml_node *sas = yaml_node_find(result->node, "sas");
	const struct yaml_node *alternatives = yaml_node_find(result->node, "alternatives");

	if (!result_is_good(result, "action"))
		return;
	if (policy->action == POLICY_PROTECT && !sas)
		read_fault(reader, result->node, NULL,
			"'sas' is missing; action protect needs an SA, or '[]' for none yet");
	if (policy->action != POLICY_PROTECT && sas)
		read_fault(reader, sas, "sas", "only action protect uses an SA");
	if (policy->action != POLICY_PROTECT && alternatives)
		read_fault(reader, alternatives, "alternatives", "only action protect uses SAs");
}

static void names_forget(char **names, size_t *n)
{
	for (; *n > 0; --*n)
		free(names[*n - 1]);
}

static void check_tell_sender(
	struct reader *reader, const struct schema_result *result, const struct policy *policy)
{
	if (policy->tell_sender && result_is_good(result, "action") && result_is_good(result, "direction") &&
		(policy->action != POLICY_PROTECT || policy->direction != POLICY_OUT))
		read_fault(reader, yaml_node_find(result->node, "tell_sender"), "tell_sender",
			"needs action protect and direction out");
}

/* What could not be read must not lead check.c to findings that go away with the first. */
static void policy_forget_faulty(const struct schema_result *result, struct policy *policy)
{
	if (!result_is_good(result, "direction") || !result_is_good(result, "action")) {
		names_forget(policy->sas, &policy->n_sas);
		names_forget(policy->alternatives, &policy->n_alternatives);
	}
	if (!result_is_good(result, "source"))
		policy->selector.n_sources = 0;
	if (!result_is_good(result, "destination"))
		policy->selector.n_destinations = 0;
}

static void policy_finish(struct reader *reader, const struct schema_result *result, void *object)
{
	static const char with_ports[] = "tcp, udp, sctp, dccp or udplite", icmp[] = "icmp or icmpv6";
	struct policy *policy = object;
	bool has_ports = protocol_has_ports(policy->selector.protocol);
	bool is_icmp = protocol_is_icmp(policy->selector.protocol);
	bool is_mh = policy->selector.protocol == IPPROTO_NUMBER_MH;

	check_needs_protocol(reader, result, "source_port",
		has_ports || port_range_is_opaque(&policy->selector.source_ports), with_ports);
	check_needs_protocol(reader, result, "destination_port",
		has_ports || port_range_is_opaque(&policy->selector.destination_ports), with_ports);
	check_needs_protocol(reader, result, "icmp_type", is_icmp, icmp);
	check_needs_protocol(reader, result, "icmp_code", is_icmp, icmp);
	check_needs_protocol(reader, result, "mobility_type", is_mh, "mobility");
	check_opaque(reader, result, &policy->selector);
	check_action(reader, result, policy);
	check_tell_sender(reader, result, policy);
	policy_forget_faulty(result, policy);
}

static const struct schema control_schema = {.title = "control", KEYS(control_keys)};
static const struct schema capture_schema = {.title = "capture", KEYS(capture_keys)};
static const struct schema memory_schema = {.title = "memory", KEYS(memory_keys)};
static const struct schema workers_schema = {
	.title = "workers", KEYS(workers_keys), .finish = workers_finish};
static const struct schema port_schema = {.title = "ports",
	KEYS(port_keys),
	.name_offset = offsetof(struct port_conf, name),
	.name_max = PORT_NAME_MAX};
static const struct schema route_schema = {.title = "routes", KEYS(route_keys)};
static const struct schema neighbour_schema = {.title = "neighbours", KEYS(neighbour_keys)};
static const struct schema sa_schema = {.title = "sas",
	KEYS(sa_keys),
	.finish = sa_rules_check,
	.name_offset = offsetof(struct sa_conf, name),
	.name_max = NAME_MAX_LENGTH};
static const struct schema icmp_schema = {.title = "icmp", KEYS(icmp_keys)};
static const struct schema metrics_schema = {.title = "metrics", KEYS(metrics_keys)};
static const struct schema host_schema = {.title = "host", KEYS(host_keys), .finish = host_finish};
static const struct schema policy_schema = {
	.title = "policies", KEYS(policy_keys), .init = policy_init, .finish = policy_finish};

/* clang-format off */
#define KEYS_OF_A_CHANGE \
	{"sas", .shape = SHAPE_OBJECT_NAMES, .object = &sa_schema, ITEMS(struct gateway, sas, n_sas), .absent = "none", \
		.doc = "The security associations, by name; each carries packets one way."}, \
	{"policies", .shape = SHAPE_OBJECT_LIST, .object = &policy_schema, ITEMS(struct gateway, policies, n_policies), \
		.absent = "none", \
		.doc = "What happens to packets. They are searched in this order, the first match wins, and a packet that matches none is discarded."}

static const struct schema_key change_keys[] = {
	KEYS_OF_A_CHANGE,
};

static const struct schema_key gateway_keys[] = {
	{"control", .shape = SHAPE_OBJECT, .object = &control_schema,
		.doc = "How the daemon is reached."},
	{"memory", .shape = SHAPE_OBJECT, .object = &memory_schema, FIELD(struct gateway, memory),
		.doc = "Memory for packets and tables."},
	{"workers", .shape = SHAPE_OBJECT, .object = &workers_schema, FIELD(struct gateway, workers), .required = true,
		.doc = "The threads that move packets, and what they encrypt with."},
	{"ports", .shape = SHAPE_OBJECT_NAMES, .object = &port_schema, ITEMS(struct gateway, ports, n_ports),
		.items_min = 1, .items_max = GATEWAY_PORTS_MAX, .required = true,
		.doc = "The network ports, by name."},
	{"routes", .shape = SHAPE_OBJECT_LIST, .object = &route_schema, ITEMS(struct gateway, routes, n_routes),
		.absent = "none", .doc = "Where packets go that are for none of the ports' links."},
	{"neighbours", .shape = SHAPE_OBJECT_LIST, .object = &neighbour_schema,
		ITEMS(struct gateway, neighbours, n_neighbours), .absent = "none",
		.doc = "Neighbours whose MAC addresses are given here rather than asked for."},
	KEYS_OF_A_CHANGE,
	{"icmp", .shape = SHAPE_OBJECT, .object = &icmp_schema, FIELD(struct gateway, icmp),
		.doc = "What is made of ICMP errors that nobody has authenticated."},
	{"metrics", .shape = SHAPE_OBJECT, .object = &metrics_schema, FIELD(struct gateway, metrics),
		.doc = "Metrics over HTTP, as OpenMetrics or for Prometheus, at `/metrics`."},
	{"host", .shape = SHAPE_OBJECT, .object = &host_schema, FIELD(struct gateway, host),
		.doc = "The way between the gateway's own addresses and programs on this host: an IKE daemon, say."},
	{"capture", .shape = SHAPE_OBJECT, .object = &capture_schema,
		.doc = "What may be captured of packets, and to where (`pcapng` files)."},
};
/* clang-format on */

const struct schema *schema_gateway(void)
{
	static const struct schema gateway_schema = {.title = "gateway", KEYS(gateway_keys)};

	return &gateway_schema;
}

const struct schema *schema_part(void)
{
	static const struct schema part_schema = {.title = "change", KEYS(change_keys)};

	return &part_schema;
}
