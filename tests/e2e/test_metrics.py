"""Metrics over HTTP, as a scraper meets them: what they say, that both formats are what their specifications want, and
what a client gets that asks for something else, or asks slowly."""
import glob
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
import unittest

from scapy.layers.ipsec import ESP

import openmetrics
from culvert import A, B, Site, udp
from openmetrics import value

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"
# What Prometheus 2.42 sends.
ACCEPT = ("application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1")
CONNECTIONS_MAX, SCRAPES_MAX, TIMEOUT_S = 32, 4, 10  # lib/control/metrics_http.h


def free_port(family=socket.AF_INET, address="127.0.0.1"):
    with socket.socket(family) as probe:
        probe.bind((address, 0))
        return probe.getsockname()[1]


def serving_site(**metrics):
    site = Site()
    site.conf["metrics"] = {"port": free_port(), **metrics}
    return site


def connect(site, address="127.0.0.1"):
    return http.client.HTTPConnection(address, site.conf["metrics"]["port"], timeout=20)


def request(site, method="GET", path="/metrics", accept=None, address="127.0.0.1"):
    """Status, headers and text."""
    connection = connect(site, address)
    connection.request(method, path, headers={"Accept": accept} if accept else {})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, answer.headers, text


def scrape(site):
    return openmetrics.read(request(site, accept=ACCEPT)[2])


def promtool():
    """Where setup unpacked it, or where the machine has it."""
    build = os.environ.get("CULVERT_BUILD", os.path.join(TOP, "build"))
    return next((path for path in (os.path.join(build, "promtool"), shutil.which("promtool"))
        if path and os.access(path, os.X_OK)), None)


def busy_site(**metrics):
    """A site with SAs of every kind that has numbers of its own, and the daemon, when it has dealt with traffic."""
    site = serving_site(**metrics)
    peer = site.tunnel(rekey_time="50m", life_time="1h", rekey_packets=90, life_packets=100, life_bytes="1M")
    site.tunnel("idle", spi=0x1100, there="10.9.0.0/16", outer=6)
    forged = peer.seal(udp(B.host[4], A.host[4]), seq=9)
    forged[ESP].data = bytes(len(forged[ESP].data))
    wan = [peer.seal(udp(B.host[4], A.host[4]), seq=7), forged]
    lan = [udp(A.host[4], B.host[4])] * 3 + [udp(A.host[4], "203.0.113.1")]
    return site, site.start(lan=lan, wan=wan).wait_settled(6)


