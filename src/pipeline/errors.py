"""The errors that a caller may catch.

PipelineError
├── ParamsError    params.yaml: a key unknown, of the wrong type or out of range
├── CorpusError    a corpus folder or its clips.csv cannot be used as it is
├── ObtainError    a corpus cannot be downloaded, unpacked or put in its place
├── AudioError     one recording cannot be read; collect records it as rejected and goes on
├── StoreError     a file between stages is missing, half-written, damaged or from other sources
├── SplitError     the blocks cannot be dealt to sides as asked without leaving a class out or leaking
├── WorkerError   a process that worked on clips was killed
├── ModelError     a network, its starting weights or a checkpoint cannot be used
├── MetricsError   predictions from which no number may be written
├── CompareError   two results that were not measured on the same test
├── RevisionError  git has no such revision, or not what is asked of it
├── ShowError      a clip, block or trained run that is to be shown is not there
├── GapError       the optimism gap cannot be measured as asked, or a run of it failed
├── ExperimentError  a run's parameters are not valid, or DVC's queue does not do its part
│   └── SearchError  a search cannot be made as asked, or its record cannot be read
├── PaperError     a paper's file is not valid, or its rows cannot be run or shown as asked
└── LockError      dvc.lock cannot be held against the sources
"""


class PipelineError(Exception):
    """Base of every error that emospec raises on purpose; its message is one line with the fix in it."""


class ParamsError(PipelineError):
    """A parameter is unknown, of the wrong type, out of range, or contradicts another."""


class CorpusError(PipelineError):
    """A corpus folder or its clips.csv cannot be used as it is."""


class ObtainError(PipelineError):
    """A corpus cannot be downloaded, unpacked or put in its place."""


class AudioError(PipelineError):
    """A recording cannot be read, or holds no usable sound."""


class StoreError(PipelineError):
    """A file between stages is missing, incomplete, damaged, or made from other sources."""


class SplitError(PipelineError):
    """The blocks cannot be dealt to sides as asked."""


class WorkerError(PipelineError):
    """A process that worked on clips did not end by itself; the message names what was worked on."""


class ModelError(PipelineError):
    """A network, its starting weights or a checkpoint cannot be used."""


class MetricsError(PipelineError):
    """Predictions are not such that a metric may be computed from them."""


class CompareError(PipelineError):
    """Two results cannot be set side by side."""


class RevisionError(PipelineError):
    """Git has no such revision, or cannot give what is asked of it."""


class ShowError(PipelineError):
    """A clip, block or trained run that is to be shown is not there, or the picture cannot be written."""


class GapError(PipelineError):
    """The optimism gap cannot be measured as asked, or one of its runs failed."""


class ExperimentError(PipelineError):
    """DVC's experiments or its queue do not do their part, or a run's parameters are not valid."""


class SearchError(ExperimentError):
    """A search over parameters cannot be made as asked, or cannot go on."""


class PaperError(PipelineError):
    """A paper's file is not valid, or its rows cannot be run or shown as asked."""


class LockError(PipelineError):
    """dvc.yaml or dvc.lock cannot be read."""
