"""Inputs and surroundings that were once answered wrongly, each with its right answer.

`python -m tests.cases [ID ...]` prints what happens now; pytest holds it. A module of this package
holds the cases of one subject: add to its list what should never happen again, small files to
`files/ID/`.
"""

from tests.cases import examined, imported, surroundings, trained
from tests.cases.case import Case

CASES: list[Case] = [
    case for module in (imported, examined, trained, surroundings) for case in module.CASES
]
