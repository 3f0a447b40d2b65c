"""Ports of rendezvous: by the job's number, free, below those that systems give out."""

from __future__ import annotations

import socket

import pytest

from launch.ports import COUNT, FIRST, free_port


def test_jobs_look_for_different_ports() -> None:
    ports = [free_port(job) for job in range(100, 200)]
    assert len(set(ports)) == 100
    assert all(FIRST <= port < FIRST + COUNT <= 32768 for port in ports)


def test_a_port_that_is_taken_is_passed_over() -> None:
    with socket.socket() as other:
        other.bind(("", free_port(4711)))
        other.listen()
        taken = other.getsockname()[1]
        assert free_port(4711) != taken


def test_another_try_begins_elsewhere() -> None:
    assert free_port(4711, 1) != free_port(4711, 0)


def test_none_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("launch.ports._free", lambda port: False)
    with pytest.raises(RuntimeError, match="no free port from 20000 to 31999"):
        free_port(1)
