"""The control socket and culvertctl: what an operator asks and changes, and what a careless or hostile user tries."""
import contextlib
import grp
import json
import os
import pwd
import re
import resource
import signal
import socket
import subprocess
import termios
import threading
import time
import unittest

from culvert import A, B, CULVERTCTL, HOST_MAC, Site, key_bytes, udp

OUT = udp(A.host[4], B.host[4], b"x" * 32)
IN = udp(B.host[4], A.host[4], b"x" * 32)
CONNECTIONS_MAX = 64
LINE_MAX = 1 << 20


def an_sa(spi, label="new", **others):
    return {"spi": spi, "source": A.wan[4], "destination": B.wan[4], "esp": "aes128gcm16",
        "key": "0x" + key_bytes(label, 20).hex(), **others}


def a_policy(name, destination="10.77.0.0/16", **others):
    return {"name": name, "direction": "out", "action": "discard", "source": A.net[4], "destination": destination,
        **others}


class Running(unittest.TestCase):
    """One gateway with a tunnel, through which some packets went."""

    def setUp(self):
        self.site = Site()
        self.prepare()
        peer = self.site.tunnel()
        self.site.keys.append(key_bytes("new", 20))
        sealed = [peer.seal(IN, seq=seq) for seq in (1, 2, 3, 2)]
        self.daemon = self.site.start([OUT] * 5, sealed).wait_settled(9)
        self.ctl, self.ask = self.daemon.ctl, self.daemon.ask
        self.addCleanup(self.end)

    def prepare(self):
        pass

    def end(self):
        if self.daemon.process.poll() is None:
            self.daemon.signal()
            self.site.ended(self.daemon)

    def rows(self, *arguments):
        """A table's lines as lists of words."""
        return [line.split() for line in self.ctl(*arguments).splitlines()]

    def names(self, what, of="name"):
        return [item[of] for item in self.daemon.control("show-" + what)[what]]

    def file(self, text, name="part.yaml"):
        with open(self.site.path(name), "w") as file:
            file.write(text if isinstance(text, str) else json.dumps(text))
        return self.site.path(name)


class Show(Running):
    def prepare(self):
        self.site.conf["ports"]["wan"]["vlan"] = 7

    def test_sas_are_a_table_for_people_and_json_for_programs(self):
        head, out, back = self.rows("show", "sas")

        self.assertEqual(head[:4], ["name", "dir", "spi", "proto"])
        self.assertEqual(out, ["t-out", "out", "0x00001001", "esp", "tunnel", "aes128gcm16", A.wan[4], B.wan[4],
            "installed", "5", "300", "B", "0"])
        self.assertEqual(back[-4:], ["3", "180", "B", "1"])
        result = self.daemon.ctl_json("show", "sas")
        self.assertEqual(result["total"], 2)
        self.assertEqual((result["sas"][0]["bytes"], result["sas"][1]["drops"]), (300, 1))

    def test_sas_are_found_by_name_address_spi_and_direction(self):
        for arguments, names in ((("t-*",), ["t-out", "t-in"]), (("*-i?",), ["t-in"]), (("t",), []),
                                 (("--spi", "0x2001"), ["t-in"]), (("--spi", "4097"), ["t-out"]),
                                 (("--address", B.wan[4]), ["t-out", "t-in"]), (("--address", "9.9.9.9"), []),
                                 (("--direction", "in"), ["t-in"]), (("--direction=out", "*"), ["t-out"])):
            with self.subTest(arguments):
                self.assertEqual([sa["name"] for sa in self.daemon.ctl_json("show", "sas", *arguments)["sas"]], names)
        for spi in ("x", "0x100000000", "-1", "1x"):
            self.assertIn("--spi takes an SPI", self.ctl("show", "sas", "--spi", spi, code=2)[1])
        self.assertIn("'spi' is a number", self.daemon.refusal("show-sas", spi="0x1001")["text"])
        for arguments in (("--address", "10.0.0.0/8"), ("--direction", "up")):
            with self.subTest(arguments):
                out, err = self.ctl("show", "sas", *arguments, code=1)
                self.assertIn(f"argument '{arguments[0][2:]}'", err)

    def test_a_page_says_what_is_not_on_it(self):
        self.assertEqual(self.ctl("show", "sas", "--limit", "1").splitlines()[-1], "1 of 2 shown")
        self.assertEqual(self.rows("show", "sas", "--offset", "1", "--limit", "9")[1][0], "t-in")
        self.assertEqual(self.daemon.control("show-sas", limit=0), {"sas": [], "total": 2})
        self.assertEqual(self.daemon.control("show-sas", limit=1)["next"], 1)
        self.assertNotIn("next", self.daemon.control("show-sas", limit=1, offset=1))
        self.assertEqual(self.daemon.control("show-routes", limit=2, offset=1)["next"], 3)
        self.assertEqual(len(self.daemon.control("show-neighbours", limit=3)["neighbours"]), 3)

    def test_one_sa_is_told_in_whole(self):
        text = self.ctl("show", "sa", "t-in")

        for line in ("t-in, inbound", "  SPI               0x00002001", "  highest seen      3",
                     "  window, packets   1024", "  in_replay         1", "  p1"):
            self.assertIn(line + "\n", text)
        self.assertRegex(text, r"the last one +event=in_replay .*seq=2")
        self.assertRegex(text, r"last packet +\d+ s ago")
        out = self.ctl("show", "sa", "t-out")
        self.assertIn("  path MTU          1500\n", out)
        self.assertIn("  last sent         5\n", out)
        self.assertEqual(self.daemon.ctl_json("show", "sa", "t-out")["policies"], ["p0"])
        self.assertEqual(self.ctl("show", "sa", "nope", code=1)[1], "culvertctl: no SA is named 'nope'\n")

    def test_ports_have_their_links_and_counters(self):
        head, lan, wan = self.rows("show", "ports")

        self.assertEqual(lan[:6], ["lan", "protected", "up", "1500", "5", "370"])
        self.assertEqual((wan[0], wan[4]), ("wan", "4"))
        self.assertEqual(self.daemon.ctl_json("show", "ports")["ports"][1]["vlan"], 7)

    def test_policies_routes_neighbours_and_workers_are_tables(self):
        self.assertEqual(self.rows("show", "policies")[1:], [
            ["p0", "out", "protect", A.net[4], B.net[4], "any", "t-out"],
            ["p1", "in", "protect", B.net[4], A.net[4], "any", "t-in"]])
        self.assertEqual(len(self.rows("show", "policies", "p1")), 2)
        self.assertIn(["0.0.0.0/0", A.router[4], "wan"], self.rows("show", "routes"))
        self.assertIn(["10.1.0.0/24", "-", "lan"], self.rows("show", "routes"))
        self.assertIn([A.host[4], "lan", HOST_MAC, "static"], self.rows("show", "neighbours"))
        worker, = self.rows("show", "workers")[1:]
        self.assertEqual((worker[0], worker[3]), ("0", "1"))

    def test_drops_have_their_cause_and_the_balance(self):
        lines = self.ctl("show", "drops").splitlines()

        self.assertRegex(lines[1], r"^in_replay +1 +InStateSeqError +this ESP sequence number")
        self.assertRegex(lines[-1], r"^received 9 and generated \d+; sent \d+, dropped 1, ")
        self.assertEqual(len(lines), 3)
        self.assertGreater(len(self.ctl("show", "drops", "--all").splitlines()), 50)

    def test_the_version_says_since_when_it_runs(self):
        self.assertRegex(self.ctl("show", "version"), r"^culvertd \d+\.\d+\.\d+, protocol 1, up \d+ s\n$")

    def test_each_command_of_the_daemon_is_listed(self):
        names = [command["name"] for command in self.daemon.control("show-commands")["commands"]]

        self.assertEqual(names[0], "show-version")
        self.assertIn("change", names)
        self.assertEqual(len(names), len(set(names)))
        with open(os.path.join(os.path.dirname(__file__), "..", "..", "docs", "control-protocol.md")) as file:
            examples = file.read()
        for name in names:
            self.assertIn(f'{{"command": "{name}"', examples)


