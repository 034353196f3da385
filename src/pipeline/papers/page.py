"""The lines of a paper's table as text, in Markdown, and as a page."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from string import ascii_lowercase

import jinja2

from pipeline.papers.lines import Line
from pipeline.papers.paper import Paper
from pipeline.papers.scores import Value
from pipeline.papers.verdict import NARROW, NOT_COMPARABLE, NOT_RUN
from pipeline.words import in_columns

COLUMNS = ("row", "score", "reported", "ours", "95 % interval", "tested", "seeds", "honest split", "gap", "verdict")
LEGEND = (
    "ours: mean over seeds; the interval is of other recordings (bootstrap over the units tested) and of other seeds "
    "(Student's t), added as independent errors. honest split: the same row, its test side kept apart from training as "
    "the paper's was not; gap: how much higher the paper's split scores. reproduced: the reported number lies in "
    f"the interval, whose half-width is at most {NARROW}; inconclusive: in a wider one; higher, lower: ours is. "
    "Letters: what was not as in the paper; such a line is not comparable, and no reproduction."
)


class Notes:
    """Letters for what differed, each text once, in the order in which they come."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}

    def letters(self, texts: Sequence[str]) -> str:
        """Give the letters of some texts in their order, a new one for each new text."""
        given = [self.texts.setdefault(text, _letter(len(self.texts))) for text in texts]
        return ",".join(sorted(given, key=lambda letter: (len(letter), letter)))


def _letter(n: int) -> str:
    return ascii_lowercase[n] if n < len(ascii_lowercase) else _letter(n // 26 - 1) + ascii_lowercase[n % 26]


def cells(line: Line, notes: Notes) -> tuple[str, ...]:
    """Write one line's cells, in the order of COLUMNS."""
    verdict = line.verdict
    if line.differs:
        verdict += f" [{notes.letters(line.differs)}]"
    if line.verdict == NOT_RUN:
        verdict += f" [{notes.letters([line.reason])}]"
    return (
        line.row,
        line.score,
        _number(line.claim, signed="less that of" in line.where),
        _number(line.ours.value if line.ours else None, signed="less that of" in line.where),
        _interval(line.ours),
        line.tested or "-",
        str(line.n_seeds or "-"),
        _honest(line, notes),
        f"{line.gap.value:+.2f} ({_interval(line.gap, signed=True)})" if line.gap else "-",
        verdict,
    )


def _honest(line: Line, notes: Notes) -> str:
    if line.honest:
        return f"{_number(line.honest.value)} ({_interval(line.honest)})"
    return f"failed [{notes.letters([line.honest_reason])}]" if line.honest_reason else "-"


def _number(value: float | None, *, signed: bool = False) -> str:
    if value is None:
        return "-"
    return f"{value:+.3f}" if signed else f"{value:.3f}"


def _interval(value: Value | None, *, signed: bool = False) -> str:
    if value is None or value.low is None or value.high is None:
        return "-"
    return f"{value.low:+.2f} to {value.high:+.2f}" if signed else f"{value.low:.2f} to {value.high:.2f}"


def as_text(paper: Paper, lines: Sequence[Line]) -> str:
    """Lay a paper's table out for a terminal."""
    notes = Notes()
    rows = [COLUMNS, *(cells(line, notes) for line in lines)]
    table = in_columns(rows)
    heading = f"{paper.citation}: {paper.title}"
    told = [f"[{letter}] {text}" for text, letter in notes.texts.items()]
    text = "\n".join([heading, "", table[0], "-" * max(map(len, table)), *table[1:], "", *told])
    return "".join(sign if sign.isprintable() or sign == "\n" else "?" for sign in text).rstrip()


def as_markdown(name: str, paper: Paper, lines: Sequence[Line]) -> str:
    """Write a paper's section: its table, what differed, and its notes."""
    notes = Notes()
    rows = [cells(line, notes) for line in lines]
    parts = [f"## {name}", "", f"{paper.citation}: *{paper.title}*", ""]
    parts += [f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|"]
    parts += [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]
    if notes.texts:
        parts += ["", *(f"- [{letter}] {text}" for text, letter in notes.texts.items())]
    parts += ["", "Where the paper is silent or contradicts itself, and for rows:", "", *_remarks(paper)]
    return "\n".join(parts)


def _remarks(paper: Paper) -> list[str]:
    named = [f"- {text}" for text in paper.notes]
    named += [f"- `{folder}`: {text}" for folder, text in paper.stands_for.items()]
    by_text: dict[str, list[str]] = {}
    for row, about in paper.rows.items():
        for text in about.notes:
            by_text.setdefault(text, []).append(row)
    return named + [f"- {', '.join(f'`{row}`' for row in rows)}: {text}" for text, rows in by_text.items()]


def join_markdown(papers: Mapping[str, tuple[Paper, Sequence[Line]]]) -> str:
    """Join the tables of all papers into one page."""
    head = [
        "# The five papers, row by row",
        "",
        "Written by `emospec papers table`. How to run them: [papers.md](papers.md).",
        "",
    ]
    summary = [f"- {name}: {count_verdicts(lines)}" for name, (_, lines) in papers.items()]
    sections = [as_markdown(name, paper, lines) for name, (paper, lines) in papers.items()]
    return "\n".join([*head, LEGEND, "", *summary, "", "\n\n".join(sections)]) + "\n"


def join_html(papers: Mapping[str, tuple[Paper, Sequence[Line]]]) -> str:
    """Join the same into one HTML file without scripts or network."""
    sections = []
    for name, (paper, lines) in papers.items():
        notes = Notes()
        rows = [(line, cells(line, notes)) for line in lines]
        sections.append(
            {
                "name": name,
                "paper": paper,
                "rows": rows,
                "notes": {letter: text for text, letter in notes.texts.items()},
                "summary": count_verdicts(lines),
            }
        )
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    template = environment.from_string((Path(__file__).parent / "page.html.jinja").read_text(encoding="utf-8"))
    return template.render(sections=sections, columns=COLUMNS, legend=LEGEND, not_comparable=NOT_COMPARABLE)


def count_verdicts(lines: Sequence[Line]) -> str:
    """Count the lines by verdict: "2 reproduced, 3 not run"."""
    counts: dict[str, int] = {}
    for line in lines:
        counts[line.verdict] = counts.get(line.verdict, 0) + 1
    return ", ".join(f"{n} {verdict}" for verdict, n in counts.items())
