"""What a restart does with static keys: no sequence number and no IV is used again, however the daemon ended, and what
can't be kept on disk is not sent."""
import os
import random
import subprocess
import time
import unittest

from scapy.layers.ipsec import ESP
from scapy.layers.l2 import Ether

from culvert import A, B, CULVERTD, Site, built, is_link_talk, pcap_read, udp

OUT = udp(A.host[4], B.host[4], b"x" * 32)
STARTS = 5
EACH = 50  # packets for a tunnel and start
# Bytes of the IV in front of the payload.
IV_BYTES = {"aes128gcm16": 8, "chacha20poly1305": 8, "aes128ctr-sha256": 8, "aes128-sha256": 16}
BLOCK = 1 << 20  # SEQ_BLOCK_MIN


def sent_until_now(site):
    """The ESP packets that are in the capture file of a daemon that did not close it: a last one may not be whole."""
    frames = [Ether(frame) for path in site._files("wan", "tx") for frame in pcap_read(path)]
    return [built(frame.payload) for frame in frames if not is_link_talk(frame)]


def esp_until_now(site):
    """The same, of many packets of AES-GCM over IPv4: their sequence numbers and IVs, as bytes."""
    frames = [frame for path in site._files("wan", "tx") for frame in pcap_read(path)]
    return [(frame[38:42], frame[42:50]) for frame in frames if frame[12:14] == b"\x08\x00" and frame[23] == 50]


def killed(daemon):
    daemon.process.kill()
    daemon.process.wait()


