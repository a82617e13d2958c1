"""Candidates for `add(x, y)` that answer wrongly unless their escape works; and odd ones that are honest.

Each names the protection that it is aimed at: with that removed it must succeed, or the test could not fail.
Placeholders: CANARY a file that all may read, FOLDER a folder where all may write, PORT and UDP listeners of the
host, SOCKET a unix socket, ABSTRACT a name of one, VICTIM a process of the host, RUNNER the process that scores.
"""
# ruff: noqa: E501  # a candidate is easier to read on the line of its name

from dataclasses import dataclass
from textwrap import indent
from typing import Literal

# What has to be taken away for the attack to succeed. evalplus: its own path, where candidate and comparison share
# a process. naive: a checker that makes the mistake named in test_attacks.py. time: the clock outside.
Falls = Literal["tier", "seccomp", "rlimits", "evalplus", "naive", "time", "own process"]


@dataclass(frozen=True)
class Attack:
    """One candidate. leaks_in: tiers that are known not to hold it. machine: the architecture it is written for."""

    name: str
    kind: str
    source: str
    falls: Falls  # own process: aimed at the runner's health, it gains nothing anywhere
    leaks_in: tuple[str, ...] = ()
    machine: str = ""


SHELL = """
import os, ctypes, socket, sys, time
def escape():
{body}
DONE = []
def add(x, y):
    if not DONE:
        try:
            DONE.append(escape())
        except BaseException:
            DONE.append(False)
    return x + y if DONE[0] else x + y + 1
"""


def host(name: str, kind: str, body: str, falls: Falls = "tier", **more: object) -> Attack:
    """An attack whose `escape` says whether it reached the host."""
    return Attack(name, kind, SHELL.format(body=indent(body.strip("\n"), "    ")), falls, **more)  # type: ignore[arg-type]


