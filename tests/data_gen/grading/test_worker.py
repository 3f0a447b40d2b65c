"""The process that judges answers: what ends it, and what its end does to its parent."""

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from data_gen.errors import UserError
from data_gen.grading import worker
from data_gen.grading.checker import Checker
from data_gen.records.verdict import Grade, Verdict

RIGHT = Grade(Verdict.CORRECT, "formula")
HANGS = "9^{9^{9^{9}}}"
"""A power that big-number arithmetic would work on for ever."""


@pytest.fixture
def checker() -> Checker:
    return Checker(cpu_seconds=1.0)


def test_a_number_too_large_to_compute_is_wrong_at_once_and_the_next_comparison_works(checker: Checker) -> None:
    assert checker.compare("10", HANGS) == Grade(Verdict.WRONG, "formula")
    assert [checker.compare("\\sqrt{4}", "2"), checker.compare("\\sqrt{4}", "3").verdict] == [RIGHT, Verdict.WRONG]


def test_gold_that_hangs_or_is_garbled_is_not_read_and_is_asked_about_once(checker: Checker) -> None:
    assert [checker.reads(text) for text in (HANGS, "\\frac{1}{", "\\sqrt{2}")] == [False, False, True]
    first = checker.worker.process
    assert not checker.reads(HANGS)
    assert checker.worker.process is first


def test_one_process_serves_many_comparisons() -> None:
    checker = Checker()
    checker.compare("\\sqrt{4}", "2")
    first = checker.worker.process
    checker.compare("\\sqrt{9}", "3")
    assert first is not None and checker.worker.process is first


@pytest.mark.parametrize("gone", [False, True])
def test_a_killed_worker_is_replaced_and_asked_again(gone: bool) -> None:
    """Whether it dies with the question or was dead before."""
    checker = Checker()
    checker.compare("\\sqrt{4}", "2")
    assert checker.worker.process is not None
    checker.worker.process.kill()
    if gone:
        checker.worker.process.wait()
    assert checker.compare("\\sqrt{4}", "2") == RIGHT


def test_a_worker_killed_before_it_is_ready_is_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    import data_gen.limited_worker as module

    spawn, left = module._spawn, [signal.SIGKILL, signal.SIGTERM]

    def spawn_and_kill(name: str) -> subprocess.Popen[str]:
        process = spawn(name)
        if left:
            process.send_signal(left.pop())
        return process

    monkeypatch.setattr(module, "_spawn", spawn_and_kill)
    assert Checker().compare("\\sqrt{4}", "2") == RIGHT
    left += [signal.SIGKILL] * module.TRIES
    with pytest.raises(UserError, match=r"did not start \(exit status -9\)"):
        Checker().compare("\\sqrt{4}", "2")


def test_many_threads_get_each_their_own_reply() -> None:
    checker = Checker()
    with ThreadPoolExecutor(8) as pool:
        grades = list(
            pool.map(lambda n: checker.compare(f"\\sqrt{{{n * n}}}", str(n if n % 2 else n + 1)), range(1, 25))
        )
    assert [g.verdict is Verdict.CORRECT for g in grades] == [bool(n % 2) for n in range(1, 25)]


