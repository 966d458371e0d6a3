/*
 * The gateway that the data path's suites run: a protected `lan`, an unprotected `wan`, tunnels to a peer,
 * and policies of every kind.
 */
#ifndef CULVERT_TESTS_UNIT_DATAPATH_SITES_H
#define CULVERT_TESTS_UNIT_DATAPATH_SITES_H

/* The ways of crypto: AES-GCM without cryptodev, in cryptodev's call, and through a device's queue. */
#define SITE_DIRECT "crypto: [ipsec_mb, aesni_mb], crypto_mode: auto"
#define SITE_SYNC   "crypto: [aesni_gcm, aesni_mb], crypto_mode: sync"
/* GCM in the call, CBC through a queue. */
#define SITE_MIXED "crypto: [aesni_gcm, aesni_mb], crypto_mode: auto"
#define SITE_ASYNC "crypto: [aesni_gcm, aesni_mb], crypto_mode: async"

/* Packets without addresses (support/packet.h) go from the lan's host 10.1.0.1 to 10.2.0.1, through `out`. */
#define SITE_YAML(lcores, crypto)                                                                            \
	"memory: {hugepages: false, packets: 4096}\n"                                                        \
	"workers: {lcores: [" lcores "], " crypto "}\n"                                                      \
	"ports:\n"                                                                                           \
	"  lan: {device: net_ring0, side: protected, addresses: [10.1.0.254/24, 'fd00:1::fe/64']}\n"         \
	"  wan: {device: net_ring1, side: unprotected, addresses: [192.0.2.1/24, '2001:db8::1/64']}\n"       \
	"routes:\n"                                                                                          \
	"  - {to: 198.51.100.0/24, via: 192.0.2.254}\n"                                                      \
	"  - {to: 10.2.0.0/16, via: 192.0.2.254}\n"                                                          \
	"  - {to: 203.0.113.0/24, via: 192.0.2.254}\n"                                                       \
	"neighbours:\n"                                                                                      \
	"  - {port: wan, address: 192.0.2.254, mac: '02:00:5e:00:02:fe'}\n"                                  \
	"  - {port: lan, address: 10.1.0.1, mac: '02:00:5e:00:01:01'}\n"                                     \
	"  - {port: lan, address: 'fd00:1::1', mac: '02:00:5e:00:01:01'}\n"                                  \
	"sas:\n"                                                                                             \
	"  out: {spi: 0x1001, source: 192.0.2.1, destination: 198.51.100.1, esp: aes128gcm16,\n"             \
	"        key: '0x000102030405060708090a0b0c0d0e0f10111213'}\n"                                       \
	"  in: {spi: 0x2001, source: 198.51.100.1, destination: 192.0.2.1, esp: aes128gcm16,\n"              \
	"       key: '0x200102030405060708090a0b0c0d0e0f10111213'}\n"                                        \
	"  out-cbc: {spi: 0x1002, source: 192.0.2.1, destination: 198.51.100.2, esp: aes128-sha256,\n"       \
	"        key: '0x300102030405060708090a0b0c0d0e0f"                                                   \
	"101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f'}\n"                               \
	"  in-other: {spi: 0x2002, source: 198.51.100.2, destination: 192.0.2.1, esp: aes128-sha256,\n"      \
	"        key: '0x400102030405060708090a0b0c0d0e0f"                                                   \
	"101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f'}\n"                               \
	"  in-inside: {spi: 0x2003, source: 198.51.100.1, destination: 192.0.2.1, esp: aes128gcm16,\n"       \
	"       key: '0x500102030405060708090a0b0c0d0e0f10111213'}\n"                                        \
	"  in-around: {spi: 0x2004, source: 198.51.100.1, destination: 192.0.2.1, mode: transport,\n"        \
	"       esp: aes128gcm16, key: '0x600102030405060708090a0b0c0d0e0f10111213'}\n"                      \
	"  in-comp: {spi: 515, source: 198.51.100.1, destination: 192.0.2.1, ipcomp: deflate}\n"             \
	"  in-comp-around: {spi: 0x2005, source: 198.51.100.1, destination: 192.0.2.1, mode: transport,\n"   \
	"       esp: aes128gcm16, key: '0x700102030405060708090a0b0c0d0e0f10111213'}\n"                      \
	"policies:\n"                                                                                        \
	"  - {name: comp-in, direction: in, action: protect, source: 10.2.5.0/24,\n"                         \
	"     sas: [in-comp, in-comp-around]}\n"                                                             \
	"  - {name: bundle-in, direction: in, action: protect, source: 10.2.4.0/24,\n"                       \
	"     sas: [in-inside, in-around]}\n"                                                                \
	"  - {name: nested-in, direction: in, action: protect, source: 198.51.100.1, destination: "          \
	"192.0.2.1,\n"                                                                                       \
	"     protocol: esp, sas: [in]}\n"                                                                   \
	"  - {name: blocked-out, direction: out, action: discard, destination: 10.2.9.0/24}\n"               \
	"  - {name: blocked-in, direction: in, action: discard, source: 10.2.9.0/24}\n"                      \
	"  - {name: web-out, direction: out, action: bypass, destination: 203.0.113.0/24}\n"                 \
	"  - {name: web-in, direction: in, action: bypass, source: 203.0.113.0/24}\n"                        \
	"  - {name: nowhere, direction: out, action: bypass, destination: 100.64.0.0/10}\n"                  \
	"  - {name: link, direction: out, action: bypass, destination: 192.0.2.0/24}\n"                      \
	"  - {name: no-sa, direction: out, action: protect, destination: 10.2.8.0/24, sas: []}\n"            \
	"  - {name: cbc-out, direction: out, action: protect, destination: 10.2.3.0/24, sas: [out-cbc]}\n"   \
	"  - {name: other-in, direction: in, action: protect, source: 10.2.3.0/24, sas: [in-other]}\n"       \
	"  - {name: hub-in, direction: in, action: protect, source: 10.2.0.0/16, destination: "              \
	"10.2.3.0/24,\n"                                                                                     \
	"     sas: [in]}\n"                                                                                  \
	"  - {name: out, direction: out, action: protect, source: [10.1.0.0/24, 'fd00:1::/64'],\n"           \
	"     destination: [10.2.0.0/16, 'fd00:2::/64'], sas: [out]}\n"                                      \
	"  - {name: in, direction: in, action: protect, source: [10.2.0.0/16, 'fd00:2::/64'],\n"             \
	"     destination: [10.1.0.0/24, 'fd00:1::/64'], sas: [in]}\n"

/* From the peer's host to the lan's, as the inner packet of the SA `in`. */
#define SITE_INNER .source = "10.2.0.1", .destination = "10.1.0.1"

#endif