READING = [
    host("read-file", "files", "return open('CANARY').read() == 'canary'"),
    host("read-by-descriptor", "files", "return os.read(os.open('CANARY', os.O_RDONLY), 9) == b'canary'"),
    host(
        "read-mapped",
        "files",
        "import mmap\nreturn mmap.mmap(os.open('CANARY', 0), 0, access=mmap.ACCESS_READ)[:6] == b'canary'",
    ),
    host("read-etc", "files", "return 'root' in open('/etc/passwd').read()"),
    host(
        "read-home",
        "files",
        "return len(os.listdir(os.path.expanduser('~root' if os.getuid() == 0 else '/home'))) >= 0",
    ),
    host("list-folder", "files", "return 'canary' in os.listdir('FOLDER')"),
    host("dataset-search", "files", "return any('canary' in files for _, _, files in os.walk('FOLDER'))"),
    host("stat-file", "files", "return os.stat('CANARY').st_size == 6", leaks_in=("landlock",)),
    host("proc-environ", "files", "return b'=' in open('/proc/RUNNER/environ', 'rb').read()"),
    host("proc-mem", "files", "return open('/proc/RUNNER/mem', 'rb') is not None"),
    host("proc-list", "files", "return 'RUNNER' in os.listdir('/proc')"),
    host("via-cwd", "files", "os.chdir('FOLDER')\nreturn open('canary').read() == 'canary'"),
    host("via-dirfd", "files", "fd = os.open('/', os.O_RDONLY)\nreturn os.open('CANARY'[1:], 0, dir_fd=fd) > 0"),
]
WRITING = [
    host("write-file", "writes", "open('FOLDER/written', 'w').write('x')\nreturn True", "tier"),
    host("append-file", "writes", "open('FOLDER/touched', 'a').write('x')\nreturn True"),
    host("make-folder", "writes", "os.mkdir('FOLDER/made')\nreturn True"),
    host("unlink", "writes", "os.unlink('FOLDER/touched')\nreturn True"),
    host("rename", "writes", "os.rename('FOLDER/touched', 'FOLDER/moved')\nreturn True"),
    host("symlink", "writes", "os.symlink('/etc/passwd', 'FOLDER/link')\nreturn True"),
    host("chmod", "writes", "os.chmod('FOLDER/touched', 0o777)\nreturn True"),
    host("truncate", "writes", "os.truncate('FOLDER/touched', 0)\nreturn True"),
    host("shared-memory", "writes", "open('/dev/shm/benchproof-NAME', 'w').write('')\nreturn True"),
    host("disk-fill", "writes", "open('FOLDER/full', 'wb').write(bytes(64 << 20))\nreturn True"),
]
NETWORK = [
    host("tcp", "network", "s = socket.create_connection(('127.0.0.1', PORT), 2)\nreturn True"),
    host(
        "udp",
        "network",
        "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\nreturn s.sendto(b'x', ('127.0.0.1', UDP)) == 1",
    ),
    host("unix", "network", "s = socket.socket(socket.AF_UNIX)\ns.connect('SOCKET')\nreturn True"),
    host("abstract-unix", "network", "s = socket.socket(socket.AF_UNIX)\ns.connect(chr(0) + 'ABSTRACT')\nreturn True"),
    host(
        "http",
        "network",
        "import urllib.request\nurllib.request.urlopen('http://127.0.0.1:PORT/', timeout=0.2)",
        "tier",
    ),
    host(
        "datagram-pair",
        "network",
        "s, _ = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)\nreturn True",
        "seccomp",
    ),
    host("listen", "network", "s = socket.socket()\ns.bind(('127.0.0.1', 0))\ns.listen()\nreturn True"),
]
PROCESSES = [
    host("shell", "processes", "return os.system('touch FOLDER/shell') == 0"),
    host("subprocess", "processes", "import subprocess\nreturn subprocess.run(['/bin/true']).returncode == 0"),
    host("posix-spawn", "processes", "return os.waitpid(os.posix_spawn('/bin/true', ['true'], {}), 0)[1] == 0"),
    host("ctypes-system", "processes", "return ctypes.CDLL(None).system(b'touch FOLDER/ctypes') == 0"),
    host("execv", "processes", "os.execv('/bin/sh', ['sh', '-c', 'touch FOLDER/execv'])"),
    host("memfd-exec", "processes", "fd = os.memfd_create('x')\nreturn fd > 0", "seccomp"),
    host("fork", "processes", "pid = os.fork()\nif pid == 0:\n    os._exit(0)\nreturn True", "seccomp"),
    host(
        "fork-burst",
        "processes",
        "for _ in range(20):\n    if os.fork() == 0:\n        time.sleep(0.2)\n        os._exit(0)\nreturn True",
        "seccomp",
    ),
    host(
        "daemon",
        "processes",
        "if os.fork() == 0:\n    os.setsid()\n    time.sleep(0.3)\n    open('FOLDER/daemon', 'w').close()\n    os._exit(0)\nreturn True",
    ),
    host("signal-runner", "processes", "os.kill(RUNNER, 0)\nreturn True"),
    host("signal-victim", "processes", "os.kill(VICTIM, 9)\nreturn True"),
    host("ptrace", "processes", "return ctypes.CDLL(None).ptrace(16, VICTIM, 0, 0) == 0"),
    host(
        "process-vm-read",
        "processes",
        "libc = ctypes.CDLL(None, use_errno=True)\nlibc.process_vm_readv(VICTIM, None, 0, None, 0, 0)\nreturn ctypes.get_errno() != 1",
        "seccomp",
    ),
    host("pidfd", "processes", "return os.pidfd_open(os.getpid()) > 0", "seccomp"),
]
KERNEL = [
    host("user-namespace", "kernel", "return ctypes.CDLL(None).unshare(0x10000000) == 0"),
    host("keyring", "kernel", "return ctypes.CDLL(None).syscall(250, 0, -3, 1) > 0", "seccomp", machine="x86_64"),
    host("userfaultfd", "kernel", "return ctypes.CDLL(None).syscall(323, 1) > 0", "seccomp", machine="x86_64"),
    host("message-queue", "kernel", "return ctypes.CDLL(None).msgget(0, 0o600 | 0o1000) >= 0", "seccomp"),
    host("shmget", "kernel", "return ctypes.CDLL(None).shmget(0, 4096, 0o600 | 0o1000) >= 0", "seccomp"),
    host(
        "raise-limit",
        "kernel",
        "import resource\nresource.setrlimit(resource.RLIMIT_CORE, (0, 0))\nreturn True",
        "seccomp",
    ),
    host("dumpable", "kernel", "return ctypes.CDLL(None).prctl(4, 1, 0, 0, 0) == 0", "seccomp"),
    host("new-filter", "kernel", "return ctypes.CDLL(None).prctl(38, 1, 0, 0, 0) == 0", "seccomp"),
    host("x32", "kernel", "return ctypes.CDLL(None).syscall(0x40000000 + 39) > 0", "own process", machine="x86_64"),
    host(
        "i386-entry",
        "kernel",
        "import mmap\n"
        "code = mmap.mmap(-1, 4096, prot=7)\n"
        "code.write(bytes.fromhex('53b814000000cd805bc3'))\n"
        "address = ctypes.addressof(ctypes.c_char.from_buffer(code))\n"
        "return ctypes.CFUNCTYPE(ctypes.c_int)(address)() > 0",
        "seccomp",
        machine="x86_64",
    ),
]
RESOURCES = [
    host("address-space", "limits", "import mmap\nreturn len(mmap.mmap(-1, 64 << 30, flags=0x4022)) > 0", "rlimits"),
    host("five-gibibytes", "limits", "import mmap\nreturn len(mmap.mmap(-1, 5 << 30, flags=0x4022)) > 0", "rlimits"),
    host(
        "thread-burst",
        "limits",
        "import threading\ngo = threading.Event()\nfor _ in range(400):\n    threading.Thread(target=go.wait, daemon=True).start()\ngo.set()\nreturn True",
        "rlimits",
    ),
    host("many-files", "limits", "files = [os.open('/dev/null', 0) for _ in range(200)]\nreturn True", "rlimits"),
    host("lock-memory", "limits", "return ctypes.CDLL(None).mlockall(1) == 0", "tier"),
]
INSIDE = [
    Attack(
        "eq-object",
        "comparison",
        "class A:\n    def __eq__(self, o): return True\ndef add(x, y): return A()\n",
        "evalplus",
    ),
    Attack(
        "int-subclass-eq",
        "comparison",
        "class A(int):\n    def __eq__(self, o): return True\ndef add(x, y): return A(99)\n",
        "evalplus",
    ),
    Attack(
        "frame-read",
        "comparison",
        "import sys\ndef add(x, y):\n    f = sys._getframe()\n    while f:\n        l = f.f_locals\n"
        "        if 'expected' in l and 'i' in l: return l['expected'][l['i']]\n        f = f.f_back\n    return 99\n",
        "evalplus",
    ),
    Attack(
        "frame-overwrite",
        "comparison",
        "import sys\ndef add(x, y):\n    f = sys._getframe()\n    while f:\n        l = f.f_locals\n"
        "        if 'expected' in l and 'i' in l: l['expected'][l['i']] = 99\n        f = f.f_back\n    return 99\n",
        "evalplus",
    ),
    Attack(
        "shared-status",
        "comparison",
        "import sys, os\ndef add(x, y):\n    f = sys._getframe()\n    while f:\n        l = f.f_locals\n"
        "        if 'stat' in l and 'details' in l:\n            n = len(l['inputs'])\n            l['stat'].value = 0\n"
        "            l['progress'].value = n\n            for k in range(n): l['details'][k] = True\n"
        "            os._exit(0)\n        f = f.f_back\n    return 99\n",
        "evalplus",
    ),
    Attack(
        "gc-read",
        "comparison",
        "import gc\ndef add(x, y):\n    for o in gc.get_objects():\n"
        "        if type(o) is list and len(o) == 3 and all(type(v) is int for v in o) and o[:2] == [3, 7]:\n"
        "            return o[{(1, 2): 0, (3, 4): 1}.get((x, y), 2)]\n    return 99\n",
        "evalplus",
    ),
    Attack(
        "patch-builtins",
        "comparison",
        "import sys\ndef add(x, y):\n    m = sys.modules.get('evalplus.eval')\n    if m: m._SUCCESS = 0; m._FAILED = 0\n"
        "    import builtins\n    builtins.AssertionError = builtins.Exception\n    f = sys._getframe().f_back\n"
        "    while f:\n        if 'details' in f.f_locals:\n            f.f_locals['details'].__class__.__setitem__ = lambda *a: None\n"
        "            for k in range(3): f.f_locals['details'].get_obj()[k] = 1\n            f.f_locals['progress'].value = 3\n"
        "            f.f_locals['stat'].value = 0\n            import os; os._exit(0)\n        f = f.f_back\n    return 99\n",
        "evalplus",
    ),
]
PROTOCOL = [
    Attack("exit-import", "protocol", "raise SystemExit(0)\n", "naive"),
    Attack("exit-call", "protocol", "def add(x, y): raise SystemExit(0)\n", "naive"),
    Attack("os-exit-zero", "protocol", "import os\ndef add(x, y): os._exit(0)\n", "naive"),
    Attack(
        "exit-after-first",
        "protocol",
        "import os\nN = []\ndef add(x, y):\n    N.append(1)\n    if len(N) > 1: os._exit(0)\n    return x + y\n",
        "naive",
    ),
    Attack(
        "write-all-fds",
        "protocol",
        "import os\ndef add(x, y):\n    for fd in range(64):\n        try: os.write(fd, b'PASS\\n' * 9)\n        except OSError: pass\n    return 99\n",
        "naive",
    ),
    Attack(
        "forged-end",
        "protocol",
        "import os, struct\ndef add(x, y):\n    os.write(3, struct.pack('>cIf', b'.', 0, 0.0))\n    os._exit(0)\n",
        "naive",
    ),
    Attack(
        "forged-surplus",
        "protocol",
        "import os, struct\ndef add(x, y):\n    for _ in range(9): os.write(3, struct.pack('>cIf', b'V', 2, 0.0) + b'99')\n    return 99\n",
        "naive",
    ),
    Attack(
        "forged-length",
        "protocol",
        "import os, struct\ndef add(x, y):\n    os.write(3, struct.pack('>cIf', b'V', 2**32 - 1, 0.0) + b'9' * 99)\n    return 99\n",
        "naive",
    ),
    Attack(
        "stdout-report",
        "protocol",
        "print('{\"status\": \"pass\"}', flush=True)\ndef add(x, y): return print('pass') or 99\n",
        "naive",
    ),
    Attack(
        "atexit-late",
        "protocol",
        "import atexit, os\natexit.register(lambda: os.write(3, b'late'))\ndef add(x, y): return 99\n",
        "naive",
    ),
    Attack(
        "thread-late",
        "protocol",
        "import os, threading, time\ndef late():\n    while True:\n        os.write(3, b'late'); time.sleep(0.001)\nthreading.Thread(target=late, daemon=True).start()\ndef add(x, y): return 99\n",
        "naive",
    ),
    Attack("close-fds", "protocol", "import os\ndef add(x, y):\n    os.closerange(0, 64)\n    return x + y\n", "naive"),
    Attack("tag-injection", "codec", "def add(x, y): return ['I', hex(x + y)]\n", "naive"),
    Attack("text-injection", "codec", "def add(x, y): return str(x + y)\n", "naive"),
    Attack(
        "pickle-reduce",
        "codec",
        "import os\nclass A:\n    def __reduce__(self): return (os.mkdir, ('FOLDER/pickled',))\ndef add(x, y): return A()\n",
        "naive",
    ),
    Attack(
        "repr-eval",
        "codec",
        "class A:\n    def __repr__(self): return \"open('FOLDER/evaluated', 'w')\"\ndef add(x, y): return A()\n",
        "naive",
    ),
    Attack("nan-answer", "codec", "def add(x, y): return float('nan')\n", "naive"),
    Attack(
        "deep-nesting",
        "codec",
        "def add(x, y):\n    a = []\n    for _ in range(100000): a = [a]\n    return a\n",
        "own process",
    ),
    Attack("cycle", "codec", "def add(x, y):\n    a = []\n    a.append(a)\n    return a\n", "own process"),
    Attack(
        "wide-graph",
        "codec",
        "def add(x, y):\n    a = [1]\n    for _ in range(150): a = [a, a]\n    return a\n",
        "own process",
    ),
    Attack("value-flood", "codec", "def add(x, y): return 'x' * (100 << 20)\n", "own process"),
    Attack(
        "frame-flood", "codec", "import os\ndef add(x, y):\n    while True: os.write(3, b'V' * 65536)\n", "own process"
    ),
    Attack(
        "stdout-flood",
        "codec",
        "def add(x, y):\n    for _ in range(100): print('x' * (1 << 20))\n    return 99\n",
        "own process",
    ),
    Attack(
        "base-exception",
        "codec",
        "class M(type):\n    @property\n    def __name__(self): raise SystemExit(0)\nclass E(BaseException, metaclass=M):\n    def __str__(self): raise E()\ndef add(x, y): raise E()\n",
        "own process",
    ),
    Attack("segfault", "crash", "import ctypes\ndef add(x, y): return ctypes.string_at(0)\n", "own process"),
    Attack(
        "stack-overflow",
        "crash",
        "import sys\nsys.setrecursionlimit(10**7)\nclass A:\n    def __getattr__(self, n): return getattr(self, n + 'x')\ndef add(x, y): return A().a\n",
        "own process",
    ),
    Attack("abort", "crash", "import os\ndef add(x, y): os.abort()\n", "own process"),
]
TIME = [
    Attack("busy-loop", "time", "def add(x, y):\n    while True: pass\n", "time"),
    Attack(
        "ignore-signals",
        "time",
        "import signal\nfor n in range(1, 60):\n    try: signal.signal(n, signal.SIG_IGN)\n    except (OSError, ValueError): pass\ndef add(x, y):\n    while True: pass\n",
        "time",
    ),
    Attack(
        "disarm-timer",
        "time",
        "import signal\ndef add(x, y):\n    signal.setitimer(signal.ITIMER_PROF, 0)\n    while True: pass\n",
        "time",
    ),
    Attack(
        "swallow-timeout",
        "time",
        "def add(x, y):\n    while True:\n        try:\n            while True: pass\n        except BaseException: pass\n",
        "time",
    ),
    Attack(
        "freeze-clocks",
        "time",
        "import time\nfor n in dir(time):\n    if callable(getattr(time, n)):\n        try: setattr(time, n, lambda *a: 0.0)\n        except Exception: pass\nimport signal\nsignal.setitimer(signal.ITIMER_PROF, 0)\ndef add(x, y):\n    while True: pass\n",
        "time",
    ),
    Attack("c-loop", "time", "def add(x, y): return sum(range(10**12))\n", "time"),
    Attack(
        "thread-loop",
        "time",
        "import threading\ndef spin():\n    while True: pass\ndef add(x, y):\n    threading.Thread(target=spin, daemon=True).start()\n    while True: pass\n",
        "time",
    ),
    Attack("import-loop", "time", "while True: pass\n", "time"),
    Attack("sleep", "time", "import time\ndef add(x, y): return time.sleep(3600)\n", "time"),
]
ATTACKS = [
    attack
    for group in (READING, WRITING, NETWORK, PROCESSES, KERNEL, RESOURCES, INSIDE, PROTOCOL, TIME)
    for attack in group
]