def refused(site):
    """What a daemon says that does not start."""
    site.write()
    done = subprocess.run([CULVERTD, "--config", site.path("site.yaml")], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1, done.stderr
    return done.stderr


class Numbers(unittest.TestCase):
    def assert_unique(self, packets, iv_bytes):
        numbers = [packet[ESP].seq for packet in packets]
        ivs = [packet[ESP].data[:iv_bytes] for packet in packets]
        self.assertEqual(len(set(numbers)), len(packets))
        self.assertEqual(len(set(ivs)), len(packets))

    def all_tunnels(self):
        """A site with a tunnel of each algorithm; their peers by SPI, and packets for all of them."""
        site = Site()
        peers = {0x1001 + n: site.tunnel(f"t{n}", esp, spi=0x1001 + n, there=f"10.2.{n}.0/24")
            for n, esp in enumerate(IV_BYTES)}
        return site, peers, [udp(A.host[4], f"10.2.{n}.10") for n in range(len(IV_BYTES))] * EACH

    def by_tunnel(self, packets):
        for n, (esp, iv_bytes) in enumerate(IV_BYTES.items()):
            yield esp, iv_bytes, [packet for packet in packets if packet[ESP].spi == 0x1001 + n]

    def test_a_daemon_that_is_killed_uses_no_number_and_no_iv_again(self):
        # MAN-1 REK-6
        site, peers, out = self.all_tunnels()
        packets = []

        for _ in range(STARTS):
            killed(site.start(lan=out).wait_settled(len(out)))
            packets += sent_until_now(site)

        for esp, iv_bytes, sent in self.by_tunnel(packets):
            with self.subTest(esp):
                self.assertEqual(len(sent), STARTS * EACH)
                self.assert_unique(sent, iv_bytes)
                self.assertEqual(sent[-1][ESP].seq, (STARTS - 1) * BLOCK + EACH)
                peers[sent[-1][ESP].spi].open(sent[-1])

    def test_a_daemon_that_is_killed_while_it_sends_uses_no_number_again_either(self):
        # MAN-1 REK-6
        site = Site()
        site.tunnel()
        out = [site.frame("lan", OUT)] * 20000
        sent = []

        for start in range(STARTS):
            daemon = site.start(lan=out).wait_ready()
            time.sleep(random.Random(start).uniform(0, 0.03))
            killed(daemon)
            sent += esp_until_now(site)

        numbers, ivs = zip(*sent)
        self.assertEqual(len(set(numbers)), len(sent))
        self.assertEqual(len(set(ivs)), len(sent))

    def test_a_daemon_that_is_stopped_skips_nothing(self):
        # MAN-1 REK-6
        site, _, out = self.all_tunnels()

        packets = [packet for _ in range(STARTS) for packet in site.run(lan=out).wan]

        for esp, iv_bytes, sent in self.by_tunnel(packets):
            with self.subTest(esp):
                self.assertEqual([packet[ESP].seq for packet in sent], list(range(1, STARTS * EACH + 1)))
                self.assert_unique(sent, iv_bytes)

    def test_a_key_under_another_name_and_spi_goes_on_too(self):
        # MAN-1
        site = Site()
        site.tunnel()
        packets = site.run(lan=[OUT] * 100).wan
        moved = site.conf["sas"].pop("t-out")
        site.conf["sas"]["u-out"] = {**moved, "spi": 0x7777, "esp": "aes128gcm8"}
        site.conf["policies"][0]["sas"] = ["u-out"]

        packets += site.run(lan=[OUT] * 100).wan

        self.assertEqual([packet[ESP].seq for packet in packets], list(range(1, 201)))
        self.assert_unique(packets, 8)

    def test_a_new_key_begins_with_number_one(self):
        site = Site()
        site.tunnel()
        site.run(lan=[OUT] * 100)
        key = site.conf["sas"]["t-out"]["key"]
        site.conf["sas"]["t-out"]["key"] = key[:-2] + ("00" if key[-2:] != "00" else "01")  # its salt

        packets = site.run(lan=[OUT] * 100).wan

        self.assertEqual([packet[ESP].seq for packet in packets], list(range(1, 101)))


class File(unittest.TestCase):
    WAY_OUT = "set control.state_directory, or 'allow_static_iv_reuse: true' on the SAs"

    def site(self, **options):
        site = Site()
        site.tunnel(**options)
        return site

    def test_a_file_that_can_not_be_kept_is_an_error_with_a_way_out(self):
        # MAN-1
        site = self.site()
        site.conf["control"]["state_directory"] = site.path("file/below")
        with open(site.path("file"), "w"):
            pass

        text = refused(site)

        self.assertIn(site.path("file/below") + " can't be made: Not a directory", text)
        self.assertIn(self.WAY_OUT, text)
        for sa in site.conf["sas"].values():
            sa["allow_static_iv_reuse"] = True
        self.assertEqual([packet[ESP].seq for packet in site.run(lan=[OUT] * 5).wan], [1, 2, 3, 4, 5])

    def test_a_damaged_file_is_refused_and_named(self):
        # MAN-1
        site = self.site()
        site.run(lan=[OUT] * 5)
        site.run(lan=[OUT] * 5)
        path = site.path("state/sequences")
        with open(path, "r+b") as file:
            file.seek(140)
            file.write(b"damaged")

        text = refused(site)

        self.assertIn(f"{path}: it is damaged in the middle", text)
        self.assertIn(self.WAY_OUT, text)

    def test_two_daemons_never_share_a_state_directory(self):
        # MAN-1
        site, other = self.site(), self.site()
        other.conf["control"]["state_directory"] = site.path("state")
        daemon = site.start().wait_ready()

        text = refused(other)

        self.assertIn(site.path("state/sequences.lock") + " is held", text)
        daemon.signal()
        site.result(daemon)

    def test_an_sa_that_may_reuse_ivs_leaves_no_file(self):
        site = self.site(allow_static_iv_reuse=True)

        runs = [site.run(lan=[OUT] * 5) for _ in range(2)]

        for run in runs:
            self.assertEqual([packet[ESP].seq for packet in run.wan], [1, 2, 3, 4, 5])
        self.assertFalse(os.path.exists(site.path("state")))

    def test_the_file_is_for_its_user_alone_and_holds_no_key(self):
        # ALG-13
        site = self.site()
        site.run(lan=[OUT] * 5)

        self.assertEqual(os.stat(site.path("state")).st_mode & 0o777, 0o700)
        self.assertEqual(os.stat(site.path("state/sequences")).st_mode & 0o777, 0o600)
        with open(site.path("state/sequences"), "rb") as file:
            content = file.read()
        for key in site.keys:
            for at in range(0, len(key) - 4, 4):
                self.assertNotIn(key[at:at + 4], content)


class Memory(unittest.TestCase):
    def status(self, daemon, field):
        with open(f"/proc/{daemon.process.pid}/status") as file:
            line, = (line for line in file if line.startswith(field + ":"))
        return int(line.split()[1])

    def test_keys_are_in_locked_memory_or_a_warning_says_that_they_are_not(self):
        # ALG-13
        with open(CULVERTD, "rb") as file:
            if b"__asan_init" in file.read():
                self.skipTest("AddressSanitizer locks no memory")
        site = Site()
        site.tunnel()
        daemon = site.start(lan=[OUT] * 5).wait_settled(5)

        locked_kb, all_kb = self.status(daemon, "VmLck"), self.status(daemon, "VmSize")
        daemon.signal()
        run = site.result(daemon, 5)

        if "keys may be swapped to disk" in run.stderr:
            self.assertEqual(locked_kb, 0)
        else:
            # Not the kernel's own pages, nor what is only reserved.
            self.assertGreater(locked_kb, all_kb // 2)

    def test_a_user_who_may_not_lock_memory_is_warned_and_served(self):
        # ALG-13
        site = Site()
        site.tunnel()
        site.write(lan=[OUT] * 5)

        without = ["setpriv", "--inh-caps=-ipc_lock", "--bounding-set=-ipc_lock"] if os.geteuid() == 0 else []
        command = [*without, "prlimit", "--memlock=65536", CULVERTD, "--config", site.path("site.yaml"), "--until-idle", "1"]

        text = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stderr

        self.assertIn("keys may be swapped to disk: this user may not lock memory; set LimitMEMLOCK=infinity", text)

