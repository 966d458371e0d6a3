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


def gcm_agrees(v):
    aad, nonce = v["spi"] + v["seq"], v["salt"] + v["iv"]
    return AESGCM(v["key"]).encrypt(nonce, v["plaintext"], aad) == v["ciphertext"] + v["icv"]


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
    whole = hmac.digest(v["key"], v["data"], v["alg"].removeprefix("null-"))
    return len(v["key"]) == len(whole) and whole[:len(whole) // 2] == v["icv"]


def checksum_of(data):
    total = sum(int.from_bytes(data[i:i + 2], "big") for i in range(0, len(data), 2))
    while total > 0xffff:
        total = (total & 0xffff) + (total >> 16)
    return (total ^ 0xffff).to_bytes(2, "big")


def checksum_agrees(v):
    return (checksum_of(v["rest"] + v["from"]) == v["checksum"]
            and checksum_of(v["rest"] + v["to"]) == v["updated"])


CHECKS = {"gcm": gcm_agrees, "chacha20": chacha20_agrees, "cbc": cbc_agrees, "hmac": hmac_agrees, "checksum": checksum_agrees}


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
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
    except ImportError:
        print("python3-cryptography is not there\n0 passed, 0 failed, 1 skipped")
        sys.exit(SKIPPED)
    sys.exit(main())