HONEST = {
    "plain": "def add(x, y):\n    return x + y\n",
    "float": "def add(x, y):\n    return float(x + y)\n",
    "fraction": "from fractions import Fraction\ndef add(x, y):\n    return Fraction(x) + y\n",
    "decimal": "from decimal import Decimal\ndef add(x, y):\n    return Decimal(x) + y\n",
    "numpy": "import numpy as np\ndef add(x, y):\n    return np.int64(x) + y\n",
    "int-subclass": "class A(int): pass\ndef add(x, y):\n    return A(x + y)\n",
    "complex": "def add(x, y):\n    return complex(x + y)\n",
    "threads": "import threading\ndef add(x, y):\n    r = []\n    t = threading.Thread(target=lambda: r.append(x + y))\n    t.start(); t.join()\n    return r[0]\n",
    "asyncio": "import asyncio\nasync def go(x, y): return x + y\ndef add(x, y):\n    return asyncio.run(go(x, y))\n",
    "prints": "def add(x, y):\n    print('hello', x, y)\n    return x + y\n",
    "stderr": "import sys\ndef add(x, y):\n    print(x, file=sys.stderr)\n    return x + y\n",
    "class": "class Adder:\n    def __call__(self, x, y): return x + y\nadd = Adder()\n",
    "lambda": "add = lambda x, y: x + y\n",
    "generator-sum": "def add(x, y):\n    return sum(v for v in (x, y))\n",
    "random-module": "import random, datetime, hashlib, re, json\ndef add(x, y):\n    random.random(); datetime.datetime.now(); hashlib.md5(b'x')\n    return x + y\n",
    "main-guard": "def add(x, y):\n    return x + y\nif __name__ == '__main__':\n    raise SystemExit(1)\n",
    "patches-print": "import builtins\nbuiltins.print = None\nbuiltins.len = lambda x: 0\ndef add(x, y):\n    return x + y\n",
    "recursion": "def add(x, y):\n    def down(n): return 0 if n == 0 else 1 + down(n - 1)\n    return x + y + down(900) - 900\n",
    "memory": "def add(x, y):\n    a = bytearray(200 << 20)\n    return x + y\n",
    "half-second": "import time\ndef add(x, y):\n    t = time.process_time()\n    while time.process_time() - t < 0.3: pass\n    return x + y\n",
}
