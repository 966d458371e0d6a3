"""Peers behind NATs whose inner addresses are the same: replies go to the peer that a flow came from.

Both peers are behind B's gateway, which is a NAT here, and known by their ports there.
"""
import os
import unittest

from scapy.layers.inet import ICMP, IP, TCP, UDP, fragment
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6
from scapy.layers.ipsec import ESP
from scapy.packet import Raw

from culvert import A, B, PAUSE, PORTS, Daemon, Feed, Site, built, ip, key_bytes, routed, udp
from test_modes import transport
from test_natt import HEADER, NatPeer, bare, in_udp, udp_of

NAMES = ("alice", "bob")
NAT_PORTS = {"alice": 61001, "bob": 61002}


def behind_nat(site, name, nat_port=None):
    """The tunnel's SAs are in UDP, by a port that the NAT chose, and of the peer of that name."""
    site.conf["sas"][f"{name}-out"].update(destination_port=nat_port or NAT_PORTS[name], for_peer=name)
    site.conf["sas"][f"{name}-in"].update(source_port=nat_port or NAT_PORTS[name], peer=name)


def both_ways(site, source, destination, out=(), names=NAMES):
    """The policies: `out` is who gets what is nobody's."""
    site.policy("out", "protect", source=source, destination=destination, sas=list(out),
        alternatives=[f"{name}-out" for name in names if f"{name}-out" not in out])
    site.policy("in", "protect", source=destination, destination=source, sas=[],
        alternatives=[f"{name}-in" for name in names])


def tunnels(inner=4, out=(), **options):
    """A site with two road warriors of one address; returns it and them, by name."""
    site = Site()
    peers = {}
    for number, name in enumerate(NAMES):
        peers[name] = NatPeer(site.tunnel(name, spi=0x1001 + number, encap="udp", policies=False, **options))
        behind_nat(site, name)
    both_ways(site, A.net[inner], B.net[inner], out)
    return site, peers


def sealed(peers, name, packet, **options):
    return peers[name].seal(packet, sport=NAT_PORTS[name], **options)


def steps(*each):
    """Packets for `lan` and `wan`, by steps: a worker is done with a burst of one port before it asks the next, and
    frames for others make a burst full."""
    pad = lambda packets: [*packets, *PAUSE[:Feed.BURST - len(packets)]]
    return {port: [packet for step in each for packet in pad(step.get(port, []))] for port in PORTS}


def to_whom(peers, packets):
    """Of ESP in UDP from the gateway: the peer that opens it, and what is inside. Its port and its SPI must agree."""
    names = {port: name for name, port in NAT_PORTS.items()}
    found = []
    for packet in packets:
        name = names[udp_of(packet)[1]]
        found.append((name, bytes(peers[name].open(packet))))
    return found


def client(sport=1000, dport=2000, payload=b"question", version=4, **fields):
    return udp(B.host[version], A.host[version], payload, sport, dport, **fields)


def server(sport=2000, dport=1000, payload=b"answer", version=4, **fields):
    return udp(A.host[version], B.host[version], payload, sport, dport, **fields)


def ping(identifier, source=B.host, destination=A.host, version=4, payload=b"ping", seq=1):
    kind = ICMP if version == 4 else ICMPv6EchoRequest
    return built(ip(source[version], destination[version]) / kind(id=identifier, seq=seq) / Raw(payload))


def pong(identifier, version=4):
    header = ip(A.host[version], B.host[version])
    if version == 4:
        return built(header / ICMP(type=0, id=identifier, seq=1) / Raw(b"ping"))
    answer = ICMPv6EchoRequest(type=129, id=identifier, seq=1)
    return built(header / answer / Raw(b"ping"))


