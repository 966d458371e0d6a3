"""Several SAs for one policy: chosen by DSCP, by worker, and while old SAs give way to new ones."""
import unittest

from scapy.layers.inet import ICMP, IP, fragment
from scapy.layers.ipsec import ESP

from culvert import A, B, PAUSE, Site, built, ip, routed, udp

DSCP = {"be": 0, "af41": 34, "ef": 46}


def marked(dscp, *arguments, **fields):
    """A UDP packet with that DSCP and no ECN."""
    version = 6 if ":" in arguments[0] else 4
    return udp(*arguments, **fields, **{"tos" if version == 4 else "tc": dscp << 2})


def site_of(names, inner=4, way=None, **ends):
    """A site whose policy has the SAs of the first tunnel, and those of the others as alternatives; returns it and
    the peers by name. `ends` are a tunnel's options."""
    site = Site(way=way)
    peers = {name: site.tunnel(name, spi=0x1001 + number, inner=inner, policies=False, **ends.get(name, {}))
        for number, name in enumerate(names)}
    # Others before, not as many each way: the alternatives are those of their own policy.
    for direction in ("out", "in", "in"):
        site.policy(direction, "discard", protocol="udp", destination_port=len(site.conf["policies"]))
    for direction, source, destination in (("out", A, B), ("in", B, A)):
        sas = [f"{name}-{direction}" for name in names]
        site.policy(direction, "protect", source=source.net[inner], destination=destination.net[inner], sas=sas[:1],
            **({"alternatives": sas[1:]} if sas[1:] else {}))
    return site, peers


def no_alternatives_out(site):
    """All of the tunnels take packets in; one alone sends."""
    for policy in site.conf["policies"]:
        if policy["direction"] == "out":
            policy.pop("alternatives", None)


def opened(peers, packets):
    """Of ESP packets: which peer's SA, its number, and what is inside."""
    names = {peer.from_culvert.spi: name for name, peer in peers.items()}
    return [(names[p[ESP].spi], p[ESP].seq, bytes(peers[names[p[ESP].spi]].open(p))) for p in packets]


class ByDscp(unittest.TestCase):
    def test_a_packet_goes_by_the_sa_for_its_dscp_or_by_the_policys_own(self):
        # SPD-11: one flow, packets of three classes; the choice is made for each packet, both families.
        for inner in (4, 6):
            site, peers = site_of(["t", "voice", "video"], inner=inner)
            site.conf["sas"]["voice-out"]["for_dscp"] = "ef"
            site.conf["sas"]["video-out"]["for_dscp"] = ["af41", 36]
            wants = [("t", 0), ("voice", 46), ("video", 34), ("t", 46 ^ 1), ("video", 36), ("voice", 46), ("t", 0)]
            packets = [marked(dscp, A.host[inner], B.host[inner], b"%d" % i) for i, (_, dscp) in enumerate(wants)]

            run = site.run(lan=packets)

            found = opened(peers, run.wan)
            self.assertEqual([name for name, _, _ in found], [name for name, _ in wants])
            self.assertEqual([inner for _, _, inner in found], [bytes(routed(packet)) for packet in packets])
            self.assertEqual([seq for _, seq, _ in found], [1, 1, 1, 2, 2, 2, 3])
            self.assertEqual({name: run.sas[f"{name}-out"].packets for name in peers}, {"t": 3, "voice": 2, "video": 2})

    def test_packets_come_in_by_any_of_the_policys_sas(self):
        # SPD-11: whatever their DSCP: the choice is the sender's.
        site, peers = site_of(["t", "voice", "video"])
        site.conf["sas"]["voice-out"]["for_dscp"] = site.conf["sas"]["video-out"]["for_dscp"] = "ef"
        no_alternatives_out(site)
        packets = [marked(46, B.host[4], A.host[4], name.encode()) for name in ("video", "t", "voice", "t")]

        run = site.run(wan=[peers[p.load.decode()].seal(p) for p in packets])

        self.assertEqual([bytes(p) for p in run.lan], [bytes(routed(p)) for p in packets])
        self.assertEqual(run.drops, {})

    def test_the_sas_of_one_policy_are_not_those_of_another(self):
        # SPD-5, SPD-11: an alternative opens its own policy, and not the one beside it.
        site, peers = site_of(["t", "voice"])
        site.conf["sas"]["voice-out"]["for_dscp"] = "ef"
        other = site.tunnel("other", spi=0x1009, there="10.3.0.0/16")
        inside, beyond = udp(B.host[4], A.host[4]), udp("10.3.0.10", A.host[4])

        run = site.run(wan=[peers["voice"].seal(inside, seq=1), peers["voice"].seal(beyond, seq=2),
            other.seal(inside, seq=1), other.seal(beyond, seq=2)])

        self.assertEqual([bytes(p) for p in run.lan], [bytes(routed(inside)), bytes(routed(beyond))])
        self.assertEqual(run.sas["voice-in"].drops, {"in_selector": 1})
        self.assertEqual(run.sas["other-in"].drops, {"in_selector": 1})

    def test_an_alternative_may_end_elsewhere(self):
        # SPD-11: another peer, another family, another link's MTU and way.
        site, peers = site_of(["t", "far", "six"], far={"peer_address": "203.0.113.1"}, six={"outer": 6})
        site.conf["sas"]["far-out"]["for_dscp"] = "ef"
        site.conf["sas"]["six-out"]["for_dscp"] = "af41"
        site.conf["routes"].append({"to": "203.0.113.0/24", "via": "192.0.2.77"})
        site.conf["neighbours"].append({"port": "wan", "address": "192.0.2.77", "mac": "02:00:00:00:01:77"})
        packets = [marked(dscp, A.host[4], B.host[4]) for dscp in (46, 34, 0)]

        run = site.run(lan=packets)

        self.assertEqual([(p.version, p.dst) for p in run.wan],
            [(4, "203.0.113.1"), (6, B.wan[6]), (4, B.wan[4])])
        self.assertEqual([name for name, _, _ in opened(peers, run.wan)], ["far", "six", "t"])
        self.assertEqual([f.dst for f in run.frames["wan"] if f.haslayer(ESP)][0], "02:00:00:00:01:77")

    def test_fragments_of_a_packet_take_the_same_sa(self):
        # SPD-11: those that come and those that the gateway cuts.
        site, peers = site_of(["t", "voice"])
        site.conf["sas"]["voice-out"]["for_dscp"] = "ef"
        cut = marked(46, A.host[4], B.host[4], bytes(1472), id=7)
        come = fragment(marked(46, A.host[4], B.host[4], bytes(2000), id=8), fragsize=1000)

        run = site.run(lan=[cut, *come])

        found = opened(peers, run.wan)
        self.assertEqual([name for name, _, _ in found], ["voice"] * (2 + len(come)))
        self.assertEqual(run.sas["t-out"].packets, 0)