def test_a_forked_child_gets_a_worker_of_its_own() -> None:
    program = """
import os, sys
from data_gen.grading import checker
right = checker.compare("\\\\sqrt{4}", "2")
parents = checker._CHECKER.worker.process.pid
child = os.fork()
if child == 0:
    ok = checker._CHECKER.worker.process is None and checker.compare("\\\\sqrt{4}", "2") == right
    os._exit(0 if ok and checker._CHECKER.worker.process.pid != parents else 1)
status = os.waitpid(child, 0)[1]
ok = checker.compare("\\\\sqrt{9}", "3") == right and checker._CHECKER.worker.process.pid == parents
sys.exit(0 if ok and status == 0 else 1)
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_the_worker_ends_with_its_parent() -> None:
    program = (
        "import os; from data_gen.grading import checker; checker.compare('x', '2 x'); "
        "print(checker._CHECKER.worker.process.pid, flush=True);"
        "os.kill(os.getpid(), 9)"
    )
    worker = int(subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, check=False).stdout)
    for _ in range(300):
        if not _runs(worker):
            return
        time.sleep(0.1)
    pytest.fail(f"worker {worker} outlives its parent by half a minute")


def test_an_interrupted_question_does_not_leave_its_reply_to_the_next(
    checker: Checker, monkeypatch: pytest.MonkeyPatch
) -> None:
    import data_gen.limited_worker as module

    checker = Checker()
    checker.compare("\\sqrt{4}", "2")
    with monkeypatch.context() as patched:
        patched.setattr(module, "_read", lambda process: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            checker.compare("\\sqrt{4}", "3")
    assert checker.compare("\\sqrt{4}", "2") == RIGHT


def test_a_worker_that_cannot_start_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    (tmp_path / "mpmath.py").write_text("raise ImportError('no such library')")  # type: ignore[operator]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.getcwd()]))
    with pytest.raises(UserError, match=r"did not start \(ImportError: no such library\)\. Reinstall with"):
        Checker().compare("x", "y")


def test_a_thread_other_than_the_main_one_may_ask() -> None:
    grades: list[Grade] = []
    thread = threading.Thread(target=lambda: grades.append(Checker().compare("\\sqrt{4}", "2")))
    thread.start()
    thread.join()
    assert grades == [RIGHT]


def score_list(checker: Checker, answer: str) -> Grade:
    """Judgement by a scorer that hands the answer to `eval`."""
    return checker.score("string_insertion", "{}", {"answer": "ABC"}, answer)


SCORED = Grade(Verdict.CORRECT, "generator")
UNLIKE = Grade(Verdict.WRONG, "generator")


def test_both_kinds_of_question_go_to_one_process() -> None:
    checker = Checker()
    assert [score_list(checker, "ABC"), checker.compare("\\sqrt{4}", "2"), score_list(checker, "ABD")] == [
        SCORED,
        RIGHT,
        UNLIKE,
    ]


def test_loading_a_generator_takes_nothing_from_the_time_of_the_answer() -> None:
    assert score_list(Checker(cpu_seconds=0.2), "ABC") == SCORED


@pytest.mark.parametrize(
    "answer",
    ["""print('{"verdict": "correct", "reason": "forged"}', flush=True)""", "open(1, 'w').write('{}\\n')", "input()"],
)
def test_an_evaluated_answer_reaches_neither_replies_nor_questions(answer: str) -> None:
    checker = Checker()
    assert [score_list(checker, answer), score_list(checker, "ABC"), score_list(checker, "ABD")] == [
        UNLIKE,
        SCORED,
        UNLIKE,
    ]


@pytest.mark.parametrize(
    "answer", ["exit()", "__import__('os')._exit(0)", "__import__('os').kill(__import__('os').getpid(), 11)"]
)
def test_an_answer_that_ends_the_process_is_wrong_and_the_next_is_judged(answer: str) -> None:
    checker = Checker()
    assert [score_list(checker, answer), score_list(checker, "ABC")] == [
        Grade(Verdict.WRONG, "checker_died"),
        SCORED,
    ]


def test_an_evaluated_answer_that_loops_times_out_and_the_next_is_judged() -> None:
    checker = Checker(cpu_seconds=0.5)
    assert [score_list(checker, "[0 for _ in iter(int, 1)]"), score_list(checker, "ABC")] == [
        Grade(Verdict.WRONG, "timeout"),
        SCORED,
    ]


def test_an_unknown_generator_is_the_users_mistake_and_leaves_the_process_alive() -> None:
    checker = Checker()
    score_list(checker, "ABC")
    first = checker.worker.process
    with pytest.raises(
        UserError, match=r"task\.generator: reasoning-gym has no generator 'chain_summ'\. Did you mean 'chain_sum'\?"
    ):
        checker.score("chain_summ", "{}", {}, "1")
    assert score_list(checker, "ABC") == SCORED
    assert checker.worker.process is first


def test_a_scorer_out_of_memory_is_not_a_wrong_answer() -> None:
    def hungry(answer: str, entry: dict[str, Any]) -> float:
        raise MemoryError

    with pytest.raises(MemoryError):
        worker.score(hungry, {}, "1")


def _runs(pid: int) -> bool:
    """Whether a process does more than wait to be reaped."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
