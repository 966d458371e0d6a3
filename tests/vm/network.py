"""Where culvert and the guest meet: network namespaces of the test's own.

    host --- veth "lan" --- culvert --- tap "wan" --- the guest

Culvert is in the namespace `gateway` with the tap, on net_af_packet; the host of its site is in `host`.
"""
import ctypes
import os
import socket
import subprocess
import threading
import weakref

from culvert import A

OFFLOADS = "tx off rx off sg off tso off gso off gro off".split()
# More frames than TCP leaves unacknowledged (guest_setup, xfrm.py), so that none is lost on the way.
TAP_QUEUE_FRAMES = 8192
ETH_P_ALL = 3
CLONE_NEWNET = 0x40000000


def command(*words, **options):
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, **options)
    assert done.returncode == 0, f"{' '.join(words)}: exit code {done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout


class Network:
    def __init__(self):
        self.names = {place: f"culvert-vm-{os.getpid()}-{place}" for place in ("gateway", "host")}
        self.close = weakref.finalize(self, Network._remove, self.names)
        for place in self.names:
            command("ip", "netns", "add", self.names[place])
            # No duplicate address detection, so that addresses work at once, and no questions for routers.
            self.run(place, "sysctl", "-q", "-w", *(f"net.ipv6.conf.{which}.{key}=0" for which in ("all", "default")
                for key in ("accept_dad", "router_solicitations", "accept_ra")))
        self._cable()
        self._gateway()
        self._host()

    @staticmethod
    def _remove(names):
        for name in names.values():
            subprocess.run(["ip", "netns", "delete", name], capture_output=True)

    def within(self, place):
        """The command that enters a namespace."""
        return ["ip", "netns", "exec", self.names[place]]

    def run(self, place, *words, **options):
        return command(*self.within(place), *words, **options)

    def packet_socket(self, place, port):
        """A socket for whole frames on an interface of a namespace. A socket stays where it was made, and only the
        thread that makes it goes there."""
        made = []

        def make():
            with open(f"/run/netns/{self.names[place]}") as namespace:
                if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), CLONE_NEWNET) == 0:
                    made.append(socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)))
                    made[0].bind((port, 0))

        thread = threading.Thread(target=make)
        thread.start()
        thread.join()
        assert made, f"no socket on {port}"
        return made[0]

    def ip(self, place, words):
        return command("ip", "-n", self.names[place], *words.split())

    def _cable(self):
        """Frames on it are what a real wire carries: checksums filled in, at most an MTU long."""
        command("ip", "link", "add", "lan", "netns", self.names["host"], "type", "veth",
            "peer", "name", "lan", "netns", self.names["gateway"])
        for place in self.names:
            self.run(place, "ethtool", "-K", "lan", *OFFLOADS)

    def _gateway(self):
        """Culvert answers on these interfaces, so the kernel must not: no address, no ARP, no IPv6."""
        self.run("gateway", *"ip tuntap add wan mode tap".split())
        self.ip("gateway", f"link set wan txqueuelen {TAP_QUEUE_FRAMES}")
        for port in ("lan", "wan"):
            self.run("gateway", "sysctl", "-q", "-w", f"net.ipv6.conf.{port}.disable_ipv6=1")
            self.ip("gateway", f"link set {port} arp off up")

    def _host(self):
        self.ip("host", "link set lo up")
        self.ip("host", "link set lan up")
        self.ip("host", f"address add {A.host[4]}/24 dev lan")
        self.ip("host", f"address add {A.host[6]}/64 dev lan nodad")
        for version in (4, 6):
            self.ip("host", f"-{version} route add default via {A.lan[version]}")
