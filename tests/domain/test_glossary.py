"""The glossary holds every word that the program knows, under the name of its set."""

import runpy
from enum import StrEnum
from pathlib import Path

import pytest

from domain import attention, risk, vocabulary

ROOT = Path(__file__).parents[2]
GLOSSARY = (ROOT / "docs" / "glossary.md").read_text()
SETS = [
    *(kind for kind in vars(vocabulary).values() if isinstance(kind, type) and issubclass(kind, StrEnum)),
    attention.AttentionCode,
    risk.RiskRule,
]


@pytest.mark.parametrize("kind", [kind for kind in SETS if kind is not StrEnum], ids=lambda kind: kind.__name__)
def test_every_value_stands_in_the_glossary_under_its_set(kind: type[StrEnum]):
    section = GLOSSARY.split(f"### {kind.__name__}\n", 1)[1].split("\n### ", 1)[0]

    assert [member.value for member in kind if f"`{member.value}`" not in section] == []


@pytest.mark.parametrize("code", list(attention.AttentionCode))
def test_the_glossary_names_the_owner_and_the_time_of_every_case(code: attention.AttentionCode):
    (row,) = (line for line in GLOSSARY.splitlines() if line.startswith(f"| `{code.value}` |"))
    rule = attention.CASES[code]

    assert f"| {rule.owner.value} | {int(rule.allowed.total_seconds() // 3600)} h |" in row


def test_the_page_of_commands_is_what_the_tables_say():
    generated = runpy.run_path(str(ROOT / "docs" / "generate_commands.py"))

    assert (ROOT / "docs" / "commands.md").read_text() == generated["render"](), (
        "run `python docs/generate_commands.py`"
    )
