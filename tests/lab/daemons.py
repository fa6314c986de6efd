"""The programs of the lab: how a btcd and an lnd are started, asked and killed.

Every process is found again by its command line and not by a remembered pid, since a test may have
killed an lnd and started it anew.
"""

import json
import os
import random
import secrets
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

BIN = Path(__file__).resolve().parent / "bin"
# The network is up in some 12 s on two idle cores; beside a compiler it may take a few times that.
START_LIMIT_S = 120


class LabError(Exception):
    """Something that ends the start, in words for a person."""


def wait(what, processes, condition):
    """Polls until `condition` holds; gives up early when a daemon has died."""
    deadline = time.monotonic() + START_LIMIT_S
    while not condition():
        for process in processes:
            if process.poll() is not None:
                raise LabError(f"{what}: {process.args[0]} ended with {process.returncode}")
        if time.monotonic() > deadline:
            raise LabError(f"{what}: not within {START_LIMIT_S} s")
        time.sleep(0.1)


def spawn(argv, log_file):
    """Starts a daemon in a session of its own, so that Ctrl-C reaches the harness alone."""
    with open(log_file, "ab") as out:
        return subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def running(directory, name):
    """The pids of this lab's `name` (lnd or btcd), told by program and directory."""
    program, inside = str(BIN / name), f"{directory}/"
    pids = []
    for proc in Path("/proc").iterdir():
        if not proc.name.isdigit():
            continue
        try:
            argv = (proc / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:  # It ended while we looked.
            continue
        if argv[0] == program and any(inside in arg for arg in argv[1:]):
            pids.append(int(proc.name))
    return pids


def kill_all(directory, name):
    """Kills and waits, since a port or a database is free only once its owner is gone."""
    deadline = time.monotonic() + 20
    while pids := running(directory, name):
        if time.monotonic() > deadline:
            raise LabError(f"{name} {pids} does not die")
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.05)


def free_ports(count):
    """Free ports below the range from which the kernel serves outgoing connections.

    From that range another connection could take the port of an lnd while a test has it stopped.
    """
    try:
        first_outgoing = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except OSError:
        first_outgoing = 32768
    held = []
    while len(held) < count:
        candidate = socket.socket()
        port = random.randrange(10_240, first_outgoing) if first_outgoing > 11_240 else 0
        try:
            candidate.bind(("127.0.0.1", port))
        except OSError:
            candidate.close()
        else:
            held.append(candidate)
    ports = [sock.getsockname()[1] for sock in held]
    for sock in held:
        sock.close()
    return ports


@dataclass
class Btcd:
    """The chain. Not part of any test by itself, except that tests mine blocks."""

    directory: Path
    rpc: int
    p2p: int
    password: str = field(default_factory=lambda: secrets.token_hex(16))
    process: subprocess.Popen = None

    @property
    def cert(self):
        return self.directory / "rpc.cert"

    @property
    def no_config(self):
        # Without a file of its own it would read the user's.
        return self.directory / "empty.conf"

    def start(self, *more):
        self.directory.mkdir(exist_ok=True)
        self.no_config.touch()
        argv = [
            str(BIN / "btcd"),
            *(f"--configfile={self.no_config}", "--regtest", "--txindex"),
            *("--nobanning", "--nostalldetect"),
            f"--datadir={self.directory}/data",
            f"--logdir={self.directory}/logs",
            *("--rpcuser=lab", f"--rpcpass={self.password}"),
            f"--rpccert={self.cert}",
            f"--rpckey={self.directory}/rpc.key",
            f"--rpclisten=127.0.0.1:{self.rpc}",
            f"--listen=127.0.0.1:{self.p2p}",
            *more,
        ]
        self.process = spawn(argv, self.directory / "btcd.log")
        self.wait_until_up()

    def restart(self, *more):
        self.process.terminate()
        self.process.wait(timeout=20)
        self.start(*more)

    def wait_until_up(self):
        wait("btcd", [self.process], lambda: self.try_ctl("getblockcount") is not None)

    def ctl_argv(self):
        return [
            str(BIN / "btcctl"),
            *("-C", str(self.no_config), "--regtest"),
            *("-u", "lab", "-P", self.password),
            *("-s", f"127.0.0.1:{self.rpc}", "-c", str(self.cert)),
        ]

    def try_ctl(self, *args):
        done = subprocess.run([*self.ctl_argv(), *args], capture_output=True, text=True, timeout=30)
        return done.stdout if done.returncode == 0 else None

    def mine(self, blocks):
        if self.try_ctl("generate", str(blocks)) is None:
            raise LabError(f"btcd did not mine {blocks} blocks")


