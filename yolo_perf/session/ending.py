"""How a session ends: what was measured is kept, compared and saved, and the exit status is set."""

import logging
from pathlib import Path
from typing import Any

import pytest

from yolo_perf.errors import BaselineError
from yolo_perf.progress import progress
from yolo_perf.session.shelf import Chosen, why_not
from yolo_perf.session.state import PerfSession
from yolo_perf.session.terminal import relative, report_failures
from yolo_perf.session.verdict import Gate

log = logging.getLogger(__name__)

LAST_RUN = "last-run.json"


class Ending:
    """The end of one session."""

    def __init__(self, state: PerfSession, session: pytest.Session):
        self._state = state
        self._session = session
        self.kept: Path | None = None
        """The file of this run, once it is written."""

    def end(self, *, active: bool) -> None:
        """Keep what there is; decide, save and say the rest where the session was to measure (`active`)."""
        state = self._state
        judges = state.chosen or state.config.option.perf_save
        if active and state.results.measurements and state.complete and judges:
            self._measure_peaks_again()
        if state.results:
            self._keep()
        if active:
            self._finish()
            self._summarise()

    def _measure_peaks_again(self) -> None:
        """What the machine can do now: a host that became slower meanwhile is not the code's fault."""
        from yolo_perf.machine.peaks import measure_peaks

        bench = self._state.bench
        try:
            with progress(self._state.config):
                log.info("measuring the roofs again")
                self._state.peaks_after = measure_peaks(bench.machine, bench.peaks.threads)
        except KeyboardInterrupt:
            self._state.complete = False
            self._session.exitstatus = pytest.ExitCode.INTERRUPTED

    def _document(self) -> dict[str, Any]:
        """The session in pytest-benchmark's own form, with the block as it is now, to be kept and to be saved."""
        from yolo_perf.archive.saved_run import BLOCK, block

        return {**self._state.host.document, BLOCK: block(self._state.run)}

    def _keep(self) -> None:
        from yolo_perf.archive.saved_run import write_document

        state = self._state
        cache = getattr(state.config, "cache", None)
        try:
            if cache is None:
                raise OSError("pytest's cache is switched off")
            path = Path(cache.mkdir("yolo-perf")) / LAST_RUN
            write_document(self._document(), path)
            self.kept = path
        except (OSError, ValueError, TypeError) as error:
            state.words.say(f"This run could not be kept: {error}.", "red")
            return
        if not state.complete:
            kept = f"{len(state.results)} cases were measured and kept in {path}"
            state.words.say(f"Interrupted: {kept}. No verdict; no baseline was touched.", "yellow")

    def _finish(self) -> None:
        state = self._state
        if not state.results.measurements:
            self._nothing_measured()
            return
        if state.chosen and state.complete:
            self._decide(state.chosen)
            self._keep()  # what was kept before deciding was kept in case that is cut short
        if state.config.option.perf_save:
            self._save()

    def _nothing_measured(self) -> None:
        if self._state.host.session.disabled and not self._state.judges:
            return
        self._state.words.say("Nothing was measured: no verdict.", "red")
        if self._session.exitstatus == pytest.ExitCode.OK:
            self._fail()

    def _decide(self, chosen: Chosen) -> None:
        state = self._state
        gate = Gate(
            config=state.config,
            settings=state.settings,
            chosen=chosen,
            threads=state.bench.threads,
            accuracy_sizes=state.settings.accuracy_sizes if state.judging else (),
        )
        judged = gate.judge(state.run, expected=state.collected.expects, absence=state.results.absence)
        state.comparisons = judged.comparisons
        state.words.verdicts(
            chosen.path, judged.comparisons, undecided=judged.undecided, failing=bool(judged.failing)
        )
        if judged.failing or judged.undecided:
            self._fail()
        report_failures(state.config, judged.failing)
        if judged.interrupted:
            state.words.say("Interrupted: what was suspected and not yet confirmed is inconclusive.", "yellow")
            self._session.exitstatus = pytest.ExitCode.INTERRUPTED

    def _save(self) -> None:
        """Promotion is explicit, and only of a whole session that passed."""
        from yolo_perf.archive.baselines import save_baseline

        state = self._state
        if not state.complete or self._session.exitstatus != pytest.ExitCode.OK:
            state.words.say("Not saved as a baseline: the session did not pass as a whole.", "red")
            return
        machine, anyway = state.bench.machine, state.config.option.perf_save_anyway
        if why := why_not(state.results.measurements, state.comparisons, state.baselines, machine, anyway=anyway):
            self._fail(f"Not saved as a baseline: {why}")
            return
        try:
            path = save_baseline(self._document(), state.baselines, machine)
        except BaselineError as error:
            self._fail(str(error))
            return
        state.words.say(f"Saved as this machine's baseline: {relative(path)}")
        if state.host.commit.id is None:
            from yolo_perf.pairing.sides import why_no_commit

            why = why_no_commit(state.config.rootpath)
            state.words.say(
                f"It names no commit, so what it suspects cannot be measured in pairs with it: {why}", "yellow"
            )

    def _fail(self, why: str = "") -> None:
        if why:
            self._state.words.say(why, "red")
        self._session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _summarise(self) -> None:
        """The verdict and the table on the job's page, where this is a job of GitHub Actions."""
        from yolo_perf.summary import append_summary, wanted

        if not (wanted() and self._state.results.measurements):
            return
        from yolo_perf.report.markdown import markdown
        from yolo_perf.report.story import tell

        append_summary(markdown(tell([(Path(LAST_RUN), self._state.run)])))