class Moves(Running):
    def test_an_sa_goes_on_between_other_ends_under_its_key(self):
        # NAT-6, REK-5: what was counted, and what was seen, stays with the key.
        self.daemon.control("change", moves={"t-out": {"destination": B.router[4]}, "t-in": {"source": B.router[4]}})

        out, into = (self.daemon.control("show-sa", name=name)["sa"] for name in ("t-out", "t-in"))
        self.assertEqual((out["source"], out["destination"]), (A.wan[4], B.router[4]))
        self.assertGreaterEqual(out["sequence"], 5)
        self.assertEqual((into["source"], into["destination"], into["sequence"]), (B.router[4], A.wan[4], 3))
        self.assertEqual((out["policies"], into["policies"]), (["p0"], ["p1"]))

    def test_it_may_go_into_udp_and_out_of_it(self):
        for moves, udp in (
                ({"t-in": {"encap": "udp", "source_port": 1024}, "t-out": {"encap": "udp", "destination_port": 1024,
                    "follows": "t-in"}}, {"source_port": 4500, "destination_port": 1024}),
                ({"t-out": {"follows": None, "destination_port": 7}}, {"source_port": 4500, "destination_port": 7}),
                ({"t-out": {"encap": "none"}}, None)):
            with self.subTest(moves):
                result = self.daemon.control("change", moves=moves)
                self.assertEqual(result["counts"]["sas"], {"added": 0, "changed": len(moves), "removed": 0})
                self.assertEqual(self.daemon.control("show-sa", name="t-out")["sa"].get("udp"), udp)

    def test_culvertctl_moves_too(self):
        text = """moves:
  t-in: {encap: udp, source_port: 1024}
  t-out: {encap: udp, destination_port: 1024, follows: t-in}
"""
        self.assertEqual(self.ctl("change", "-", text=text).splitlines()[:2], ["~ sa t-in", "~ sa t-out"])
        self.ctl("change", "-", text='moves: {t-out: {follows: "", destination_port: 7}}')
        self.assertEqual(self.daemon.control("show-sa", name="t-out")["sa"]["udp"]["destination_port"], 7)
        self.assertIn("from 1 to 65535", self.ctl("change", "-", text="moves: {t-out: {source_port: 7x}}", code=1)[1])

    def test_what_can_not_be_is_refused_and_nothing_has_moved(self):
        sas = {"t-out": an_sa(0x1001)}
        for moves, said in (({"nope": {}}, "no SA is named 'nope'"), ("t-out", "an object of SAs"), ({"t-out": 1}, "an object"),
                ({"t-out": {"destination": "10.0.0.0/8"}}, "moves.t-out.destination is an address"),
                ({"t-out": {"source": 7}}, "moves.t-out.source is an address"),
                ({"t-out": {"encap": "tcp"}}, "moves.t-out.encap is none, or udp"),
                ({"t-out": {"source_port": 0}}, "from 1 to 65535"), ({"t-out": {"destination_port": 65536}}, "from 1 to"),
                ({"t-out": {"follows": 1}}, "the name of an SA, or null"), ({"t-out": {"spi": 5}}, "nothing that moves"),
                ({"t-out": {"destination": B.wan[6]}}, "different families")):
            with self.subTest(moves):
                self.assertIn(said, self.daemon.refusal("change", moves=moves)["text"])
        for arguments, said in (({"moves": {"t-out": {}}, "sas": sas, "replace": True}, "in 'sas' too"),
                ({"moves": {"t-out": {}}, "delete_sas": ["t-out"]}, "can't be made"),
                ({"moves": {"t-out": {"source": B.router[4]}}}, "can't be made"),
                ({"moves": {"t-out": {"encap": "udp", "follows": "t-in"}}}, "can't be made")):
            with self.subTest(arguments):
                self.assertIn(said, self.daemon.refusal("change", **arguments)["text"])
        self.assertEqual(self.daemon.control("show-sa", name="t-out")["sa"]["destination"], B.wan[4])


