"""Errors: everything that segqa raises on purpose.

SegqaError
├── UsageError           what the user typed or wrote cannot be used; nothing has been evaluated yet
│   ├── SettingsError    an option or a key of [tool.segqa]
│   ├── DatasetError     a data set that is missing, empty or malformed as a whole
│   ├── ModelError       a model that cannot be built: weights missing, not readable, not fitting
│   ├── BaselineError    a baseline that is missing, corrupt, or must not be written
│   ├── PartsError       runs of shards that do not make a whole
│   ├── EngineError      other processes cannot evaluate here: no Ray, no cluster, too few CPUs
│   └── IncomparableError  two runs that say nothing about each other
├── CaseError            one case cannot be read: it is recorded, and the run goes on
│   └── OversizeError    a picture that claims more pixels than are read
├── MaskError            an array that is not a mask
├── ProposalsError       what a model returned is not what a model returns
└── StoreError           the files of a run are missing or damaged
"""


class SegqaError(Exception):
    """The root: `except SegqaError` catches all that segqa raises on purpose."""


class UsageError(SegqaError):
    """What the user typed or wrote cannot be used."""


class SettingsError(UsageError):
    """An option or a key of `[tool.segqa]` is unknown or has a value that makes no sense."""


class DatasetError(UsageError):
    """A data set is missing, empty or malformed as a whole."""


class ModelError(UsageError):
    """A model cannot be built."""


class BaselineError(UsageError):
    """A baseline is missing or corrupt, or must not be written from this run."""


class PartsError(UsageError):
    """Some runs are not the shards of one whole: one is missing, there twice, or made in another way."""


class EngineError(UsageError):
    """The processes or machines that shall evaluate are not there, or do not do it."""


class IncomparableError(UsageError):
    """Two runs were made on other data or scored in another way."""


class CaseError(SegqaError):
    """One case cannot be read; the run records it and goes on."""


class OversizeError(CaseError):
    """A picture claims more pixels than are read."""


class MaskError(SegqaError, ValueError):
    """An array is not a mask, or two masks do not belong together."""


class ProposalsError(SegqaError, ValueError):
    """What a model returned is not what a model returns."""


class StoreError(SegqaError):
    """The files of a run are missing or damaged."""