class Numbers(unittest.TestCase):
    def test_they_are_what_the_statistics_say(self):
        site, daemon = busy_site()

        got = scrape(site)
        site.check_no_key(request(site)[2])
        tables = daemon.telemetry("/culvert/tables")
        daemon.signal()

        run = site.result(daemon, 6)
        self.assertEqual(value(got, "culvert_port_rx_packets", port="lan"), 4)
        self.assertEqual(value(got, "culvert_port_tx_packets", port="wan"), len(run.frames["wan"]))
        self.assertEqual(value(got, "culvert_port_rx_bytes", port="wan"), run.statistics.ports["wan"][1])
        self.assertEqual(value(got, "culvert_port_dropped_packets", port="lan"), 1)
        self.assertEqual(value(got, "culvert_port", port="lan", side="protected", mac=site.mac("lan")), 1)
        self.assertEqual(value(got, "culvert_port_up", port="wan"), 1)
        for reason, n in {"in_icv": 1, "out_no_policy": 1, "in_replay": 0}.items():
            self.assertEqual(value(got, "culvert_dropped_packets", reason=reason), n)
        self.assertEqual(value(got, "culvert_dropped_packets", reason="in_icv", xfrm="InStateProtoError"), 1)
        self.assertEqual(value(got, "culvert_held_packets"), run.total["held"])
        for table in ("sad_in", "sad_out"):
            self.assertEqual((value(got, "culvert_table_entries", table=table), tables[table]["used"]), (2, 2))
        self.assertEqual(value(got, "culvert_table_entries", table="neighbours"), len(site.conf["neighbours"]))
        self.assertEqual(value(got, "culvert_sas", direction="out"), 2)
        self.assertEqual(value(got, "culvert_policies", direction="in", action="protect"), 2)
        self.assertEqual(value(got, "culvert_pool_buffers", pool="packets"), site.conf["memory"]["packets"])

    def test_of_an_sa_they_say_what_passed_and_what_is_left(self):
        # LIF-1
        site, daemon = busy_site()
        before = time.time()

        got = scrape(site)
        daemon.signal()

        site.result(daemon, 6)
        self.assertEqual(value(got, "culvert_sa", sa="t-out", direction="out", protocol="esp", mode="tunnel",
            spi="0x00001001", source=A.wan[4], destination=B.wan[4], algorithm="aes128gcm16"), 1)
        self.assertEqual(value(got, "culvert_sa_packets", sa="t-out"), 3)
        self.assertEqual(value(got, "culvert_sa_bytes", sa="t-out"), 3 * len(udp(A.host[4], B.host[4])))
        self.assertEqual(value(got, "culvert_sa_sequence_number", sa="t-out"), 3)
        self.assertEqual(value(got, "culvert_sa_sequence_numbers_left", sa="t-out"), 97)
        self.assertEqual(value(got, "culvert_sa_replay_window_top", sa="t-in"), 7)
        self.assertEqual(value(got, "culvert_sa_dropped_packets", sa="t-in", reason="in_icv"), 1)
        self.assertEqual(value(got, "culvert_sa_remaining_packets", sa="t-out", limit="soft"), 87)
        self.assertEqual(value(got, "culvert_sa_remaining_packets", sa="t-out", limit="hard"), 97)
        self.assertLess(value(got, "culvert_sa_remaining_bytes", sa="t-out", limit="hard"), 1 << 20)
        self.assertIn(value(got, "culvert_sa_remaining_seconds", sa="t-out", limit="soft"), range(2900, 3001))
        self.assertEqual(value(got, "culvert_sa_ended", sa="t-in"), 0)
        self.assertEqual(value(got, "culvert_sa_inner_mtu_bytes", sa="t-out"),
            1446)  # 1500 - 20 - 8 - 8 - 2 - 16, in whole words
        self.assertAlmostEqual(value(got, "culvert_sa_last_used_timestamp_seconds", sa="t-out"), before, delta=20)

    def test_an_sa_that_nothing_used_is_there(self):
        site, daemon = busy_site()

        got = scrape(site)
        daemon.signal()

        site.result(daemon, 6)
        for name in ("idle-out", "idle-in"):
            self.assertEqual(value(got, "culvert_sa_packets", sa=name), 0)
        with self.assertRaises(ValueError):
            value(got, "culvert_sa_last_used_timestamp_seconds", sa="idle-out")
        self.assertEqual(value(got, "culvert_sa_sequence_numbers_left", sa="idle-out"), 2**32 - 1)

    def test_they_leave_sas_out_where_the_configuration_says_so(self):
        site, daemon = busy_site(sas=False)

        got = scrape(site)
        daemon.signal()

        site.result(daemon, 6)
        self.assertEqual(value(got, "culvert_sas", direction="in"), 2)
        self.assertEqual([name for name in got if name.startswith("culvert_sa_")], [])

    def test_a_worker_tells_how_busy_it_is(self):
        site = serving_site()
        site.tunnel()
        site.conf["ports"]["lan"]["device"] += ",infinite_rx=1"
        daemon = site.start(lan=[udp(A.host[4], B.host[4])] * 32).wait_ready()
        first = scrape(site)
        start = time.monotonic()
        time.sleep(2)
        last = scrape(site)
        seconds = time.monotonic() - start
        daemon.signal()
        daemon.wait()

        def grown(name):
            return value(last, name, worker="0") - value(first, name, worker="0")

        self.assertGreater(grown("culvert_worker_busy_loops"), 100)
        # The two are read one after the other, while the worker counts.
        self.assertAlmostEqual(grown("culvert_worker_busy_loops"), grown("culvert_worker_loops"), delta=2)
        # It never rests; others on its CPU take no part of the time that the clock shows.
        self.assertAlmostEqual(grown("culvert_worker_busy_seconds") / seconds, 1, delta=0.1)
        self.assertAlmostEqual(grown("culvert_worker_rx_packets") / grown("culvert_worker_rx_bursts"), 32, delta=0.01)

    def test_a_worker_that_has_nothing_to_do_is_not_busy(self):
        site = serving_site()
        daemon = site.start().wait_ready()
        first = scrape(site)
        time.sleep(0.5)
        last = scrape(site)
        daemon.signal()

        site.result(daemon, 0)
        self.assertGreater(value(last, "culvert_worker_loops"), value(first, "culvert_worker_loops"))
        self.assertLess(value(last, "culvert_worker_busy_seconds"), 0.1)

    def test_a_process_tells_when_it_began_and_which_version_it_is(self):
        site = serving_site()
        before = time.time()
        daemon = site.start().wait_ready()

        got = scrape(site)
        daemon.signal()

        site.result(daemon, 0)
        self.assertAlmostEqual(value(got, "process_start_time_seconds"), before, delta=2.5)
        (labels, _), = got["culvert"].samples.items()
        version = subprocess.run([os.environ["CULVERTD"], "--version"], capture_output=True, text=True, check=True)
        self.assertEqual("culvertd " + dict(labels)["version"], version.stdout.strip())


