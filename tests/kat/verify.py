#!/usr/bin/env python3
"""Check the known answers themselves, with OpenSSL (python3-cryptography) and Python's hmac: tests/kat/verify.py

A vector mistyped in all its fields at once would otherwise be believed. The last line says `N passed, N failed,
N skipped`. Exit code 0, 1, or 77 where OpenSSL can't be used.
"""
import glob
import hmac
import os
import re
import sys

SKIPPED = 77
IETF = re.compile(r"RFC \d+ (section|appendix) [\dA-Z.]+|draft-[a-z0-9-]+-\d\d\b")


def vectors(path):
    """The vectors of a file, a dictionary each; the format is described in vectors.h."""
    found = []
    with open(path, encoding="ascii") as file:
        for line in file.read().split("\n"):
            if line.startswith("name: "):
                found.append({})
            if line.startswith(" "):
                found[-1][field] += bytes.fromhex(line)
            elif ": " in line and not line.startswith("#"):
                key, found[-1][key] = line.split(": ", 1)
            elif " =" in line and not line.startswith("#"):
                field, value = line.split(" =")
                found[-1][field] = bytes.fromhex(value)
    return found


def aad_of(v):
    """SPI and sequence number, the upper half of an extended one first (RFC 4106 section 5)."""
    return v["spi"] + v["seq"]


def wire_of(v):
    """What an ICV of its own covers; the upper half of the number comes last (RFC 4303 section 3.3.2.1)."""
    upper, lower = v["seq"][:-4], v["seq"][-4:]
    return v["spi"] + lower + v.get("iv", b"") + v["ciphertext"] + upper


def gcm_agrees(v):
    # An implicit IV is the number (RFC 8750 section 4).
    iv = v.get("iv", v["seq"].rjust(8, b"\0"))
    sealed = AESGCM(v["key"]).encrypt(v["salt"] + iv, v["plaintext"], aad_of(v))
    length = len(v["plaintext"])
    return sealed[:length] == v["ciphertext"] and sealed[length:length + len(v["icv"])] == v["icv"]


def ccm_agrees(v):
    sealer = AESCCM(v["key"], tag_length=len(v["icv"]))
    return sealer.encrypt(v["salt"] + v["iv"], v["plaintext"], aad_of(v)) == v["ciphertext"] + v["icv"]


def gmac_agrees(v):
    signed = aad_of(v) + v["iv"] + v["plaintext"]
    return v["plaintext"] == v["ciphertext"] and AESGCM(v["key"]).encrypt(v["salt"] + v["iv"], b"", signed) == v["icv"]


def xcbc(key, data):
    """RFC 3566 section 4: no library here has it."""
    k1, k2, k3 = (ecb(key, bytes([i] * 16)) for i in (1, 2, 3))
    blocks = [data[i:i + 16] for i in range(0, len(data), 16)] or [b""]
    last, key_of_last = blocks.pop(), k2
    if len(last) < 16:
        last, key_of_last = (last + b"\x80").ljust(16, b"\0"), k3
    mac = bytes(16)
    for block in blocks + [xor(last, key_of_last)]:
        mac = ecb(k1, xor(mac, block))
    return mac


def xor(a, b):
    return bytes(x ^ y for x, y in zip(a, b))


def ecb(key, block, algorithm=None):
    return Cipher((algorithm or algorithms.AES)(key), modes.ECB()).encryptor().update(block)


def cmac(key, data):
    mac = CMAC(algorithms.AES(key))
    mac.update(data)
    return mac.finalize()