class Tunnels(unittest.TestCase):
    def test_replies_go_to_the_peer_whose_flow_they_are_of(self):
        # NAT-8: by ports, and ICMP's by identifier; both inner families. SPD-5: each peer's SA carries them in.
        for version in (4, 6):
            site, peers = tunnels(version)
            come = [("alice", client(1000, version=version)), ("bob", client(1001, version=version)),
                ("bob", ping(7, version=version)), ("alice", ping(8, version=version))]
            go = [("bob", server(dport=1001, version=version)), ("alice", server(dport=1000, version=version)),
                ("alice", pong(8, version)), ("bob", pong(7, version))]

            run = site.run(**steps({"wan": [sealed(peers, name, packet) for name, packet in come]},
                {"lan": [packet for _, packet in go]}))

            self.assertEqual([bytes(p) for p in run.lan], [bytes(routed(p)) for _, p in come])
            self.assertEqual(to_whom(peers, run.wan), [(name, bytes(routed(p))) for name, p in go])

    def test_the_flow_is_the_peers_that_used_it_last(self):
        # NAT-8
        site, peers = tunnels()
        answers = [server(payload=b"%d" % n) for n in range(4)]
        users = ("alice", "bob", "bob", "alice")

        run = site.run(**steps(*({"wan": [sealed(peers, name, client())], "lan": [answer]}
            for name, answer in zip(users, answers)), {"lan": [answers[0]]}))

        # A step's lan is read first: what it sends answers the step before.
        self.assertEqual(run.drops.pop("out_no_alternative"), 1)
        self.assertEqual(to_whom(peers, run.wan), [(name, bytes(routed(answer)))
            for name, answer in zip(users, [*answers[1:], answers[0]])])

    def test_what_answers_no_peer_is_dropped_by_name_or_has_the_policys_own_sa(self):
        # NAT-8: another port, protocol or direction of an echo is another flow.
        unknown = [server(dport=999), server(sport=1999), pong(9), ping(9, A.host, B.host),
            built(IP(src=A.host[4], dst=B.host[4]) / TCP(sport=2000, dport=1000))]
        for out in ((), ("bob-out",)):
            site, peers = tunnels(out=out)
            if out:
                del site.conf["sas"]["bob-out"]["for_peer"]

            run = site.run(**steps({"wan": [sealed(peers, "alice", client()), sealed(peers, "alice", ping(8))]},
                {"lan": [*unknown, server()]}))

            own = [("bob", bytes(routed(p))) for p in unknown] if out else []
            self.assertEqual(to_whom(peers, run.wan), [*own, ("alice", bytes(routed(server())))])
            self.assertEqual(run.drops.get("out_no_alternative", 0), 0 if out else len(unknown))

    def test_only_an_authentic_packet_within_the_selectors_takes_a_flow(self):
        # NAT-8: not one that is forged or replayed, nor one by the SA of a peer who may not have that address.
        site, peers = tunnels()
        peers["eve"] = NatPeer(site.tunnel("eve", spi=0x1003, encap="udp", there="10.3.0.0/16"))
        site.conf["sas"]["eve-in"]["peer"] = "eve"
        first = sealed(peers, "bob", client(), seq=1)
        forged = bytearray(bytes(sealed(peers, "bob", client(), seq=2)))
        forged[-1] ^= 1

        run = site.run(**steps({"wan": [first, sealed(peers, "alice", client())]},
            {"wan": [IP(bytes(forged)), first, peers["eve"].seal(client())]}, {"lan": [server()]}))

        self.assertEqual([name for name, _ in to_whom(peers, run.wan)], ["alice"])
        drops = {reason: n for reason, n in run.drops.items() if not reason.startswith("eth_")}
        self.assertEqual(drops, {"in_icv": 1, "in_replay": 1, "in_selector": 1})

    def test_an_icmp_error_goes_to_the_peer_whose_packet_it_quotes(self):
        # NAT-8, ICM-2: the server's, a router's that no policy names, the gateway's own about a TTL, and about an echo.
        site, peers = tunnels()
        question, last = client(payload=b"a"), client(1001, ttl=1)
        traced = built(IP(src=B.host[4], dst=A.host[4], ttl=1) / ICMP(id=7, seq=1) / Raw(b"ping"))
        errors = [built(IP(src=source, dst=B.host[4]) / ICMP(type=3, code=3) / Raw(bytes(routed(question))))
            for source in (A.host[4], "10.99.0.1")]
        unknown = built(IP(src="10.99.0.1", dst=B.host[4]) / ICMP(type=3, code=3) / Raw(bytes(client(998))))

        run = site.run(**steps({"wan": [sealed(peers, "alice", question), sealed(peers, "bob", client(999))]},
            {"wan": [sealed(peers, "bob", last)]}, {"wan": [sealed(peers, "alice", traced)]}, {"lan": [*errors, unknown]}))

        self.assertEqual(run.drops["out_no_alternative"], 1)
        found = to_whom(peers, run.wan)
        self.assertEqual([name for name, _ in found], ["bob", "alice", "alice", "alice"])
        self.assertEqual([IP(inner)[ICMP].type for _, inner in found], [11, 11, 3, 3])

    def test_fragments_go_where_their_packet_goes(self):
        # NAT-8, FRG-6: they are made whole for their ports, both ways.
        site, peers = tunnels()
        question, answer = client(payload=bytes(2000), id=5), server(payload=bytes(2000), id=6)

        run = site.run(**steps({"wan": [sealed(peers, "bob", p) for p in fragment(question, fragsize=1000)]},
            {"lan": fragment(answer, fragsize=1000)}))

        self.assertEqual({name for name, _ in to_whom(peers, run.wan)}, {"bob"})
        pieces = [IP(inner) for _, inner in to_whom(peers, run.wan)]
        self.assertGreater(len(pieces), 1)
        self.assertEqual(sum(len(piece.payload) for piece in pieces), len(answer[UDP]))

    def test_a_syn_is_lowered_to_what_the_tunnel_back_carries(self):
        # NAT-8, PMT-6: bob's is longer by its cipher.
        site = Site()
        peers = {name: NatPeer(site.tunnel(name, esp=esp, spi=0x1001 + n, encap="udp", policies=False))
            for n, (name, esp) in enumerate({"alice": "aes128gcm16", "bob": "aes256-sha512"}.items())}
        for name in NAMES:
            behind_nat(site, name)
        both_ways(site, A.net[4], B.net[4])
        syn = built(IP(src=B.host[4], dst=A.host[4]) / TCP(flags="S", options=[("MSS", 1460)]))

        run = site.run(wan=[sealed(peers, name, syn) for name in NAMES])

        mss = {name: dict(p[TCP].options)["MSS"] for name, p in zip(NAMES, run.lan)}
        self.assertEqual(mss["alice"], 1438 - 40)
        self.assertLess(mss["bob"], mss["alice"])