class Formats(unittest.TestCase):
    def test_who_asks_for_openmetrics_gets_it_and_others_get_prometheus_text(self):
        site, daemon = busy_site()
        for accept, expected in ((ACCEPT, OPENMETRICS), (None, PROMETHEUS), ("*/*", PROMETHEUS),
                ("text/plain;version=0.0.4", PROMETHEUS), ("Application/OpenMetrics-Text", OPENMETRICS)):
            status, headers, text = request(site, accept=accept)

            self.assertEqual((status, headers["Content-Type"]), (200, expected), accept)
            openmetrics.read(text, expected == OPENMETRICS)
        daemon.signal()
        site.result(daemon, 6)

    def test_both_say_the_same(self):
        site, daemon = busy_site()
        openly = openmetrics.read(request(site, accept=ACCEPT)[2])
        plain = openmetrics.read(request(site)[2], openmetrics=False)
        daemon.signal()
        site.result(daemon, 6)

        def full_name(family):
            return family.name + openmetrics.ENDINGS[family.kind]

        self.assertEqual({full_name(family): set(family.samples) for family in openly.values()},
            {name: set(family.samples) for name, family in plain.items()})

    def test_promtool_has_no_fault_to_find(self):
        tool = promtool()
        if not tool:
            self.skipTest("promtool is not there: tools/setup --check unpacks it")
        site, daemon = busy_site()
        text = request(site)[2]
        daemon.signal()
        site.result(daemon, 6)

        checked = subprocess.run([tool, "check", "metrics"], input=text, capture_output=True, text=True)
        broken = subprocess.run([tool, "check", "metrics"], input=text.replace("# TYPE culvert_port_up gauge",
            "# TYPE culvert_port_up counter"), capture_output=True, text=True)

        self.assertEqual((checked.returncode, checked.stdout, checked.stderr), (0, "", ""))
        self.assertNotEqual(broken.returncode, 0)