class Lasting(Running):
    def setUp(self):
        super().setUp()
        self.daemon.control("change", lasting=True, sas={"ike": an_sa(0x9001)},
            policies=[a_policy("a", action="protect", sas=["ike"]), a_policy("b", "10.78.0.0/16")], before="p1")
        self.daemon.control("change", lasting=True, policies=[a_policy("c", "10.79.0.0/16")])
        self.daemon.control("change", policies=[a_policy("passing", "10.80.0.0/16")], before="b")

    def reload(self, policies):
        """Write these policies, of those that there are, and reload."""
        self.site.conf["policies"] = policies
        self.site.write()
        return self.daemon.control("reload")["counts"]

    def test_a_reload_leaves_what_lasts(self):
        # REK-5: what a key exchange has made is in no file.
        p0, p1 = self.site.conf["policies"]

        counts = self.reload([p0, p1])

        self.assertEqual((counts["policies"]["removed"], counts["sas"]["removed"]), (1, 0))
        self.assertEqual(self.names("policies"), ["p0", "a", "b", "p1", "c"])
        self.assertEqual(self.names("sas"), ["t-out", "t-in", "ike"])
        self.assertEqual(self.daemon.control("show-sa", name="ike")["sa"]["policies"], ["a"])
        self.assertEqual(self.ctl("reload"), "nothing is different\n")

    def test_each_stays_before_what_it_was_before(self):
        p0, p1 = self.site.conf["policies"]
        other = a_policy("other", "10.81.0.0/16")

        for policies, names in (([p1, other, p0], ["a", "b", "p1", "other", "p0", "c"]), ([p1], ["a", "b", "p1", "c"]),
                ([p0, other], ["p0", "other", "a", "b", "c"]), ([], ["a", "b", "c"]), ([p1], ["p1", "a", "b", "c"])):
            with self.subTest(names):
                self.reload(policies)
                self.assertEqual(self.names("policies"), names)

    def test_a_name_of_the_file_is_the_files(self):
        p0, p1 = self.site.conf["policies"]
        self.reload([p0, a_policy("b", "10.99.0.0/16"), p1])

        self.assertEqual(self.names("policies"), ["p0", "a", "b", "p1", "c"])
        self.assertEqual(self.names("policies", "destination")[2], ["10.99.0.0/16"])
        self.assertEqual(self.reload([p0, p1])["policies"]["removed"], 1)


