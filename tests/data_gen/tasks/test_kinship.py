"""`kinship`: the table of compositions against the definitions, on whole families; stories, patterns and splits."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from data_gen.errors import UserError
from data_gen.records.problem import Problem
from data_gen.records.verdict import Answer, Verdict
from data_gen.tasks import kinship
from data_gen.tasks.families import COMPOSED, SAID, Person, family, walk
from data_gen.tasks.kinship import MEN, WOMEN, Kinship
from tests.benchmark_data import built

SMALL = Kinship(uses="kinship", train=150, explore=10, dev=10, test=150)
PROBLEMS = [problem for split in SMALL.splits() for problem in SMALL.problems(split)]
FACT = re.compile(r"(\w+) is the ([\w-]+) of (\w+)\.")


def of(kind: str, people: Iterable[Person]) -> list[Person]:
    return [other for person in people for other in person.related(kind)]


def all_of(kind: str, one: Person) -> list[Person]:
    """Everybody who is of a kind to a person, by the definition of the kind."""
    defined = {
        "parent": one.related("parent"),
        "child": one.related("child"),
        "sibling": one.related("sibling"),
        "spouse": one.related("spouse"),
        "grandparent": of("parent", one.related("parent")),
        "grandchild": of("child", one.related("child")),
        "pibling": of("sibling", one.related("parent")),
        "nibling": of("child", [*one.related("sibling"), *of("sibling", one.related("spouse"))]),
        "cousin": of("child", of("sibling", one.related("parent"))),
        "parent_in_law": of("parent", one.related("spouse")),
        "child_in_law": of("spouse", one.related("child")),
        "sibling_in_law": [*of("spouse", one.related("sibling")), *of("sibling", one.related("spouse"))],
    }
    return defined[kind]


@given(st.integers(0, 10**6), st.integers(1, 8))
def test_compositions_are_what_the_definitions_say(seed: int, length: int) -> None:
    rng = random.Random(seed)
    people = family(rng)
    found = walk(people, length, rng)
    if found is None:
        return
    path, steps, kinds = found
    assert len(path) == len(set(map(id, path))) == length + 1
    for i, step in enumerate(steps):
        assert path[i + 1] in path[i].related(step)
        assert path[i + 1] in all_of(kinds[i], path[0])


def test_every_composition_of_the_table_occurs_and_none_is_ambiguous() -> None:
    """On 100 families: of all who are the b of somebody's a, every one is to that person what the table says."""
    seen = set[tuple[str, str]]()
    for seed in range(100):
        for person in family(random.Random(seed)):
            for a, row in COMPOSED.items():
                for between in all_of(a, person):
                    for b, result in row.items():
                        for other in between.related(b):
                            if other is not person:
                                seen.add((a, b))
                                assert any(other is one for one in all_of(result, person)), (a, b, result)
    assert seen == {(a, b) for a, row in COMPOSED.items() for b in row}


def test_families_are_what_they_claim() -> None:
    for seed in range(50):
        people = family(random.Random(seed))
        for person in people:
            assert person.spouse is None or (person.spouse.spouse is person and person.spouse.male != person.male)
            assert all(person in parent.children for parent in person.parents)
            assert all(person in child.parents for child in person.children)


def retold(problem: Problem) -> str:
    """The answer from the story alone: the facts are followed from the last name of the question."""
    asked = re.search(r"What is (\w+) to (\w+)\?", problem.question)
    assert asked is not None
    kinds = {called: kind for kind, pair in SAID.items() for called in pair}
    facts = FACT.findall(problem.question)
    found: dict[str, str] = {asked[2]: ""}
    # Every fact leads from a known person to a new one.
    while asked[1] not in found:
        one, called, _ = next(f for f in facts if f[2] in found and f[0] not in found)
        before = found[next(f for f in facts if f[0] == one)[2]]
        found[one] = COMPOSED[before][kinds[called]] if before else kinds[called]
    return SAID[found[asked[1]]][asked[1] in MEN]