def icv_of(auth, key, data):
    macs = {"aesxcbc": lambda: xcbc(key, data)[:12], "aescmac": lambda: cmac(key, data)[:12],
        "sha1": lambda: hmac.digest(key, data, "sha1")[:12], "sha256_96": lambda: hmac.digest(key, data, "sha256")[:12]}
    whole = len(hmac.digest(b"", b"", auth)) if auth not in macs else 0
    return macs[auth]() if auth in macs else hmac.digest(key, data, auth)[:whole // 2]


def mac_agrees(v):
    return len(v["key"]) == 16 and icv_of(v["alg"].removeprefix("null-"), v["key"], v["data"]) == v["icv"]


def encrypted(cipher, v):
    if cipher == "null":
        return v["plaintext"]
    if cipher.endswith("ctr"):
        mode = modes.CTR(v["salt"] + v["iv"] + bytes([0, 0, 0, 1]))
        return Cipher(algorithms.AES(v["key"]), mode).encryptor().update(v["plaintext"])
    algorithm = algorithms.TripleDES if cipher == "3des" else algorithms.AES
    assert ecb(v["key"], v["iv_seed"], algorithm) == v["iv"], "the IV is not made of its seed"
    return Cipher(algorithm(v["key"]), modes.CBC(v["iv"])).encryptor().update(v["plaintext"])


def esp_agrees(v):
    """A packet of a cipher and an integrity algorithm."""
    cipher, auth = v["alg"].split("-")
    return encrypted(cipher, v) == v["ciphertext"] and icv_of(auth, v["auth_key"], wire_of(v)) == v["icv"]


def made_agrees(v):
    if "-" in v["alg"]:
        return esp_agrees(v)
    return {"gcm": gcm_agrees, "ccm": ccm_agrees, "gmac": gmac_agrees}[re.match(r"aes\d+([a-z]+)", v["alg"])[1]](v)


def chacha20_agrees(v):
    aad, nonce = v["spi"] + v["seq"], v["salt"] + v["iv"]
    return ChaCha20Poly1305(v["key"]).encrypt(nonce, v["plaintext"], aad) == v["ciphertext"] + v["icv"]


def cbc_agrees(v):
    encryptor = Cipher(algorithms.AES(v["key"]), modes.CBC(v["iv"])).encryptor()
    seed = Cipher(algorithms.AES(v["key"]), modes.ECB()).encryptor()
    signed = v["spi"] + v["seq"] + v["iv"] + v["ciphertext"]
    return (encryptor.update(v["plaintext"]) == v["ciphertext"] and seed.update(v["iv_seed"]) == v["iv"]
            and hmac.digest(v["auth_key"], signed, "sha256")[:16] == v["icv"])


def hmac_agrees(v):
    auth = v["alg"].removeprefix("null-")
    # As long as the hash (RFC 4868 section 2.1.1, RFC 2404 section 3).
    whole = hmac.digest(b"", b"", auth.removesuffix("_96"))
    return len(v["key"]) == len(whole) and icv_of(auth, v["key"], v["data"]) == v["icv"]


def checksum_of(data):
    total = sum(int.from_bytes(data[i:i + 2], "big") for i in range(0, len(data), 2))
    while total > 0xffff:
        total = (total & 0xffff) + (total >> 16)
    return (total ^ 0xffff).to_bytes(2, "big")


def checksum_agrees(v):
    return (checksum_of(v["rest"] + v["from"]) == v["checksum"]
            and checksum_of(v["rest"] + v["to"]) == v["updated"])


CHECKS = {"gcm": gcm_agrees, "gmac": gmac_agrees, "chacha20": chacha20_agrees, "cbc": cbc_agrees, "ctr": esp_agrees,
    "hmac": hmac_agrees, "mac": mac_agrees, "made": made_agrees, "checksum": checksum_agrees}


def main():
    passed = failed = 0
    for path in sorted(glob.glob(os.path.join(os.path.dirname(os.path.abspath(__file__)), "*.txt"))):
        agrees = CHECKS[os.path.basename(path).removesuffix(".txt")]
        for vector in vectors(path):
            if IETF.match(vector["source"]) and agrees(vector):
                passed += 1
            else:
                failed += 1
                print(f"{path}: {vector['name']} ({vector['source']}) is wrong")
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    try:
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
        from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM, ChaCha20Poly1305
        from cryptography.hazmat.primitives.cmac import CMAC
    except ImportError:
        print("python3-cryptography is not there\n0 passed, 0 failed, 1 skipped")
        sys.exit(SKIPPED)
    sys.exit(main())