class Change(Running):
    def test_an_sa_and_its_policies_come_and_go(self):
        added = self.ctl("sa", "add", self.file({"n-out": an_sa(0x9001)}))
        self.assertRegex(added, r"^\+ sa n-out\nchanged in \d+\.\d\d\d ms\n$")
        self.assertEqual(self.ctl("policy", "add", "-", "--before", "p0",
            text=json.dumps(a_policy("n", action="protect", sas=["n-out"]))).splitlines()[0], "+ policy n")
        self.assertEqual(self.names("policies"), ["n", "p0", "p1"])
        out, err = self.ctl("sa", "delete", "n-out", code=1)
        self.assertEqual((out, err), ("", "policies[0].sas[0]: policy 'n': no SA is named 'n-out'\n"
            "culvertctl: the change can't be made; nothing has changed\n"))
        self.assertEqual(self.ctl("policy", "delete", "n").splitlines()[0], "- policy n")
        self.assertEqual(self.ctl("sa", "delete", "n-out").splitlines()[0], "- sa n-out")
        self.assertEqual(self.names("sas"), ["t-out", "t-in"])

    def test_yaml_reaches_the_daemon_as_it_stands(self):
        self.ctl("sa", "add", "-", text=f"""sas:
  one: # a comment
    spi: 0x9001
    source: {A.wan[4]}
    destination: {B.wan[4]}
    esp: aes128gcm16
    key: 0x{key_bytes("new", 20).hex()}
    life_bytes: 10G
    rekey_bytes: 1M
""")
        sa = self.daemon.control("show-sa", name="one")["sa"]
        self.assertEqual((sa["spi"], sa["life"]["bytes"]["hard"]), ("0x00009001", 10 << 30))
        self.assertRegex(self.ctl("show", "sa", "one"), r"bytes +0 B used; soft limit .* \(0\.0 %\), hard limit")

    def test_an_sa_that_the_configuration_has_a_policy_for_stays(self):
        for more in ((), ("--dry-run",)):
            self.assertIn("policy 'p0': no SA is named 't-out'", self.ctl("sa", "delete", "t-out", *more, code=1)[1])
        self.assertEqual(self.daemon.control("show-sa", name="t-out")["sa"]["sequence"], 5)

    def test_a_name_that_is_to_be_deleted_twice_is_refused(self):
        self.assertIn("'t-out' is to be deleted twice", self.ctl("sa", "delete", "t-out", "t-in", "t-out", code=1)[1])
        self.assertEqual(self.names("sas"), ["t-out", "t-in"])

    def test_a_dry_run_changes_nothing(self):
        text = json.dumps({"n": an_sa(0x9001)})

        self.assertEqual(self.ctl("sa", "add", "-", "--dry-run", text=text),
            "+ sa n\ndry run: nothing has changed\n")
        self.assertEqual(self.ctl("policy", "delete", "p0", "--dry-run").splitlines()[0], "- policy p0")
        self.assertEqual(self.names("policies"), ["p0", "p1"])
        self.assertEqual(self.names("sas"), ["t-out", "t-in"])

    def test_an_update_replaces_and_an_add_does_not(self):
        self.ctl("sa", "add", "-", text=json.dumps({"n": an_sa(0x9001)}))
        again = json.dumps({"n": an_sa(0x9002, label="other")})

        self.assertEqual(self.ctl("sa", "add", "-", text=again, code=1)[1],
            "culvertctl: an SA 'n' is there already\n")
        self.assertEqual(self.ctl("sa", "update", "-", text=again).splitlines()[0], "~ sa n")
        self.assertEqual(self.daemon.control("show-sa", name="n")["sa"]["spi"], "0x00009002")
        self.ctl("policy", "add", "-", text=json.dumps([a_policy("a"), a_policy("b")]))
        self.assertEqual(self.ctl("policy", "update", "-", text=json.dumps(a_policy("a", "10.78.0.0/16")))
            .splitlines()[0], "~ policy a")
        self.assertEqual(self.names("policies"), ["p0", "p1", "a", "b"])
        self.assertEqual(self.daemon.control("show-policies")["policies"][2]["destination"], ["10.78.0.0/16"])

    def test_faults_have_their_line_and_column(self):
        for command, text, lines in (
                (("sa", "add"), "hq:\n  spi: 5\n  source: 1.2.3\n  esp: aes128gcm16\n  destination: 1.2.3.4\n",
                    [":2:8: sas.hq.spi: expects", ":3:11: sas.hq.source: expects", ":2:3: sas.hq: 'key' or"]),
                (("sa", "add"), "sas:\n  hq: {spi: 5}\n", [":2:13: sas.hq.spi"]),
                (("policy", "add"), "- name: x\n  direction: out\n  acton: discard\n",
                    [":1:3: policies[0]: unknown key 'acton' (did you mean 'action'?)"]),
                (("policy", "add"), "direction: out\nname: x\naction: no\n", [":3:9: policies[0].action"]),
                (("change",), "policies:\n- name: x\n  action: 7\nsas: {a: {spi: 1}}\n",
                    [":3:11: policies[0].action", ":4:16: sas.a.spi"])):
            with self.subTest(text):
                path = self.file(text)
                out, err = self.ctl(*command, path, code=1)

                self.assertEqual(out, "")
                for line in lines:
                    self.assertIn("\n" + path + line, "\n" + err)
                self.assertEqual(err.splitlines()[-1], "culvertctl: the request has faults; nothing has changed")

    def test_what_is_no_yaml_is_not_sent(self):
        for text, said in (("a: [", "part.yaml:2:1: not YAML"), ("", "the file is empty"), ("a: &x 1\n", "anchors"),
                           ("a: 1\na: 2\n", "part.yaml:2:1: the key 'a' stands twice"),
                           ("x" * LINE_MAX + "x", "longer than 1048576 bytes")):
            with self.subTest(text[:9]):
                self.assertIn(said, self.ctl("sa", "add", self.file(text), code=1)[1])
        self.assertIn("No such file", self.ctl("sa", "add", "/nonexistent", code=1)[1])

    def test_a_change_is_made_at_once_or_not_at_all(self):
        change = {"sas": {"n": an_sa(0x9001)}, "policies": [a_policy("n", action="protect", sas=["n"])],
            "delete_policies": ["p0"], "delete_sas": ["t-out"]}
        wrong = {**change, "delete_sas": ["t-out", "nope"]}

        self.assertIn("no SA is named 'nope'", self.ctl("change", "-", text=json.dumps(wrong), code=1)[1])
        self.assertEqual((self.names("sas"), self.names("policies")), (["t-out", "t-in"], ["p0", "p1"]))
        said = self.ctl("change", self.file(change)).splitlines()
        self.assertEqual(said[:-1], ["+ sa n", "- sa t-out", "+ policy n", "- policy p0"])
        self.assertEqual((sorted(self.names("sas")), self.names("policies")), (["n", "t-in"], ["p1", "n"]))
        self.assertEqual(self.ctl("change", "-", text="replace: true\nsas:\n  n: "
            + json.dumps(an_sa(0x9003, label="other"))).splitlines()[0], "~ sa n")

    def test_apply_and_reload_tell_what_is_different(self):
        self.assertEqual(self.ctl("reload"), "nothing is different\n")
        self.site.conf["sas"]["n"] = an_sa(0x9001)
        self.site.conf["routes"].append({"to": "10.200.0.0/16", "via": A.router[4]})
        self.site.conf["policies"].reverse()
        self.site.write()
        lines = ["+ sa n", f"+ route 10.200.0.0/16 via {A.router[4]}", "~ order of policies"]

        self.assertEqual(self.ctl("reload", "--dry-run").splitlines(), [*lines, "dry run: nothing has changed"])
        self.assertEqual(self.ctl("apply", self.site.path("site.yaml")).splitlines()[:-1], lines)
        self.assertEqual(self.ctl("reload"), "nothing is different\n")
        self.assertEqual(self.daemon.control("show-sa", name="t-out")["sa"]["sequence"], 5)

    def test_a_faulty_file_changes_nothing(self):
        path = self.file("workers: {lcores: [0]}\nports: {}\nsas:\n  x: {spi: 1}\n", "faulty.yaml")

        err = self.ctl("apply", path, code=1)[1]

        self.assertIn(f"{path}:4:12: sas.x.spi: expects", err)
        self.assertEqual(err.splitlines()[-1], f"culvertctl: {path} has faults; nothing has changed")
        self.assertIn("No such file", self.ctl("apply", "/nonexistent", code=1)[1])
        self.assertEqual(self.names("sas"), ["t-out", "t-in"])

    def test_what_can_not_change_while_it_runs_is_refused(self):
        self.site.conf["ports"]["wan"]["mtu"] = 1400
        self.site.write()

        self.assertIn("ports", self.ctl("reload", code=1)[1])

    def test_no_key_is_in_any_answer(self):
        text = json.dumps({"n": an_sa(0x9001)})
        said = self.ctl("sa", "add", "-", text=text) + "".join(self.ctl("sa", "add", "-", text=text, code=1))
        for command in ("show-sas", "show-sa", "change"):
            said += json.dumps(self.ask(command, **({"name": "n"} if command == "show-sa" else {})))
        said += json.dumps(self.ask("change", sas={"m": {**an_sa(0x9002), "key": "0x" + key_bytes("new", 21).hex()}}))

        self.site.check_no_key(said)