class ByWorker(unittest.TestCase):
    """What comes by the lan is the first worker's; the second one's are its answers to what comes by the wan."""

    def run_both(self, site, peers):
        pings = [built(ip(B.host[4], A.lan[4]) / ICMP(id=1, seq=n) / b"ping") for n in range(40)]
        packets = [udp(A.host[4], B.host[4], b"%d" % n) for n in range(40)]
        run = site.run(lan=packets, wan=[peers["t"].seal(ping, seq=n + 1) for n, ping in enumerate(pings)])
        self.assertEqual(run.drops, {})
        users = {"worker 0": [], "worker 1": []}
        numbers = {}
        for name, seq, inner in opened(peers, run.wan):
            users["worker 1" if inner[9] == 1 else "worker 0"].append(name)
            numbers.setdefault(name, []).append(seq)
        self.assertEqual({user: len(names) for user, names in users.items()}, {"worker 0": 40, "worker 1": 40})
        return {user: set(names) for user, names in users.items()}, numbers

    def test_each_worker_sends_by_its_own_sa(self):
        # PCP-1; PCP-2: each SA has one sender, so that its numbers leave in order, without a gap.
        site, peers = site_of(["t", "zero", "one"], way="two-workers")
        site.conf["sas"]["zero-out"]["for_worker"] = 0
        site.conf["sas"]["one-out"]["for_worker"] = [1]

        users, numbers = self.run_both(site, peers)

        self.assertEqual(users, {"worker 0": {"zero"}, "worker 1": {"one"}})
        self.assertEqual(numbers, {"zero": list(range(1, 41)), "one": list(range(1, 41))})

    def test_a_worker_without_an_sa_of_its_own_falls_back_on_the_policys(self):
        # PCP-1
        site, peers = site_of(["t", "one"], way="two-workers")
        site.conf["sas"]["one-out"]["for_worker"] = 1

        users, _ = self.run_both(site, peers)

        self.assertEqual(users, {"worker 0": {"t"}, "worker 1": {"one"}})

    def test_the_other_end_may_have_more_sas(self):
        # PCP-1: each of five is good to come in, on whichever worker; here there is one to send.
        names = ["t", "a", "b", "c", "d"]
        site, peers = site_of(names, way="two-workers")
        no_alternatives_out(site)
        packets = [udp(B.host[4], A.host[4], name.encode()) for name in names[::-1] * 3]

        run = site.run(lan=[udp(A.host[4], B.host[4])], wan=[peers[p.load.decode()].seal(p, seq=n + 1)
            for n, p in enumerate(packets)])

        self.assertEqual([bytes(p) for p in run.lan], [bytes(routed(p)) for p in packets])
        self.assertEqual(run.drops, {})
        self.assertEqual([name for name, _, _ in opened(peers, run.wan)], ["t"])

    def test_a_worker_may_have_an_sa_of_its_own_for_a_class(self):
        # PCP-1, SPD-11: both conditions must hold, and the first alternative that fits is taken.
        site, peers = site_of(["t", "one-ef", "zero-ef", "zero"], way="two-workers")
        site.conf["sas"]["one-ef-out"].update(for_worker=1, for_dscp="ef")
        site.conf["sas"]["zero-ef-out"].update(for_worker=0, for_dscp="ef")
        site.conf["sas"]["zero-out"]["for_worker"] = 0

        run = site.run(lan=[marked(dscp, A.host[4], B.host[4]) for dscp in (46, 0, 46)])

        self.assertEqual([name for name, _, _ in opened(peers, run.wan)], ["zero-ef", "zero", "zero-ef"])


