"""The MTU of a tunnel's path, as routers outside tell it; and ICMP errors that cross a tunnel from routers inside."""
import struct
import unittest

from scapy.layers.inet import ICMP, IP
from scapy.layers.inet6 import ICMPv6PacketTooBig, ICMPv6TimeExceeded, IPv6
from scapy.packet import Raw

from culvert import A, B, Site, built, ip, routed, udp

ROUTER = {4: "203.0.113.9", 6: "2001:db8:9::9"}  # on the path between the sites
INSIDE = {4: "10.77.0.1", 6: "fd77::1"}          # at site B, with an address that no policy covers
UNREACHABLE, NEEDS_FRAGMENTATION, TIME_EXCEEDED = 3, 4, 11
AROUND = {4: 54, 6: 74}  # what AES-GCM's tunnel adds at least: header, ESP, IV, trailer, ICV


def sized(source, destination, size, **fields):
    """A UDP packet of exactly so many bytes."""
    return udp(source, destination, bytes(size - (28 if ":" not in source else 48)), **fields)


def esp_quote(outer, spi=0x1001, seq=1, **fields):
    """The front of the gateway's ESP packet, as a router quotes it."""
    header = (IP(src=A.wan[4], dst=B.wan[4], proto=50, len=1400, **{"flags": "DF", **fields}) if outer == 4
        else IPv6(src=A.wan[6], dst=B.wan[6], nh=50, plen=1400, **fields))
    return bytes(header / Raw(struct.pack("!II", spi, seq) + bytes(8)))


def too_big(outer, mtu, quote=None):
    """What a router outside says to the gateway."""
    quote = esp_quote(outer) if quote is None else quote
    kind = (ICMP(type=UNREACHABLE, code=NEEDS_FRAGMENTATION, nexthopmtu=mtu) if outer == 4
        else ICMPv6PacketTooBig(mtu=mtu))
    return built(ip(ROUTER[outer], A.wan[outer]) / kind / Raw(quote))


def told_mtu(answer):
    return answer[ICMP].nexthopmtu if isinstance(answer, IP) else answer[ICMPv6PacketTooBig].mtu


class Told:
    """A gateway that sends a packet into its tunnel, is told something about it, and then gets more packets."""

    def __init__(self, outer, inner, errors, conf=None):
        # One worker, and one queue of each port: the order of things is the test's.
        self.site = Site(queues=1)
        self.inner = inner
        self.peer = self.site.tunnel(outer=outer, inner=inner)
        self.site.conf["icmp"] = conf or {}
        self.errors = errors

    def packet(self, size):
        fields = {"flags": "DF"} if self.inner == 4 else {}
        return sized(A.host[self.inner], B.host[self.inner], size, **fields)

    def run(self, packets, condition):
        """`packets` arrive once telemetry says what the condition wants to see of the SA and the drops."""
        daemon, feed = self.site.start_fed("lan", wan=self.errors)
        feed.put([self.site.frame("lan", self.packet(1000))])

        def is_told():
            self.sa = daemon.telemetry("/culvert/sa,t-out")
            return condition(self.sa, daemon.telemetry("/culvert/drops"))

        daemon.wait_ready().wait_until(is_told, lambda: f"the gateway has heard of it: {self.sa}")
        feed.put([self.site.frame("lan", packet) for packet in packets])
        feed.close()
        n = feed.n + len(self.errors)
        daemon.wait_settled(n).signal()
        return self.site.result(daemon, n)


