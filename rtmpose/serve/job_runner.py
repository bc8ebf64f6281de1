"""Works on the jobs, one after the other, in a thread. Survives the end of the process: what was
accepted is done after the next start.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from rtmpose.errors import InputError, OutputError, RtmposeError
from rtmpose.files.locks import OutputLock
from rtmpose.pipeline import Pipeline
from rtmpose.serve.engine import ImageEngine
from rtmpose.serve.engine_model import EngineModel
from rtmpose.serve.job_files import (
    ANNOTATED,
    JobFolders,
    finished_files,
    output_paths,
    source_item,
)
from rtmpose.serve.job_settings import JobSettings, job_settings
from rtmpose.serve.job_store import CANCELED, DONE, FAILED, WAITING, JobStore
from rtmpose.serve.schemas import JobEntry
from rtmpose.serve.settings import ServeSettings
from rtmpose.text_files import to_json
from rtmpose.tracking import PoseTracker
from rtmpose.tracking.video import VideoTracker
from rtmpose.writers.job import predict_to_files, track_to_files
from rtmpose.writers.outputs import Outputs
from rtmpose.writers.report import JobProgress, JobReport

log = logging.getLogger(__name__)

CLIENT = "jobs"
"""In whose name videos wait: all of them together take one turn of many."""
NOTE_S = 0.5
LOOK_S = 60.0
AGAIN_S = 5.0
"""After which a full disk is tried again."""
HOUR_S = 3600.0


class _Canceled(Exception):  # noqa: N818 (no error: somebody wants it)
    """The client wants no more of it."""


class _Stopped(Exception):  # noqa: N818
    """The service goes down."""


class JobRunner:
    """The jobs of a service.

    Args:
        engine: Does the work.
        settings: Limits, and the data folder.
        on_change: Told of the number of jobs in each state.

    Raises:
        InputError: there is no data folder.
        OutputError: it cannot be written.
    """

    def __init__(
        self,
        engine: ImageEngine,
        settings: ServeSettings,
        on_change: Callable[[dict[str, int]], None] | None = None,
    ) -> None:
        if settings.data is None:
            raise InputError("jobs need a data folder")
        self.settings = settings
        self.folders = JobFolders(settings.data)
        # A second service would take the jobs of the first for interrupted ones.
        self._lock = OutputLock(settings.data / ".rtmpose.lock", settings.data)
        self.store = JobStore(settings.data / "jobs.sqlite")
        self._engine = engine
        self._on_change = on_change
        self._stopping = False
        self._news = threading.Event()
        self._noted = 0.0
        self._interrupted = ""
        self._thread = threading.Thread(target=self._run, name="rtmpose-jobs", daemon=True)

    def start(self) -> None:
        """Put in order what an earlier process left, and begin."""
        self.store.recover()
        for job in self.folders.ids() - self.store.known():
            self.folders.remove(job)
        self._remove_old()
        self._changed()
        self._thread.start()

    def stop(self, timeout_s: float = 30.0) -> None:
        """End; the job at work waits for the next start."""
        self._stopping = True
        self._news.set()
        self._thread.join(timeout_s)
        self.store.close()
        self._lock.release()

    @property
    def stopping(self) -> bool:
        """Whether nothing is worked on any more."""
        return self._stopping

    def waiting(self) -> int:
        """Jobs that wait or run."""
        counts = self.store.count()
        return sum(counts[state] for state in WAITING)

    def add(self, job: str, name: str, total: int | None, settings: JobSettings) -> JobEntry:
        """A video that lies in its place becomes a job."""
        size = self.folders.source(job).stat().st_size
        row = self.store.add(job, name, size, total, to_json(settings.as_json()))
        self._changed()
        self._news.set()
        return row

    def cancel(self, job: str) -> JobEntry | None:
        """Cancel a job; None where there is none."""
        if self.store.get(job) is None:
            return None
        row = self.store.stop(job)
        self._changed()
        return row

    def remove(self, job: str) -> bool:
        """Remove a job with its files; False where there is none."""
        if self.store.get(job) is None:
            return False
        if self.store.remove(job):
            self._remove_files(job)
        self._changed()
        return True

    # ---- the thread

    def _run(self) -> None:
        while not self._stopping:
            pause_s = LOOK_S
            try:
                if self._work_on_next():
                    continue
                self._remove_old()
            except OutputError as error:
                # The disk is full or gone: nothing can be noted, so nothing is begun.
                log.error("%s", error)
                pause_s = AGAIN_S
            except Exception:
                # Such as a row that somebody changed: the other jobs go on.
                log.exception("a job could not be worked on")
                pause_s = AGAIN_S
            self._news.wait(pause_s)
            self._news.clear()

    def _work_on_next(self) -> bool:
        """Work on the job that waits longest; False where none waits."""
        if self._interrupted:
            # How it ended could not be noted.
            self.store.queue_again(self._interrupted)
            self._interrupted = ""
        row = self.store.claim()
        if row is not None:
            self._interrupted = row.id
            self._work(row)
            self._interrupted = ""
        return row is not None

    def _work(self, row: JobEntry) -> None:
        """One job, to one of its ends."""
        log.info("job %s begins, attempt %d", row.id, row.attempts)
        self._changed()
        self.folders.remove_results(row.id)
        try:
            report = self._estimate(row)
            if report.failures:
                raise InputError(report.failures[0])
            settings = job_settings(row.settings)
            files = finished_files(self.folders.results(row.id), settings.formats)
            self.store.finish(row.id, DONE, files=files, people=report.people, frames=report.frames)
        except _Canceled:
            self.folders.remove_results(row.id)
            self.store.finish(row.id, CANCELED)
        except _Stopped:
            self.folders.remove_results(row.id)
            self.store.queue_again(row.id)
        except Exception as error:
            # Results first: on a full disk that makes room for the note.
            self.folders.remove_results(row.id)
            if self._engine.stopping:
                self.store.queue_again(row.id)
                return
            if not isinstance(error, RtmposeError):
                log.exception("job %s failed", row.id)
            self.store.finish(row.id, FAILED, error=self._reason(error))
        finally:
            self._finished(row.id)

    def _finished(self, job: str) -> None:
        if any(row.id == job for row in self.store.removed()):
            self._remove_files(job)
        self._changed()
        log.info("job %s ended", job)

    def _estimate(self, row: JobEntry) -> JobReport:
        """Read the video, write the results."""
        settings = job_settings(row.settings)
        results = self.folders.results(row.id)
        outputs = Outputs(
            output_paths(results, settings.formats),
            results / ANNOTATED if settings.annotated else None,
            style=settings.style(),
            openpose_format=settings.openpose_format,
        )
        item = source_item(self.folders.source(row.id), self.settings)
        model = EngineModel(self._engine, CLIENT, patient=True)
        self._noted = 0.0

        def note(progress: JobProgress) -> None:
            self._note(row.id, progress)

        if settings.track:
            tracker = PoseTracker(None, model, settings.params(self.settings))
            video = VideoTracker(tracker, interval=settings.det_interval)
            offline = settings.smooth == "offline"
            return track_to_files(video, [item], outputs, smooth_offline=offline, on_progress=note)
        usual = self.settings
        pipeline = Pipeline(
            None,
            model,
            box_thr=usual.box_thr if settings.box_thr is None else settings.box_thr,
            person_thr=usual.person_thr if settings.person_thr is None else settings.person_thr,
            max_people=min(settings.max_people or usual.max_people, usual.max_people),
        )
        return predict_to_files(pipeline, [item], outputs, on_progress=note)

    def _note(self, job: str, progress: JobProgress) -> None:
        """After every frame: whether to go on, and now and then how far it is."""
        if self._stopping or self._engine.stopping:
            raise _Stopped
        now = time.monotonic()
        if now - self._noted < NOTE_S:
            return
        self._noted = now
        if not self.store.progress(job, progress.frames, progress.total, round(progress.fps, 2)):
            raise _Canceled

    def _reason(self, error: Exception) -> str:
        """What the client is told: never where our files lie."""
        if not isinstance(error, RtmposeError):
            return "an error of the service; see its log"
        assert self.settings.data is not None
        text = str(error)
        for place in {str(self.settings.data), str(self.settings.data.resolve())}:
            text = text.replace(place, "DATA")
        return text

    # ---- tidiness

    def _remove_old(self) -> None:
        """Remove jobs that ended long ago, and what is left of removed ones."""
        limit = time.time() - self.settings.keep_hours * HOUR_S
        for row in [*self.store.finished_before(limit), *self.store.removed()]:
            self._remove_files(row.id)

    def _remove_files(self, job: str) -> None:
        self.folders.remove(job)
        self.store.forget(job)

    def _changed(self) -> None:
        if self._on_change is not None:
            self._on_change(self.store.count())
