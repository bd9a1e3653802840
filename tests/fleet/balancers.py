"""HAProxy and nginx as processes, in front of two services."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from tests.support.processes import free_port
from tests.support.waiting import GUARD_S, until

HAPROXY = """
global
  stats socket {folder}/admin level admin
defaults
  mode http
  timeout connect 1s
  timeout client 30s
  timeout server 30s
  retries 3
  option redispatch
  retry-on conn-failure empty-response 503
frontend calls
  bind 127.0.0.1:{port} proto h2
  default_backend services
backend services
  balance roundrobin
{servers}
"""

NGINX = """
daemon off;
pid {folder}/pid;
error_log {folder}/errors;
worker_processes 1;
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  keepalive_requests 200;
  upstream services {{
{servers}
    keepalive 16;
  }}
  server {{
    listen 127.0.0.1:{port} http2;
    client_max_body_size 0;
    location / {{
      grpc_pass grpc://services;
      grpc_next_upstream error timeout http_502 http_503;
      grpc_connect_timeout 1s;
    }}
  }}
}}
"""


class Balancer:
    """A load balancer in front of services, by their names ``s0``, ``s1``, ….

    Args:
        folder: where it keeps its files.
        services: the addresses of the services.
    """

    program = ""

    def __init__(self, folder: Path, services: list[str]) -> None:
        self.folder = folder
        self.services = services
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        if shutil.which(self.program) is None:
            pytest.skip(f"{self.program} is not installed; .ci/run installs it")

    async def __aenter__(self) -> Balancer:
        self.write()
        self.process = subprocess.Popen(  # noqa: ASYNC220 - it does not block for long
            self.command(), stderr=subprocess.DEVNULL
        )
        await until(self.accepts)
        return self

    async def __aexit__(self, *_: object) -> None:
        # Killed at once, nginx would leave its workers behind.
        self.process.terminate()
        await asyncio.to_thread(self.process.wait, GUARD_S)

    def accepts(self) -> bool:
        """Whether it accepts connections."""
        assert self.process.poll() is None, "it did not start"
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def write(self, drained: int | None = None) -> None:
        """Write the configuration."""
        raise NotImplementedError

    def command(self) -> list[str]:
        """The command that runs it."""
        raise NotImplementedError

    async def drain(self, number: int) -> None:
        """Send nothing new to a service; what is open there goes on."""
        raise NotImplementedError


class HAProxy(Balancer):
    """HAProxy; its admin socket drains a service."""

    program = "haproxy"

    def write(self, drained: int | None = None) -> None:
        servers = "\n".join(
            f"  server s{n} {address} proto h2 check inter 50ms fall 1 rise 1"
            for n, address in enumerate(self.services)
        )
        text = HAPROXY.format(folder=self.folder, port=self.port, servers=servers)
        (self.folder / "haproxy.cfg").write_text(text)

    def command(self) -> list[str]:
        return ["haproxy", "-db", "-q", "-f", str(self.folder / "haproxy.cfg")]

    async def drain(self, number: int) -> None:
        reader, writer = await asyncio.open_unix_connection(str(self.folder / "admin"))
        writer.write(f"set server services/s{number} state drain\n".encode())
        assert not (await reader.read()).strip()
        writer.close()


class Nginx(Balancer):
    """nginx; a new configuration drains a service, and replaces the workers."""

    program = "nginx"

    def write(self, drained: int | None = None) -> None:
        servers = "\n".join(
            f"    server {address} {'down' if n == drained else 'max_fails=0'};"
            for n, address in enumerate(self.services)
        )
        text = NGINX.format(folder=self.folder, port=self.port, servers=servers)
        (self.folder / "nginx.conf").write_text(text)

    def command(self) -> list[str]:
        return ["nginx", "-p", str(self.folder), "-c", str(self.folder / "nginx.conf")]

    async def drain(self, number: int) -> None:
        self.write(drained=number)
        await asyncio.to_thread(
            subprocess.run,
            [*self.command(), "-s", "reload"],
            check=True,
            stderr=subprocess.DEVNULL,
        )