class Top(unittest.TestCase):
    def setUp(self):
        self.site = Site(way="default")
        self.site.tunnel()
        self.daemon, self.feed = self.site.start_fed("lan")
        self.daemon.wait_ready()

    def tearDown(self):
        self.feed.close()
        self.daemon.signal()
        self.site.ended(self.daemon)

    def command(self, *arguments):
        return [CULVERTCTL, "--socket", self.daemon.control_path(), "top", *arguments]

    def test_rates_are_of_the_interval(self):
        process = subprocess.Popen(self.command("--once", "--interval=2"), stdout=subprocess.PIPE, text=True)
        time.sleep(0.5)
        for _ in range(10):
            self.feed.put([self.site.frame("lan", OUT)] * 30 + [self.site.frame("lan", b"x" * 14)] * 2)
        out, _ = process.communicate(timeout=30)
        rows = [line.split() for line in out.splitlines()]

        self.assertEqual(process.returncode, 0)
        lan = next(row for row in rows if row[:2] == ["lan", "up"])
        self.assertTrue(100 <= int(lan[2]) <= 170, lan)
        sa = next(row for row in rows if row[:1] == ["t-out"])
        self.assertEqual(sa[1:5], ["out", "0x00001001", A.wan[4], B.wan[4]])
        self.assertTrue(90 <= int(sa[5]) <= 160, sa)
        self.assertIn("1 of 2 SAs had packets", out)
        self.assertRegex(out, r"drop +packets/s +cause and cure\n\w+ +\d+ ")
        self.assertNotIn("\033", out)

    def test_the_terminal_is_left_as_it_was(self):
        ours, theirs = os.openpty()
        before = termios.tcgetattr(theirs)
        for end in (lambda process: os.write(ours, b"q"), lambda process: process.send_signal(signal.SIGTERM)):
            process = subprocess.Popen(self.command(), stdin=theirs, stdout=theirs, stderr=theirs)
            seen = b""
            while b"SAs had packets" not in seen:
                seen += os.read(ours, 4096)
            self.assertNotEqual(termios.tcgetattr(theirs), before)
            end(process)
            self.assertEqual(process.wait(20), 0)
            while not seen.endswith(b"\033[?25h\033[?1049l"):
                seen += os.read(ours, 4096)
            self.assertEqual(termios.tcgetattr(theirs), before)
        os.close(ours)
        os.close(theirs)

    def test_what_it_can_not_do_is_misuse(self):
        for arguments in (("--json",), ("--interval", "0"), ("--interval", "x"), ("now",)):
            self.assertEqual(self.daemon.ctl("top", *arguments, code=2)[0], "")


