"""Build the guest's initramfs: busybox, iproute2, encap_socket.c and the kernel modules that the tests need.

tests/vm/initramfs.py KERNEL_DIRECTORY OUTPUT, where the directory holds what tools/setup unpacked of Debian's kernel
package. Modules are put down flat, in the order in which they load, so that the guest needs no modprobe; one that the
kernel has built in, or another version has not, is passed over.
"""
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
PROGRAMS = ("ip", "tc")
DEVICES = ("virtio_pci", "virtio_net", "virtio_console", "sch_netem")
PROTOCOLS = ("xfrm_user", "esp4", "esp6", "ah4", "ah6", "ipcomp", "ipcomp6", "tunnel4", "tunnel6", "xfrm4_tunnel",
    "xfrm6_tunnel")
# What an xfrm state asks the kernel's crypto for; `modprobe` would find these by the names of algorithms.
CRYPTO = ("aes_generic", "aesni_intel", "des_generic", "cbc", "ctr", "gcm", "ccm", "ghash_generic", "chacha20poly1305",
    "chacha_generic", "poly1305_generic", "crypto_null", "hmac", "md5", "sha1_generic", "sha256_generic",
    "sha512_generic", "cmac", "xcbc", "authenc", "authencesn", "seqiv", "echainiv", "drbg", "deflate")


def module_name(path):
    """As the kernel knows it: a file's `-` is the same as `_`."""
    return re.sub(r"\.ko.*", "", os.path.basename(path)).replace("-", "_")


def dependencies(directory):
    """Of each module, by name: its file and those that it needs, in the order of modules.dep."""
    with open(os.path.join(directory, "modules.dep")) as file:
        lines = [line.split(":") for line in file if ":" in line]
    return {module_name(path): [path, *needs.split()] for path, needs in lines}


def load_order(names, needs):
    """Files so that each stands behind what it needs."""
    order = []

    def visit(name):
        if name not in needs:
            return
        path, *rest = needs[name]
        for other in rest:
            visit(module_name(other))
        if path not in order:
            order.append(path)

    for name in names:
        visit(name)
    return order


def libraries(program):
    """The files that the dynamic loader maps for a program, the loader among them."""
    listed = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout
    return re.findall(r"(/\S+) \(0x", listed)


def copy(source, root, target=None):
    target = os.path.join(root, (target or source).lstrip("/"))
    os.makedirs(os.path.dirname(target), exist_ok=True)
    shutil.copy(source, target)


def find_program(name):
    path = shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin")
    if not path:
        raise SystemExit(f"initramfs: no program {name}")
    return path


def populate(root, modules):
    for directory in ("bin", "dev", "proc", "sys", "run", "www"):
        os.makedirs(os.path.join(root, directory))
    copy(find_program("busybox"), root, "bin/busybox")
    copy(os.path.join(HERE, "init"), root, "init")
    os.chmod(os.path.join(root, "init"), 0o755)
    for program in map(find_program, PROGRAMS):
        copy(program, root, f"sbin/{os.path.basename(program)}")
        for library in libraries(program):
            copy(library, root)
    subprocess.run(["gcc", "-static", "-Os", "-o", os.path.join(root, "sbin/encap_socket"),
        os.path.join(HERE, "encap_socket.c")], check=True)
    order = load_order([*DEVICES, *CRYPTO, *PROTOCOLS], dependencies(modules))
    for number, path in enumerate(order):
        copy(os.path.join(modules, path), root, f"modules/{number:03}-{os.path.basename(path)}")


def pack(root, output):
    names = subprocess.run(["find", ".", "-mindepth", "1"], cwd=root, check=True, capture_output=True).stdout
    archive = subprocess.run([find_program("busybox"), "cpio", "-o", "-H", "newc"], cwd=root, input=names, check=True,
        capture_output=True).stdout
    with open(output + ".new", "wb") as file:
        file.write(archive)
    os.replace(output + ".new", output)


def build(kernel, output):
    modules, = glob.glob(os.path.join(kernel, "lib/modules/*"))
    if not os.path.exists(os.path.join(modules, "modules.dep")):
        subprocess.run([find_program("busybox"), "depmod", "-b", kernel, os.path.basename(modules)], check=True)
    with tempfile.TemporaryDirectory(prefix="culvert-vm-") as root:
        populate(root, modules)
        pack(root, output)


if __name__ == "__main__":
    build(*sys.argv[1:])