class Rekeying(unittest.TestCase):
    """A policy's SAs `old` give way to `new`: the configurations of one moment each."""

    @staticmethod
    def site(first, *others):
        return site_of([first, *others])

    def test_old_and_new_packets_come_in_while_both_sas_are_there(self):
        # REK-1, REK-3: the new SA is the policy's, the old one is still good, and so are both of a rekeying that
        # both ends began; none is lost and none unknown.
        site, peers = self.site("new", "old", "theirs")
        no_alternatives_out(site)
        packets = [udp(B.host[4], A.host[4], name) for name in (b"old", b"old", b"theirs", b"old", b"new", b"theirs",
            b"new", b"old")]
        wan = [peers[p.load.decode()].seal(p, seq=n + 1) for n, p in enumerate(packets)]
        out = udp(A.host[4], B.host[4])

        run = site.run(lan=[out], wan=wan)

        self.assertEqual([bytes(p) for p in run.lan], [bytes(routed(p)) for p in packets])
        self.assertEqual(run.drops, {})
        self.assertEqual([name for name, _, _ in opened(peers, run.wan)], ["new"])

    def test_after_the_grace_the_old_sa_is_unknown(self):
        # REK-1: the policy stays as it was (REK-5), only its SA is another.
        site, peers = self.site("new")
        _, old = self.site("new", "old")

        run = site.run(wan=[peers["new"].seal(udp(B.host[4], A.host[4])), old["old"].seal(udp(B.host[4], A.host[4]))])

        self.assertEqual(len(run.lan), 1)
        self.assertEqual(run.drops, {"in_no_sa": 1})

    def rekeyed(self, wan_of):
        """The SAs that a packet before and one after the far end's took."""
        site, peers = self.site("old", "new")
        site.conf["sas"]["new-out"]["after"] = "new-in"
        packets = [udp(A.host[4], B.host[4], b"%d" % n) for n in range(2)]
        run = site.run(lan=[packets[0], *PAUSE, packets[1]], wan=wan_of(peers))
        found = opened(peers, run.wan)
        self.assertEqual([inner for _, _, inner in found], [bytes(routed(packet)) for packet in packets])
        return [name for name, _, _ in found], run

    def test_the_responder_goes_on_with_the_old_sa_until_the_new_one_was_used(self):
        # REK-2
        found, run = self.rekeyed(lambda peers: [peers["new"].seal(udp(B.host[4], A.host[4]))])

        self.assertEqual(found, ["old", "new"])
        self.assertEqual(len(run.lan), 1)

    def test_what_comes_by_the_old_sa_does_not_bring_the_new_one(self):
        # REK-2
        found, _ = self.rekeyed(lambda peers: [peers["old"].seal(udp(B.host[4], A.host[4]))])

        self.assertEqual(found, ["old", "old"])

    def test_a_forged_packet_does_not_bring_the_new_sa(self):
        # REK-2: only what is authentic shows that the peer has the new key.
        def forged(peers):
            packet = bytearray(bytes(peers["new"].seal(udp(B.host[4], A.host[4]))))
            packet[-1] ^= 1
            return [IP(bytes(packet))]

        found, run = self.rekeyed(forged)

        self.assertEqual(found, ["old", "old"])
        self.assertEqual(run.drops["in_icv"], 1)