class Http(unittest.TestCase):
    def setUp(self):
        self.site = serving_site()
        self.daemon = self.site.start().wait_ready()

    def tearDown(self):
        self.daemon.signal()
        self.site.result(self.daemon, 0)

    def test_another_path_and_another_method_are_errors(self):
        self.assertEqual(request(self.site, path="/")[0], 404)
        self.assertEqual(request(self.site, path="/metrics/x")[0], 404)
        for method in ("POST", "PUT", "DELETE", "OPTIONS"):
            status, headers, _ = request(self.site, method)
            self.assertEqual((status, headers["Allow"]), (405, "GET, HEAD"), method)

    def test_head_is_answered_with_the_headers_alone(self):
        status, headers, text = request(self.site, "HEAD", accept=ACCEPT)

        self.assertEqual((status, headers["Content-Type"], text), (200, OPENMETRICS, ""))
        # It was no scrape that still runs.
        for _ in range(2 * SCRAPES_MAX):
            self.assertEqual(request(self.site, "HEAD")[0], 200)
        self.assertEqual(request(self.site)[0], 200)

    def test_one_connection_serves_scrape_after_scrape(self):
        connection = connect(self.site)
        for _ in range(3):
            connection.request("GET", "/metrics", headers={"Accept": ACCEPT})
            openmetrics.read(connection.getresponse().read().decode())
        connection.close()

    def test_what_is_no_http_is_refused_and_the_next_is_served(self):
        for garbage in (b"\0" * 100 + b"\r\n\r\n", b"GET\r\n\r\n", b"GET /metrics HTTP/9.9\r\n\r\n",
                b"GET /" + b"x" * 100000 + b" HTTP/1.1\r\n\r\n", b"GET /metrics HTTP/1.1\r\nA: " + b"y" * 100000):
            with socket.create_connection(("127.0.0.1", self.site.conf["metrics"]["port"]), 20) as client:
                try:
                    client.sendall(garbage)
                    answer = client.recv(100)
                except ConnectionError:
                    answer = b""
            self.assertTrue(answer == b"" or re.match(rb"HTTP/1.1 [45]\d\d ", answer), answer)
        self.assertEqual(request(self.site)[0], 200)

    def test_many_connections_that_say_nothing_end_and_others_are_served_again(self):
        address = ("127.0.0.1", self.site.conf["metrics"]["port"])
        idle = [socket.create_connection(address, 20) for _ in range(3 * CONNECTIONS_MAX)]
        self.daemon.wait_until(lambda: self.is_served(), lambda: "the idle are closed", TIMEOUT_S + 10)
        for client in idle:
            client.close()

    def is_served(self):
        try:
            connection = connect(self.site)
            connection.timeout = 1
            connection.request("GET", "/metrics")
            return connection.getresponse().status == 200
        except OSError:
            return False


class Address(unittest.TestCase):
    def test_it_listens_nowhere_unless_it_is_told_to(self):
        site = Site()
        daemon = site.start().wait_ready()
        sockets = [os.readlink(path) for path in glob.glob(f"/proc/{daemon.process.pid}/fd/*")]
        inodes = {link[8:-1] for link in sockets if link.startswith("socket:")}
        listening = [line.split() for table in ("tcp", "tcp6") for line in open(f"/proc/net/{table}").readlines()[1:]]
        daemon.signal()

        site.result(daemon, 0)
        self.assertEqual([words[1] for words in listening if words[3] == "0A" and words[9] in inodes], [])

    def test_it_listens_on_loopback_or_where_it_is_told(self):
        for options, address, others in (({}, "127.0.0.1", "127.0.0.2"), ({"address": "127.0.0.2"}, "127.0.0.2", "127.0.0.1"),
                ({"address": "::1"}, "::1", "127.0.0.1")):
            site = serving_site(**options)
            try:
                site.conf["metrics"]["port"] = free_port(socket.AF_INET6 if ":" in address else socket.AF_INET, address)
            except OSError:
                continue  # no IPv6 here
            daemon = site.start().wait_ready()

            self.assertEqual(request(site, address=address)[0], 200)
            with self.assertRaises(OSError):
                request(site, address=others)
            daemon.signal()
            site.result(daemon, 0)

    def test_a_reload_that_would_move_it_is_refused(self):
        site = serving_site()
        daemon = site.start().wait_ready()
        before = site.conf["metrics"]["port"]
        site.conf["metrics"] = {"port": free_port()}
        site.write()
        daemon.signal(signal.SIGHUP)
        daemon.wait_until(lambda: "object=metrics" in daemon.stderr(), lambda: "the reload is refused")
        site.conf["metrics"]["port"] = before

        self.assertEqual(request(site)[0], 200)
        daemon.signal()
        site.result(daemon, 0)

    def test_a_port_that_is_taken_is_told(self):
        site = serving_site()
        with socket.create_server(("127.0.0.1", site.conf["metrics"]["port"])):
            daemon = site.start()

            self.assertEqual(daemon.wait(), 1)

        self.assertRegex(daemon.stderr(), rf"metrics: address 127.0.0.1 port {site.conf['metrics']['port']}: Address already")