def test_gold_follows_from_the_story() -> None:
    for problem in PROBLEMS:
        assert retold(problem) == problem.gold
        assert problem.gold_steps[-1].split(" the ")[1].startswith(f"{problem.gold} of ")
        assert SMALL.grade(problem, Answer(problem.gold)).verdict is Verdict.CORRECT
        assert SMALL.grade(problem, Answer("neighbour")).verdict is Verdict.WRONG


def test_patterns_and_lengths_that_the_test_alone_has() -> None:
    patterns: dict[str, set[tuple[str, ...]]] = {split: set() for split in SMALL.splits()}
    for problem in PROBLEMS:
        facts = FACT.findall(problem.question)
        kinds = {called: kind for kind, pair in SAID.items() for called in pair}
        patterns[problem.split].add(tuple(kinds[called] for _, called, _ in facts))
        assert problem.tags["relations"] == str(len(facts)) == str(len(problem.gold_steps) + 1)
    assert {len(p) for p in patterns["train"]} == {2, 3} and {len(p) for p in patterns["test"]} == {2, 3, 4, 5, 6}
    assert not any(SMALL.is_held_out(p) for split in ("train", "explore", "dev") for p in patterns[split])
    tags = {p.tags["pattern"] for p in PROBLEMS if p.split == "test"}
    assert tags == {"seen", "held out", "longer"}
    assert {p.tags["pattern"] for p in PROBLEMS if p.split != "test"} == {"seen"}
    assert not Kinship(uses="kinship", held_out=0).is_held_out(("sibling", "child"))


def test_facts_that_do_not_matter_bring_new_people_and_no_short_cut() -> None:
    plain = Kinship(uses="kinship", test=0)
    more = Kinship(uses="kinship", test=20, extra=6, shuffle=True, test_relations=(6, 6))
    shuffled = 0
    for problem in more.problems("test"):
        facts = FACT.findall(problem.question)
        assert 6 <= len(facts) <= 12 and len({one for one, _, _ in facts}) == len(facts)
        shuffled += facts[0][2] != re.search(r" to (\w+)\?", problem.question)[1]  # type: ignore[index]
        assert plain.grade(problem, Answer(problem.gold)).verdict is Verdict.CORRECT
    assert shuffled > 10


def test_a_table_that_is_held_out_as_a_whole_leaves_nothing_to_train_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kinship, "MOST_DRAWS", 100)
    made = Kinship(uses="kinship", held_out=0.999999, train=1, test=1)
    with pytest.raises(UserError, match=r"task\.train: kinship made no problem of these settings"):
        list(made.problems("train"))
    assert len(list(made.problems("test"))) == 1


def test_steps_are_checked_line_by_line() -> None:
    problem = next(p for p in PROBLEMS if len(p.gold_steps) == 3)
    gold = list(problem.gold_steps)
    assert SMALL.check_steps(problem, gold) == (True, True, True)
    assert SMALL.check_steps(problem, gold[:1]) == (True, False, False)
    assert SMALL.check_steps(problem, [*gold, "more"]) == (True, True, True, False)
    assert SMALL.check_steps(problem, gold[::-1]) == (False, True, False)


def test_the_vocabulary_is_closed() -> None:
    known = set(SMALL.vocabulary())
    texts = [text for p in PROBLEMS for text in (p.question, *p.gold_steps, f"Answer: {p.gold}")]
    assert {piece for text in texts for piece in re.findall(r"[A-Za-z]+|[^\sA-Za-z]", text)} <= known
    assert len(set(WOMEN) | set(MEN)) == len(WOMEN) + len(MEN) == 32


@pytest.mark.parametrize("dials", [{"relations": [1, 2]}, {"relations": [3, 2]}, {"test_relations": [2, 9]}])
def test_chains_of_other_lengths_are_refused(dials: dict[str, list[int]]) -> None:
    with pytest.raises(ValidationError, match=rf"{next(iter(dials))}: expected \[low, high\]"):
        Kinship.model_validate({"uses": "kinship", **dials})


def test_the_shipped_config() -> None:
    assert [p.split for p in built("kinship", test=2).problems("test")] == ["test", "test"]
