"""What a report tells: which run it is about, what it is judged against, and what stands beside it. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from yolo_perf.analysis.work import works_of
from yolo_perf.archive.saved_pairs import SavedPairs
from yolo_perf.machine.naming import slug
from yolo_perf.records import Comparison, Reference, Run
from yolo_perf.verdict.accuracy import compare_accuracy
from yolo_perf.verdict.chronology import in_order
from yolo_perf.verdict.sessions import SessionRules, compare_runs, machine_differences

Told = Run | Reference | SavedPairs

WEAK = "From session to session, so weak: nothing was measured again."


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """One sentence of verdict. `kind` is what colours it: a fail, a pass, or neither."""

    kind: str  # "fail", "pass" or "open"
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """The newest run that was given, its machine's sessions, other machines, and paired comparisons."""

    subject: Run | None
    history: tuple[Run, ...] = ()  # sessions of the subject's machine, oldest first; the subject is the last
    others: tuple[Run | Reference, ...] = ()  # other machines: the newest run of each, then the published
    pairs: tuple[SavedPairs, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    basis: str = ""  # what the comparisons stand on
    notes: tuple[str, ...] = ()  # what was given and is not told, and why


def tell(
    given: Sequence[tuple[Path, Told]], shelf: Sequence[Run] = (), rules: SessionRules | None = None
) -> Story:
    """The story of what was given. The subject is the newest run; `shelf` are its machine's saved sessions.

    What the subject itself was compared with counts; else it is judged against the earlier complete sessions of
    its machine that were given. An interrupted or deliberately slowed run is shown and never compared with.
    """
    runs = [(path, each) for path, each in given if isinstance(each, Run)]
    pairs = tuple(each for _, each in given if isinstance(each, SavedPairs))
    references = tuple(each for _, each in given if isinstance(each, Reference))
    if not runs:
        return Story(subject=None, pairs=pairs, others=references)
    ordered = in_order(runs, lambda pair: pair[1].created, lambda pair: pair[0])
    subject = _subject(ordered)
    own, foreign = [], dict[str, Run]()
    for _, run in ordered:
        if machine_differences(subject.machine, run.machine):
            foreign[slug(run.machine)] = run
        else:
            own.append(run)
    history = _sessions(own, shelf, subject)
    comparisons, basis = _judged(history, own, subject, rules or SessionRules())
    return Story(
        subject=subject,
        history=history,
        others=(*foreign.values(), *references),
        pairs=pairs,
        comparisons=comparisons,
        basis=basis,
        notes=tuple(_notes(runs)),
    )


def headline(story: Story) -> Headline:
    """The verdict in one sentence: what fails comes first, and nothing compared is no pass."""
    verdicts: list[tuple[str, str]] = [(c.verdict, c.label) for c in story.comparisons]
    verdicts += [(d.verdict, d.label) for pairs in story.pairs for d in pairs.decisions]
    for verdict in ("regressed", "missing"):
        if found := _labels(verdicts, verdict):
            return Headline(kind="fail", text=f"{verdict.capitalize()}: {found}.")
    if failure := next((pairs.failure for pairs in story.pairs if pairs.failure), ""):
        return Headline(kind="fail", text=f"Failed: {failure}")
    if reason := _undecided(story, [verdict for verdict, _ in verdicts]):
        return Headline(kind="open", text=reason)
    improved, unclear = _labels(verdicts, "improved"), _labels(verdicts, "inconclusive")
    text = f"No regression; improved: {improved}." if improved else "No regression."
    return Headline(kind="pass", text=f"{text} Inconclusive: {unclear}." if unclear else text)


def _subject(ordered: Sequence[tuple[Path, Run]]) -> Run:
    """The newest run, oldest given first; one that was compared with another of them is newer than that."""
    path, subject = ordered[-1]
    for _ in ordered:  # never for ever, whatever the files claim of each other
        later = next(((p, run) for p, run in ordered if run.comparisons and run.compared_with == path.name), None)
        if later is None or later[1] == subject:
            break
        path, subject = later
    return subject


def _undecided(story: Story, verdicts: Sequence[str]) -> str:
    """Why there is no verdict; "" where there is one."""
    if not verdicts:
        return "No verdict: there is nothing to compare with."
    if any(pairs.invalid_controls for pairs in story.pairs):
        return "Not decided: the host was not fair to both sides."
    if not {"improved", "unchanged"} & {*verdicts}:
        return "Not decided: no case could be told."
    if not all(pairs.complete for pairs in story.pairs):
        return "Not decided: the comparison was cut short, and shows no regression so far."
    return ""


def _labels(verdicts: Sequence[tuple[str, str]], wanted: str) -> str:
    return ", ".join(dict.fromkeys(label for verdict, label in verdicts if verdict == wanted))


def _sessions(own: Sequence[Run], shelf: Sequence[Run], subject: Run) -> tuple[Run, ...]:
    """The machine's runs that measured inference, each once, oldest first, none after the subject."""
    before = own[: own.index(subject)]  # in the order that `tell` found, whatever their dates say
    found: list[Run] = []
    for run in sorted((*shelf, *own), key=lambda run: run.created):
        comparable = run.complete and not run.configuration.get("slow_down") and run.measurements
        earlier = run.created <= subject.created or run in before
        if comparable and run not in found and earlier and run != subject:
            found.append(run)
    return (*found, subject)


def _judged(
    history: Sequence[Run], own: Sequence[Run], subject: Run, rules: SessionRules
) -> tuple[tuple[Comparison, ...], str]:
    """The verdicts on the subject, and what they stand on."""
    if subject.comparisons:
        return (
            subject.comparisons,
            f"Compared with {subject.compared_with or 'a saved baseline'} when it was measured.",
        )
    earlier = [run for run in own if run in history[:-1]]
    if not earlier or not subject.measurements:
        return (), ""
    found = (*compare_runs(earlier, subject, rules, works=works_of), *compare_accuracy(earlier[-1], subject))
    return found, f"Compared with {len(earlier)} earlier session(s) that were given. {WEAK}"


def _notes(runs: Sequence[tuple[Path, Run]]) -> list[str]:
    notes = []
    for path, run in runs:
        if not run.complete:
            notes.append(f"{path.name} was interrupted: it is partial.")
        if run.configuration.get("slow_down"):
            notes.append(f"{path.name} was slowed down on purpose: {run.configuration['slow_down']}.")
    return notes