class Requests(Running):
    """Lines that no client of ours would send."""

    def lines(self, *sent, n=None):
        """Send bytes, and read so many answers (as many as were sent)."""
        with self.daemon.connect() as client, client.makefile("rb") as stream:
            client.sendall(b"".join(sent))
            return [json.loads(stream.readline()) for _ in range(len(sent) if n is None else n)]

    def test_what_is_no_request_is_told_why(self):
        for line, text in ((b"hello", "no JSON"), (b"", "no JSON"), (b"[]", "an object"), (b"{}", "'command'"),
                           (b'{"command":1}', "'command'"), (b'{"command":"no-such"}', "no command is named 'no-such'"),
                           (b'{"command":"show-sas","command":"reload"}', "a key stands twice"),
                           (b'{"command":"show-sas","arguments":[]}', "'arguments' is an object"),
                           (b'{"command":"show-sas","arguments":{"limits":1}}', "has no argument 'limits'; it takes: "),
                           (b'{"command":"show-sas","arguments":{"limit":"1"}}', "'limit' is a number from 0 to"),
                           (b'{"command":"show-sas","arguments":{"limit":-1}}', "'limit' is a number from 0 to"),
                           (b'{"command":"show-sas","arguments":{"limit":99999}}', "'limit' is a number from 0 to"),
                           (b'{"command":"show-sa"}', "'name' is missing"),
                           (b'{"command":"show-drops","arguments":{"all":1}}', "'all' is true or false"),
                           (b'{"command":"apply","arguments":{"file":"site.yaml"}}', "an absolute path"),
                           (b'{"command":"change","arguments":{"delete_sas":"t"}}', "a list of names"),
                           (b'{"version":2,"command":"show-sas"}', "version 1 of the protocol"),
                           (b'{"command":"\xff"}', "no JSON"), (b"\0", "no JSON"), (b"[" * 5000, "no JSON")):
            with self.subTest(line[:60]):
                answer, = self.lines(line + b"\n")
                self.assertFalse(answer["ok"])
                self.assertEqual(answer["version"], 1)
                self.assertIn(text, answer["error"]["text"])

    def test_a_character_that_an_error_cuts_is_answered_too(self):
        # Of a name as long as this, the error shows a part that ends within a character.
        for n in range(58, 68):
            name = "x" * n + "ä€" * 9
            self.assertIn("no command is named", self.daemon.refusal(name)["text"])
            self.assertIn("has no argument", self.daemon.refusal("show-sas", **{name: 1})["text"])

    def test_the_id_of_a_request_comes_back(self):
        sent = [json.dumps({"command": command, "id": number}).encode() + b"\n"
            for number, command in enumerate(["show-version", "no-such", "show-sas"])]

        answers = self.lines(*sent)

        self.assertEqual([(answer["id"], answer["ok"]) for answer in answers], [(0, True), (1, False), (2, True)])

    def test_many_requests_in_one_packet_are_answered_in_order(self):
        sent = [json.dumps({"command": "show-sa", "arguments": {"name": "t-out"}, "id": i}).encode() + b"\n"
            for i in range(200)]

        self.assertEqual([answer["id"] for answer in self.lines(*sent)], list(range(200)))

    def test_a_request_may_come_byte_by_byte(self):
        with self.daemon.connect() as client, client.makefile("rb") as stream:
            for byte in b'{"command":"show-version"}\n':
                client.send(bytes([byte]))
                time.sleep(0.002)
            self.assertTrue(json.loads(stream.readline())["ok"])

    def test_a_line_of_the_longest_size_is_read_and_a_longer_one_refused(self):
        line = b'{"command":"show-version","id":"%s"}'
        longest = line % (b"x" * (LINE_MAX - len(line) + 2))

        self.assertEqual(len(longest), LINE_MAX)
        self.assertTrue(self.lines(longest + b"\n")[0]["ok"])
        for sent in (longest + b" \n", b"x" * (2 * LINE_MAX)):
            with self.daemon.connect() as client, client.makefile("rb") as stream:
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    client.sendall(sent)
                self.assertIn("too long", json.loads(stream.readline())["error"]["text"])
                with contextlib.suppress(ConnectionResetError):
                    self.assertEqual(stream.readline(), b"")
        self.assertTrue(self.ask("show-version")["ok"])

    def test_half_a_line_and_silence_disturb_nobody(self):
        with contextlib.ExitStack() as stack:
            for _ in range(10):
                stack.enter_context(self.daemon.connect()).sendall(b'{"command":')
            self.assertTrue(self.ask("show-version")["ok"])

    def test_a_closed_half_is_answered_still(self):
        with self.daemon.connect() as client, client.makefile("rb") as stream:
            client.sendall(b'{"command":"show-version"}\n')
            client.shutdown(socket.SHUT_WR)
            self.assertTrue(json.loads(stream.readline())["ok"])
            self.assertEqual(stream.readline(), b"")

    def memory_kib(self):
        with open(f"/proc/{self.daemon.process.pid}/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))

    def test_one_that_never_reads_fills_no_memory_and_stops_nobody(self):
        request = b'{"command":"show-drops","arguments":{"all":true}}\n'
        before = self.memory_kib()
        with self.daemon.connect() as client:
            client.setblocking(False)
            sent = 0
            with contextlib.suppress(BlockingIOError):
                while sent < 64 << 20:
                    sent += client.send(request * 1000)
                    time.sleep(0.001)
            self.assertGreater(sent, 100 * len(request))
            for _ in range(20):
                self.assertTrue(self.ask("show-version")["ok"])
            self.assertLess(self.memory_kib() - before, 16 << 10)

    def test_one_that_goes_away_within_an_answer_is_forgotten(self):
        for _ in range(50):
            client = self.daemon.connect()
            client.sendall(b'{"command":"show-drops","arguments":{"all":true}}\n' * 100)
            client.recv(10)
            client.close()
        self.assertTrue(self.ask("show-version")["ok"])
        self.assertLess(len(os.listdir(f"/proc/{self.daemon.process.pid}/fd")), 80)


class Connections(unittest.TestCase):
    def setUp(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))

    def test_a_thousand_at_once_are_served_or_told_so_while_packets_pass(self):
        site = Site(way="default")
        site.policy("out", "bypass")
        daemon, feed = site.start_fed("lan")
        daemon.wait_ready()
        answers, clients = [], []
        for _ in range(1000):
            client = socket.socket(socket.AF_UNIX)
            client.connect(daemon.control_path())
            client.settimeout(20)
            clients.append(client)
            if len(clients) % 100 == 0:
                feed.put([site.frame("lan", OUT)] * 10)
        for client in clients:
            with contextlib.suppress(BrokenPipeError):
                client.sendall(b'{"command":"show-version"}\n')
            answers.append(json.loads(client.makefile("rb").readline()))

        served = [answer["ok"] for answer in answers]
        self.assertEqual(sum(served), CONNECTIONS_MAX)
        self.assertTrue(all(served[:CONNECTIONS_MAX]))
        self.assertTrue(all("too many connections" in answer["error"]["text"] for answer in answers if not answer["ok"]))
        clients[3].sendall(b'{"command":"show-ports"}\n')
        result = json.loads(clients[3].makefile("rb").readline())["result"]
        daemon.wait_until(lambda: daemon.telemetry("/culvert/totals")["sent"] >= 90, lambda: "packets pass")
        self.assertEqual(result["ports"][0]["name"], "lan")
        for client in clients:
            client.close()
        daemon.wait_until(lambda: daemon.ask("show-version")["ok"], lambda: "there is room again")
        feed.close()
        daemon.signal()
        site.ended(daemon)

    def test_one_that_is_quiet_for_long_makes_room(self):
        # SERVER_QUIET_S is 10.
        site = Site()
        daemon = site.start().wait_ready()
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(daemon.connect()) for _ in range(CONNECTIONS_MAX)]
            time.sleep(1)
            self.assertIn("too many", daemon.refusal("show-version")["text"])
            time.sleep(10)
            self.assertTrue(daemon.ask("show-version")["ok"])
            self.assertEqual(clients[0].recv(1), b"")
        daemon.signal()
        site.ended(daemon)