class TransportMode(unittest.TestCase):
    """Clients that look like one address to the gateway (RFC 3948 section 5.2), which they ping."""

    def test_each_client_gets_the_answers_to_its_own_pings(self):
        # NAT-8: within one burst by their identifiers; with one identifier, one after the other.
        for version in (4, 6):
            site = Site()
            peers = {}
            for number, name in enumerate(NAMES):
                peers[name] = transport(site, name, version, policies=False, spi=0x1001 + number, encap="udp")
                behind_nat(site, name)
            both_ways(site, A.wan[version], B.wan[version])

            def from_nat(name, identifier):
                question = ping(identifier, B.wan, A.wan, version, name.encode())
                raw = bytearray(bytes(in_udp(peers[name].seal(question), version)))
                raw[HEADER[version]:HEADER[version] + 2] = NAT_PORTS[name].to_bytes(2, "big")
                return (IP if version == 4 else IPv6)(bytes(raw))

            asked = [("alice", 1), ("bob", 2), ("bob", 9), ("alice", 9), ("bob", 9)]
            burst, single = asked[:2], asked[2:]
            run = site.run(**steps({"wan": [from_nat(*each) for each in burst]},
                *({"wan": [from_nat(*each)]} for each in single)))

            names = {port: name for name, port in NAT_PORTS.items()}
            found = [(names[udp_of(p)[1]], peers[names[udp_of(p)[1]]].open(bare(p))) for p in run.wan]
            self.assertEqual([name for name, _ in found], [name for name, _ in asked])
            self.assertEqual([bytes(answer)[HEADER[version] + 8:] for _, answer in found],
                [name.encode() for name, _ in asked])


class Fed:
    """A gateway whose ports get packets step by step, while it is changed."""

    def __init__(self, site):
        site.write()
        self.site, self.feeds = site, {}
        for port in PORTS:
            path = site.path(f"{port}-rx0.pcap")
            os.remove(path)
            self.feeds[port] = Feed(path)
        self.daemon = Daemon(["--config", site.path("site.yaml")], site.directory).wait_ready()

    def step(self, lan=(), wan=()):
        """As one of `steps`, and the worker is done with it."""
        for port, packets in (("lan", lan), ("wan", wan)):
            self.feeds[port].put([self.site.frame(port, packet) for packet in packets])
        received = sum(feed.n for feed in self.feeds.values())
        self.daemon.wait_until(lambda: self.daemon.telemetry("/culvert/totals")["received"] == received,
            lambda: f"{received} frames are read")

    def change(self, **arguments):
        """The worker adopts the change with its next burst."""
        self.daemon.control("change", **arguments)
        for _ in range(2):
            self.step()
        self.daemon.wait_adopted()

    def end(self):
        for feed in self.feeds.values():
            feed.close()
        self.daemon.signal()
        return self.site.result(self.daemon, sum(feed.n for feed in self.feeds.values()))