class PathMtu(unittest.TestCase):
    def test_a_narrow_path_is_learned_and_told_to_hosts_exactly(self):
        # PMT-5, PMT-2: each outer and inner version.
        for outer in (4, 6):
            for inner in (4, 6):
                with self.subTest(f"IPv{inner} over IPv{outer}"):
                    told = Told(outer, inner, [too_big(outer, 1400)])
                    fit = 1400 - AROUND[outer]

                    run = told.run([told.packet(fit), told.packet(fit + 1)], lambda sa, _: sa["path_mtu"] != 1500)

                    self.assertEqual((told.sa["path_mtu"], told.sa["inner_mtu"], told.sa["icmp_errors"]), (1400, fit, 1))
                    self.assertEqual([len(p) for p in run.wan[1:]], [1400])
                    self.assertEqual(bytes(told.peer.open(run.wan[1])), bytes(routed(told.packet(fit))))
                    self.assertEqual([told_mtu(p) for p in run.lan], [fit])
                    self.assertIn(f"path_mtu=1400 inner_mtu={fit}", run.stderr)

    def test_a_forged_error_narrows_it_to_the_bound_at_most(self):
        # PMT-5
        for conf, mtu in (({}, 576), ({"path_mtu_min_ipv4": 1000}, 1000)):
            told = Told(4, 4, [too_big(4, 68)], conf)

            told.run([], lambda sa, _: sa["path_mtu"] != 1500)

            self.assertEqual(told.sa["path_mtu"], mtu)

    def test_what_quotes_no_packet_of_ours_changes_nothing(self):
        # PMT-5: another SPI, a number that was not sent, no DF, nothing at all; and less than IPv6's least MTU.
        quotes = [esp_quote(4, spi=0x1002), esp_quote(4, seq=2), esp_quote(4, seq=0), esp_quote(4, flags=0), b"",
            esp_quote(4)[:27]]
        errors = [too_big(4, 1300, quote) for quote in quotes] + [too_big(6, 1279, esp_quote(6))]
        told = Told(4, 4, errors)

        run = told.run([told.packet(1446)], lambda _, drops: "icmp_quote" in drops)

        self.assertEqual((run.drops["icmp_quote"], run.lan, len(run.wan)), (len(errors), [], 2))
        self.assertEqual((told.sa["path_mtu"], told.sa["icmp_errors"]), (1500, 0))

    def test_kinds_that_are_not_accepted_are_refused(self):
        # ICM-1
        unreachable = built(ip(ROUTER[4], A.wan[4]) / ICMP(type=UNREACHABLE, code=1) / Raw(esp_quote(4)))
        exceeded = built(ip(ROUTER[4], A.wan[4]) / ICMP(type=TIME_EXCEEDED) / Raw(esp_quote(4)))
        for accept, refused, heard, mtu in (([], 3, 0, 1500), (["too_big"], 2, 1, 1400),
                (["unreachable", "time_exceeded"], 1, 2, 1500)):
            with self.subTest(accept):
                told = Told(4, 4, [unreachable, exceeded, too_big(4, 1400)], {"accept": accept})

                run = told.run([], lambda sa, drops: sa["icmp_errors"] == heard and "icmp_refused" in drops)

                self.assertEqual((run.drops["icmp_refused"], told.sa["path_mtu"]), (refused, mtu))

    def test_an_ipv6_packet_of_1280_goes_through_a_path_of_less(self):
        # PMT-4, ESP-10: the host is never told less, and the tunnel's packet is cut for the path, not for the link.
        for outer, mtu in ((4, 1000), (6, 1280)):
            told = Told(outer, 6, [too_big(outer, mtu)])
            there = Site(B, A)
            there.tunnel(outer=outer, inner=6)

            run = told.run([told.packet(1280), told.packet(1281)], lambda sa, _: sa["path_mtu"] != 1500)

            self.assertEqual([told_mtu(p) for p in run.lan], [1280])
            self.assertEqual(len(run.wan), 1 + 2)
            self.assertLessEqual(max(len(p) for p in run.wan[1:]), mtu)
            far = there.run(wan=run.wan[1:])
            self.assertEqual([bytes(p) for p in far.lan], [bytes(routed(told.packet(1280), 2))])


def inside_error(version, quoted):
    """From a router in site B's network, to the host at site A that sent the packet."""
    kind = ICMP(type=TIME_EXCEEDED) if version == 4 else ICMPv6TimeExceeded()
    return built(ip(INSIDE[version], quoted.src) / kind / Raw(bytes(quoted)[:64]))


class Inside(unittest.TestCase):
    def test_an_error_of_an_uncovered_router_crosses_the_tunnel(self):
        # ICM-2: into the SA of the answer to what it quotes, and out of it at the other end.
        for version in (4, 6):
            here, there = Site(A, B), Site(B, A)
            for site in (here, there):
                site.tunnel(inner=version)
            error = inside_error(version, udp(A.host[version], B.host[version]))

            run = there.run(lan=[error])
            far = here.run(wan=run.wan)

            self.assertEqual([bytes(p) for p in far.lan], [bytes(routed(error, 2))])

    def test_an_error_about_what_its_sa_does_not_carry_is_dropped(self):
        # ICM-2
        site = Site()
        peer = site.tunnel()
        strange = [udp(A.host[4], "10.9.0.1"), udp("10.1.0.11", B.host[4])]
        errors = [inside_error(4, packet) for packet in strange]
        errors[1].dst = A.host[4]
        del errors[1].chksum

        run = site.run(wan=[peer.seal(error) for error in errors])

        self.assertEqual((run.lan, run.drops), ([], {"in_selector": 2}))
        self.assertEqual(run.sas["t-in"].drops, {"in_selector": 2})

    def test_policies_may_refuse_them(self):
        # ICM-2: selectable for each policy, on both sides.
        here, there = Site(A, B), Site(B, A)
        peer = here.tunnel()
        there.tunnel()
        for site in (here, there):
            for policy in site.conf["policies"]:
                policy["icmp_errors"] = False
        error = inside_error(4, udp(A.host[4], B.host[4]))

        self.assertEqual(here.run(wan=[peer.seal(error)]).drops, {"in_selector": 1})
        self.assertEqual(there.run(lan=[error]).drops, {"out_no_policy": 1})

    def test_an_error_in_clear_goes_by_its_own_policy(self):
        # ICM-1: what is forwarded is a packet like any other, of whatever kind and quote.
        site = Site()
        site.tunnel()
        site.conf["icmp"] = {"accept": []}
        site.policy("in", "bypass", source="203.0.113.0/24")
        error = built(ip(ROUTER[4], A.host[4]) / ICMP(type=UNREACHABLE, code=1) / Raw(bytes(udp(A.host[4], ROUTER[4]))))
        unwanted = built(ip("198.18.0.1", A.host[4]) / ICMP(type=UNREACHABLE) / Raw(bytes(udp(A.host[4], B.host[4]))))

        run = site.run(wan=[error, unwanted])

        self.assertEqual([bytes(p) for p in run.lan], [bytes(routed(error))])
        self.assertEqual(run.drops, {"in_no_policy": 1})