class Socket(unittest.TestCase):
    """Who may connect, and what is at the socket's path."""

    def started(self, **control):
        site = Site()
        os.chmod(site.directory, 0o755)
        site.conf["control"].update(control)
        daemon = site.start().wait_ready()
        return site, daemon

    def as_nobody(self, daemon, *options):
        nobody = pwd.getpwnam("nobody")
        group = [] if any(option.startswith("--regid") for option in options) else [f"--regid={nobody.pw_gid}"]
        clear = [] if any("groups" in option for option in options) else ["--clear-groups"]
        return subprocess.run(["setpriv", f"--reuid={nobody.pw_uid}", *group, *clear, *options,
            CULVERTCTL, "--socket", daemon.control_path(), "show", "version"], capture_output=True, text=True,
            timeout=60)

    @unittest.skipIf(os.geteuid() != 0, "only root can be another user")
    def test_a_user_who_is_not_in_the_group_is_refused(self):
        site, daemon = self.started()

        done = self.as_nobody(daemon)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("this user may not use", done.stderr)
        # Nor is one that the modes let through.
        os.chmod(site.path("run"), 0o755)
        os.chmod(daemon.control_path(), 0o666)
        done = self.as_nobody(daemon)
        self.assertEqual((done.returncode, done.stderr), (1, "culvertctl: this user may not control the gateway\n"))
        self.assertIn("\"control connection refused\" uid=", daemon.stderr())
        daemon.signal()
        site.ended(daemon)

    @unittest.skipIf(os.geteuid() != 0, "only root can be another user")
    def test_a_member_of_the_group_is_not(self):
        group = grp.getgrnam("daemon")
        site, daemon = self.started(group="daemon")

        self.assertEqual(os.stat(daemon.control_path()).st_mode & 0o777, 0o660)
        for options in ([f"--regid={group.gr_gid}"], [f"--groups={group.gr_gid}"]):
            done = self.as_nobody(daemon, *options)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
        done = self.as_nobody(daemon)
        self.assertIn("members of the group daemon may", done.stderr)
        daemon.signal()
        site.ended(daemon)

    def test_what_a_killed_daemon_left_is_replaced(self):
        site, daemon = self.started()
        daemon.signal(signal.SIGKILL)
        daemon.process.wait()
        self.assertTrue(os.path.exists(daemon.control_path()))
        said = subprocess.run([CULVERTCTL, "--socket", daemon.control_path(), "show", "sas"], capture_output=True,
            text=True, timeout=60)
        self.assertEqual(said.returncode, 1)
        self.assertIn("is culvertd running?", said.stderr)

        daemon = site.start().wait_ready()

        self.assertTrue(daemon.ask("show-version")["ok"])
        daemon.signal()
        site.ended(daemon)
        self.assertFalse(os.path.exists(daemon.control_path()))

    def test_something_else_at_the_path_is_left_alone(self):
        site = Site()
        site.conf["control"]["socket"] = site.path("precious")
        with open(site.path("precious"), "w") as file:
            file.write("data")

        daemon = site.start()

        self.assertEqual(daemon.wait(), 1)
        self.assertIn("something else is there", daemon.stderr())
        with open(site.path("precious")) as file:
            self.assertEqual(file.read(), "data")

    def test_the_socket_of_another_daemon_is_left_alone(self):
        site, daemon = self.started()
        other = Site()
        other.conf["control"]["socket"] = daemon.control_path()

        second = other.start()

        self.assertEqual(second.wait(), 1)
        self.assertIn("another program listens there", second.stderr())
        self.assertTrue(daemon.ask("show-version")["ok"])
        daemon.signal()
        site.ended(daemon)


