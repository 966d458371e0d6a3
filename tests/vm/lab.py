"""One guest and one host for all cases, and culvert between them with a configuration for each case."""
import hashlib
import os
import subprocess
import time

import culvert
import xfrm
from culvert import A, B, Daemon, Site
from guest import Guest
from network import Network

BULK_BYTES = int(os.environ.get("CULVERT_VM_BULK_BYTES", 2 << 20))
HTTP_PORT = 8000
# Less than the guest's scripts have, so that one that ends late never answers for the next.
FETCH_SECONDS_MAX = 45
COUNT_SECONDS_MAX = 5
PORT_OPTIONS = "blocksz=65536,framesz=2048,framecnt=8192,qdisc_bypass=0"


def url(address, port):
    return f"http://[{address}]:{port}/bulk" if ":" in address else f"http://{address}:{port}/bulk"


def eventually(read, is_settled):
    """What is read once it is as it should be, or after a time as it is."""
    deadline = time.monotonic() + COUNT_SECONDS_MAX
    value = read()
    while not is_settled(value) and time.monotonic() < deadline:
        time.sleep(0.1)
        value = read()
    return value


class Lab:
    """The network, the guest, and a file to fetch at either end."""

    def __init__(self, kernel):
        self.network = Network()
        self.guest = None
        self.server = None
        try:
            self.guest = Guest(kernel, self.network.within("gateway"), "wan")
            self.guest.run(xfrm.GUEST_SETUP)
            self._serve()
        except BaseException:
            self.close()
            raise

    def _serve(self):
        self.guest.run(f"head -c {BULK_BYTES} /dev/urandom >/www/bulk; httpd -p '[::]:{HTTP_PORT}' -h /www")
        self.guest_sum = self.guest.run("sha256sum </www/bulk").split()[0]
        www = os.path.join(self.guest.directory, "www")
        os.mkdir(www)
        bulk = os.urandom(BULK_BYTES)
        self.host_sum = hashlib.sha256(bulk).hexdigest()
        with open(os.path.join(www, "bulk"), "wb") as file:
            file.write(bulk)
        self.server = subprocess.Popen([*self.network.within("host"), "/usr/bin/python3", "-m", "http.server",
            str(HTTP_PORT), "--bind", "::", "--directory", www], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def close(self):
        if self.server:
            self.server.kill()
            self.server.wait()
        if self.guest:
            self.guest.close()
        self.network.close()


class LiveSite(Site):
    """Culvert's side of a case, on the lab's interfaces. Its neighbours answer for themselves."""

    def __init__(self, lab):
        super().__init__(A, B, queues=1)
        self.lab = lab
        self.conf["neighbours"] = []
        for number, port in enumerate(culvert.PORTS):
            self.conf["ports"][port]["device"] = f"net_af_packet{number},iface={port},{PORT_OPTIONS}"

    def start(self):
        self.write()
        return Daemon(["--config", self.path("site.yaml")], self.directory, self.lab.network.within("gateway"))

    def _files(self, port, way):
        return []


class Exchange:
    """A context in which culvert and the guest run one configuration. `options` are for the guest's states, and
    `guest_conf` is what the guest believes where that differs."""

    def __init__(self, site, options=None, guest_conf=None):
        self.site, self.lab = site, site.lab
        self.script = xfrm.peer_script(guest_conf or site.conf, options)

    def __enter__(self):
        self.lab.guest.run(self.script)
        for version in (4, 6):
            self.lab.network.ip("host", f"-{version} route flush cache")
        self._before = xfrm.statistics(self.lab.guest.run("cat /proc/net/xfrm_stat"))
        self.daemon = self.site.start().wait_ready()
        self._meet()
        return self

    def _meet(self):
        """Culvert gets to know its neighbours by answering them, so that no packet of a case waits, or is dropped, for
        want of a MAC address."""
        for version in (4, 6):
            self.lab.network.run("host", "ping", "-n", "-q", "-c", "1", "-W", "10", A.lan[version])
            self.lab.guest.run(f"ping -q -c 1 -W 10 {A.wan[version]}")

    def __exit__(self, kind, *_):
        if kind is None:
            self.daemon.signal()
            self.stdout, _ = self.site.ended(self.daemon)
        else:
            self.daemon._finalizer()

    def guest_errors(self):
        """What /proc/net/xfrm_stat has counted since the start."""
        now = xfrm.statistics(self.lab.guest.run("cat /proc/net/xfrm_stat"))
        return {name: count - self._before.get(name, 0) for name, count in now.items()
            if count != self._before.get(name, 0)}

    def drops(self):
        return self.daemon.telemetry("/culvert/drops")

    def sa(self, name):
        """What culvert counted for an SA."""
        return self.daemon.telemetry(f"/culvert/sa,{name}")

    def state(self, name):
        """What the guest counted for it."""
        return xfrm.states(self.lab.guest.run("/sbin/ip -s xfrm state"))[self.site.conf["sas"][name]["spi"]]

    def counts(self):
        """Of each SA by name: packets and bytes of culvert, and of the guest."""
        ours = {name: self.sa(name) for name in self.site.conf["sas"]}
        theirs = {name: self.state(name) for name in self.site.conf["sas"]}
        return ({name: (sa["packets"], sa["bytes"]) for name, sa in ours.items()},
            {name: (state.packets, state.bytes) for name, state in theirs.items()})

    def settled_counts(self):
        """The same once what is on the way has arrived, or for good not."""
        return eventually(self.counts, lambda counts: counts[0] == counts[1])

    def _ping(self, version, *options):
        words = [*self.lab.network.within("host"), "ping", "-n", *options, B.host[version]]
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        return done.stdout + done.stderr

    def ping(self, size, version, *options):
        """Once from the host to the guest: ping waits long only for its first answer."""
        said = self._ping(version, "-c", "1", "-W", "5", "-s", str(size), *options)
        assert " 1 received, 0% packet loss" in said, said

    def ping_refused(self, size, version):
        """What ping says of a packet that may not be fragmented and is too big."""
        return self._ping(version, "-c", "1", "-W", "5", "-s", str(size), "-M", "do")

    def ping_in_vain(self, count):
        said = self._ping(4, "-c", str(count), "-W", "0.1", "-i", "0.02")
        assert " 0 received" in said, said

    def ping_back(self, sizes, version):
        """From the guest to the host, once with each of the sizes."""
        self._ping_back(sizes, B.host[version], A.host[version])

    def ping_gateway(self, sizes, version):
        """From the guest's gateway to culvert itself."""
        self._ping_back(sizes, B.wan[version], A.wan[version])

    def _ping_back(self, sizes, source, destination):
        ping = f"ping -c 1 -W 5 -I {source} -s $size {destination}"
        said = self.lab.guest.run(f"for size in {' '.join(map(str, sizes))}; do {ping} || true; done")
        assert said.count(" 1 packets received, 0% packet loss") == len(sizes), said

    def ping_back_in_vain(self, count):
        said = self.lab.guest.run(f"ping -c {count} -i 0.02 -W 1 -I {B.host[4]} {A.host[4]} || true")
        assert " 0 packets received" in said, said

    def bulk(self, version):
        """Both ends fetch the other's file at the same time, and get it as it was."""
        self.lab.guest.start(f"timeout {FETCH_SECONDS_MAX} wget -q -O - {url(A.host[version], HTTP_PORT)} | sha256sum")
        words = [*self.lab.network.within("host"), "curl", "-sS", "-g", "--max-time", str(FETCH_SECONDS_MAX),
            url(B.host[version], HTTP_PORT)]
        got = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True)
        fetched = self.lab.guest.finish().split()[0]
        assert got.returncode == 0, got.stderr
        assert hashlib.sha256(got.stdout).hexdigest() == self.lab.guest_sum, "the guest's file arrived changed"
        assert fetched == self.lab.host_sum, "the host's file arrived changed, or not in time"