@dataclass
class Lnd:
    """One Lightning node."""

    name: str
    directory: Path
    rpc: int
    p2p: int
    btcd: Btcd
    process: subprocess.Popen = None
    pubkey: str = ""

    @property
    def tls_cert(self):
        return self.directory / "tls.cert"

    @property
    def admin_macaroon(self):
        return self.directory / "data/chain/bitcoin/regtest/admin.macaroon"

    def argv(self):
        """The whole command line: run again, it is the same node with the same data and ports."""
        return [
            str(BIN / "lnd"),
            f"--lnddir={self.directory}",
            *("--bitcoin.regtest", "--bitcoin.node=btcd"),
            f"--btcd.rpchost=127.0.0.1:{self.btcd.rpc}",
            *("--btcd.rpcuser=lab", f"--btcd.rpcpass={self.btcd.password}"),
            f"--btcd.rpccert={self.btcd.cert}",
            *("--noseedbackup", "--nobootstrap", "--norest", "--tlsdisableautofill"),
            *("--bitcoin.defaultchanconfs=1", "--trickledelay=50"),
            f"--alias={self.name}",
            # Told to the others, so that whichever node is started again can dial its peer. Without
            # it the payee, killed soon after the payer's start, was not connected again in 10 minutes.
            f"--externalip=127.0.0.1:{self.p2p}",
            f"--listen=127.0.0.1:{self.p2p}",
            f"--rpclisten=127.0.0.1:{self.rpc}",
        ]

    def start(self):
        self.directory.mkdir(exist_ok=True)
        self.process = spawn(self.argv(), self.directory / "lnd.log")

    def cli_argv(self):
        return [
            str(BIN / "lncli"),
            *(f"--lnddir={self.directory}", "--network=regtest"),
            f"--rpcserver=127.0.0.1:{self.rpc}",
        ]

    def try_cli(self, *args):
        """The parsed answer, or None when lnd refuses or is not up yet."""
        done = subprocess.run([*self.cli_argv(), *args], capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            return None
        return json.loads(done.stdout) if done.stdout.lstrip().startswith("{") else {}

    def rpc_active(self):
        # Not SERVER_ACTIVE: an empty chain counts as unsynced, and that would wait for ever.
        state = (self.try_cli("state") or {}).get("state")
        return state in ("RPC_ACTIVE", "SERVER_ACTIVE")

    def synced(self):
        info = self.try_cli("getinfo") or {}
        self.pubkey = info.get("identity_pubkey", "")
        return bool(info.get("synced_to_chain"))

    def has_active_channel(self):
        return bool((self.try_cli("listchannels", "--active_only") or {}).get("channels"))

    def finds_route_to(self, payee, sat):
        return self.try_cli("queryroutes", f"--dest={payee.pubkey}", f"--amt={sat}") is not None

    def described(self):
        return {
            "rpc": f"127.0.0.1:{self.rpc}",
            "p2p": f"127.0.0.1:{self.p2p}",
            "tls_cert": str(self.tls_cert),
            "admin_macaroon": str(self.admin_macaroon),
            "lnddir": str(self.directory),
            "pubkey": self.pubkey,
            "pid": self.process.pid,
            "argv": self.argv(),
            "lncli": self.cli_argv(),
            "log": str(self.directory / "lnd.log"),
        }