class Client(unittest.TestCase):
    """culvertctl against daemons that are none."""

    def ask(self, answer, *arguments):
        site = Site()
        path = site.path("fake.sock")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen(1)

        def serve():
            client, _ = listener.accept()
            with client:
                client.makefile("rb").readline()
                client.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        done = subprocess.run([CULVERTCTL, "--socket", path, *(arguments or ("show", "sas"))], capture_output=True,
            text=True, timeout=60)
        thread.join()
        listener.close()
        return done.returncode, done.stdout, done.stderr

    def test_help_of_a_command_is_what_its_manual_has(self):
        helps = subprocess.run([CULVERTCTL, "--help"], capture_output=True, text=True, check=True).stdout
        names = re.findall(r"^  ([a-z][a-z-]*(?: [a-z][a-z-]*)*) ", helps, re.MULTILINE)
        self.assertGreater(len(names), 20)
        for name in map(str.split, names):
            done = subprocess.run([CULVERTCTL, *name, "--help"], capture_output=True, text=True, check=True)
            usage, *lines = done.stdout.splitlines()
            self.assertTrue(usage.startswith(f"usage: culvertctl {' '.join(name)} "), usage)
            self.assertNotIn("`", done.stdout)
            self.assertLessEqual(max(map(len, lines)), 82, done.stdout)
            self.assertIn("  --json  ", done.stdout)
        capture = subprocess.run([CULVERTCTL, "capture", "--help"], capture_output=True, text=True, check=True).stdout
        self.assertIn("counted as not captured", " ".join(capture.split()))

    def test_what_is_no_answer_is_told(self):
        for answer, said in ((b"", "closed the connection without an answer"), (b'{"ver', "without an answer"),
                             (b"hello\n", "is no JSON"), (b'{"version":2,"ok":true,"result":{}}\n', "version 2"),
                             (b'{"version":1,"ok":false}\n', "did not say why"), (b"[]\n", "version 0"),
                             (b'{"version":1,"ok":true}\n', "")):
            with self.subTest(answer):
                code, out, err = self.ask(answer)

                self.assertEqual((code, out), (1, ""))
                self.assertIn(said, err)

    def test_nobody_there_is_told_with_what_to_do(self):
        done = subprocess.run([CULVERTCTL, "--socket", "/nonexistent/control.sock", "show", "sas"],
            capture_output=True, text=True, timeout=60)

        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("nobody listens at /nonexistent/control.sock: is culvertd running?", done.stderr)
        done = subprocess.run([CULVERTCTL, "--socket", "x" * 108, "show", "sas"], capture_output=True, text=True,
            timeout=60)
        self.assertIn("at most 107 characters", done.stderr)