class Changes(unittest.TestCase):
    def policies(self, out, into):
        common = {"action": "protect"}
        return [
            {"name": "p0", "direction": "out", **common, "source": A.net[4], "destination": B.net[4], "sas": [],
                "alternatives": out},
            {"name": "p1", "direction": "in", **common, "source": B.net[4], "destination": A.net[4], "sas": [],
                "alternatives": into},
        ]

    def test_flows_go_on_by_the_new_sas_of_a_rekeying(self):
        # NAT-8, REK-1: although the peer has sent nothing by the new one; `after` holds the new one back until it has.
        site, peers = tunnels()
        new = Site()
        peers["alice-2"] = NatPeer(new.tunnel("alice-2", spi=0x1011, encap="udp", policies=False))
        behind_nat(new, "alice-2", NAT_PORTS["alice"])
        for way, key in (("out", "for_peer"), ("in", "peer")):
            new.conf["sas"][f"alice-2-{way}"][key] = "alice"
        site.keys += new.keys
        spis = {0x1001: "alice", 0x1011: "alice-2"}
        fed = Fed(site)
        fed.step(wan=[sealed(peers, "alice", client()), sealed(peers, "bob", client(999))])

        held = {**new.conf["sas"]["alice-2-out"], "after": "alice-2-in"}
        fed.change(sas={**new.conf["sas"], "alice-2-out": held}, replace=True, policies=self.policies(
            ["alice-2-out", "alice-out", "bob-out"], ["alice-in", "alice-2-in", "bob-in"]))
        fed.step(lan=[server(payload=b"1")])
        fed.change(sas={"alice-2-out": new.conf["sas"]["alice-2-out"]}, replace=True,
            policies=self.policies(["alice-2-out", "bob-out"], ["alice-2-in", "bob-in"]),
            delete_sas=["alice-out", "alice-in"])
        fed.step(lan=[server(payload=b"2"), server(dport=999)])

        run = fed.end()
        found = [(spis.get(bare(p)[ESP].spi, "bob"), p) for p in run.wan]
        self.assertEqual([name for name, _ in found], ["alice", "alice-2", "bob"])
        self.assertEqual([bytes(peers[name].open(p)) for name, p in found],
            [bytes(routed(p)) for p in (server(payload=b"1"), server(payload=b"2"), server(dport=999))])

    def test_nothing_is_sent_to_another_once_a_peer_is_gone_or_its_name_is_anothers(self):
        # NAT-8
        site, peers = tunnels()
        other = key_bytes("another bob", 20).hex()
        fed = Fed(site)
        fed.step(wan=[sealed(peers, "alice", client()), sealed(peers, "bob", client(1001))])

        bob = {name: {**site.conf["sas"][name], "key": "0x" + (other if name == "bob-in" else other[::-1])}
            for name in ("bob-in", "bob-out")}
        refusal = fed.daemon.refusal("change", delete_sas=["bob-in"], replace=True,
            policies=self.policies(["alice-out", "bob-out"], ["alice-in"]))
        fed.change(delete_sas=["bob-in", "bob-out"], replace=True, policies=self.policies(["alice-out"], ["alice-in"]))
        fed.step(lan=[server(dport=1001), server()])
        fed.change(sas=bob, replace=True, policies=self.policies(["alice-out", "bob-out"], ["alice-in", "bob-in"]))
        fed.step(lan=[server(dport=1001), server()])

        run = fed.end()
        self.assertEqual(refusal["findings"],
            [{"path": "sas.bob-out.for_peer", "text": "no inbound SA has the peer 'bob'"}])
        self.assertEqual(to_whom(peers, run.wan), [("alice", bytes(routed(server())))] * 2)
        self.assertEqual(run.drops["out_no_alternative"], 2)

    def test_whose_flow_a_packet_is_of_is_told(self):
        # NAT-8: explain, show sa, and the table's use.
        site, peers = tunnels()
        fed = Fed(site)
        fed.step(wan=[sealed(peers, "bob", client())])
        asked = [f"{A.host[4]} {B.host[4]} udp 2000 {port}" for port in (1000, 1001)]

        known, unknown = (fed.daemon.ctl("explain", "--in", "lan", packet) for packet in asked)
        sas = [fed.daemon.control("show-sa", name=name)["sa"] for name in ("bob-in", "bob-out")]
        table = fed.daemon.telemetry("/culvert/tables")["replies"]

        fed.end()
        self.assertIn("it answers what came in from the peer bob\n", known)
        self.assertIn("it is protected by SA bob-out", known)
        self.assertIn("it answers nothing that came in from a peer\n", unknown)
        self.assertIn("it is dropped as out_no_alternative", unknown)
        self.assertEqual([sas[0]["peer"], sas[1]["for_peer"]], ["bob", "bob"])
        self.assertEqual(table, {"used": 1, "capacity": 65536})


if __name__ == "__main__":
    unittest.main()