class ManySas(unittest.TestCase):
    """A scrape comes in pieces, and forwarding goes on between them."""

    N = 2000

    def site(self):
        site = serving_site()
        for number in range(self.N):
            site.conf["sas"][f"o{number}"] = {"spi": 0x10000 + number, "source": A.wan[4], "destination": B.wan[4],
                "esp": "aes128gcm16", "key": "0x" + f"{number:040x}"}
        return site

    def test_each_is_there_once(self):
        site = self.site()
        daemon = site.start().wait_ready()

        got = scrape(site)
        daemon.signal()

        site.result(daemon, 0)
        self.assertEqual(len(got["culvert_sa_packets"].samples), self.N)
        self.assertEqual(len(got["culvert_sa_inner_mtu_bytes"].samples), self.N)

    def test_scrapes_that_nobody_reads_are_few_and_the_others_are_told_to_come_again(self):
        site = self.site()
        daemon = site.start().wait_ready()
        slow = []
        for _ in range(SCRAPES_MAX):
            client = socket.socket()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", site.conf["metrics"]["port"]))
            client.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            slow.append(client)
        time.sleep(0.5)

        status, headers, _ = request(site)
        self.assertEqual((status, headers["Retry-After"]), (503, "1"))
        daemon.wait_until(lambda: request(site)[0] == 200, lambda: "the slow ones are given up", TIMEOUT_S + 10)
        for client in slow:
            client.close()
        daemon.signal()
        site.result(daemon, 0)


class Dashboard(unittest.TestCase):
    """docs/grafana/culvert.json"""

    def panels(self):
        with open(os.path.join(TOP, "docs", "grafana", "culvert.json")) as file:
            board = json.load(file)
        panels = [panel for top in board["panels"] for panel in [top, *top.get("panels", [])]]
        return board, [panel for panel in panels if panel["type"] != "row"]

    def test_each_metric_in_it_is_in_a_scrape(self):
        board, panels = self.panels()
        site, daemon = busy_site()
        text = request(site)[2]
        daemon.signal()
        site.result(daemon, 6)
        names = set(openmetrics.read(text, openmetrics=False))
        queries = [target["expr"] for panel in panels for target in panel["targets"]]
        queries += [variable["query"] if isinstance(variable["query"], str) else variable["query"]["query"]
            for variable in board["templating"]["list"] if variable["type"] == "query"]

        used = {name for query in queries for name in re.findall(r"\b(?:culvert|process)_\w+", query)}

        self.assertGreater(len(used), 20)
        self.assertEqual(used - names, set())

    def test_each_panel_has_a_title_a_unit_and_a_place(self):
        _, panels = self.panels()
        self.assertGreater(len(panels), 8)
        for panel in panels:
            self.assertTrue(panel["title"], panel)
            self.assertTrue(panel["fieldConfig"]["defaults"]["unit"], panel["title"])
            self.assertTrue(panel["targets"] and panel["gridPos"] and panel["description"], panel["title"])
        self.assertEqual(len({panel["id"] for panel in panels}), len(panels))
