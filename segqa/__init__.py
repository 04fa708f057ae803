"""segqa: pytest for segmentation models.

>>> import segqa
>>> segqa.iou([[1, 1, 0]], [[0, 1, 0]])
0.5

In a notebook: `run = segqa.evaluate(model, "photos")`, then `run.mean_iou`, `run.failures("wrong_object")`,
`run.worst(5)`. In pytest: mark the fixtures that give models with `segqa.model` and ask for the fixture `evaluation`.

The names load on first use: an installed plugin is imported by every pytest run, and must not cost one that does not
use it (`docs/decisions/lazy-door.md`).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from segqa.analysis.data_audit.audit import Audit, audit_dataset
    from segqa.analysis.data_audit.flaws import Flaw, Flaws
    from segqa.analysis.failure_clusters.clusters import Cluster, Clusters
    from segqa.analysis.failure_clusters.search import find_clusters
    from segqa.analysis.label_errors import find_label_errors
    from segqa.analysis.replay import replay
    from segqa.analysis.robustness.measure import measure_robustness
    from segqa.analysis.robustness.perturbations import Perturbation
    from segqa.analysis.robustness.result import Robustness
    from segqa.data.case import Case, Source, Target
    from segqa.data.dataset import Dataset
    from segqa.data.folder import open_folder
    from segqa.data.mask import as_mask
    from segqa.demo import open_studio
    from segqa.errors import SegqaError
    from segqa.gate.baseline import read_baseline, write_baseline
    from segqa.gate.comparison import Comparison, compare
    from segqa.gate.latency import Speed, compute_speed
    from segqa.gate.verdict import Verdict, judge
    from segqa.inference.evaluator import evaluate
    from segqa.models.fingerprint import fingerprint_of
    from segqa.models.protocol import Model, Proposals
    from segqa.plugin.decorators import dataset, model
    from segqa.report.write import write_report
    from segqa.runs.outcome import Outcome, ProposalScore
    from segqa.runs.run import Run
    from segqa.runs.store import Store
    from segqa.scoring.error_breakdown import Breakdown, break_down
    from segqa.scoring.metrics import (
        Counts,
        boundary_iou,
        count,
        count_each,
        dice,
        hausdorff,
        hd95,
        iou,
        nsd,
        precision,
        recall,
    )
    from segqa.settings import Thresholds

_HOMES = {
    "segqa.analysis.data_audit.audit": ("Audit", "audit_dataset"),
    "segqa.analysis.data_audit.flaws": ("Flaw", "Flaws"),
    "segqa.gate.baseline": ("read_baseline", "write_baseline"),
    "segqa.scoring.error_breakdown": ("Breakdown", "break_down"),
    "segqa.data.case": ("Case", "Source", "Target"),
    "segqa.analysis.failure_clusters.clusters": ("Cluster", "Clusters"),
    "segqa.analysis.failure_clusters.search": ("find_clusters",),
    "segqa.gate.comparison": ("Comparison", "compare"),
    "segqa.data.dataset": ("Dataset",),
    "segqa.data.folder": ("open_folder",),
    "segqa.demo": ("open_studio",),
    "segqa.errors": ("SegqaError",),
    "segqa.inference.evaluator": ("evaluate",),
    "segqa.gate.verdict": ("Verdict", "judge"),
    "segqa.analysis.label_errors": ("find_label_errors",),
    "segqa.data.mask": ("as_mask",),
    "segqa.scoring.metrics": (
        "Counts",
        "boundary_iou",
        "count",
        "count_each",
        "dice",
        "hausdorff",
        "hd95",
        "iou",
        "nsd",
        "precision",
        "recall",
    ),
    "segqa.models.fingerprint": ("fingerprint_of",),
    "segqa.runs.outcome": ("ProposalScore", "Outcome"),
    "segqa.plugin.decorators": ("dataset", "model"),
    "segqa.models.protocol": ("Model", "Proposals"),
    "segqa.analysis.replay": ("replay",),
    "segqa.report.write": ("write_report",),
    "segqa.analysis.robustness.perturbations": ("Perturbation",),
    "segqa.analysis.robustness.measure": ("measure_robustness",),
    "segqa.analysis.robustness.result": ("Robustness",),
    "segqa.runs.run": ("Run",),
    "segqa.settings": ("Thresholds",),
    "segqa.gate.latency": ("Speed", "compute_speed"),
    "segqa.runs.store": ("Store",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Audit",
    "Breakdown",
    "Case",
    "Cluster",
    "Clusters",
    "Comparison",
    "Counts",
    "Dataset",
    "Flaw",
    "Flaws",
    "Model",
    "Outcome",
    "Perturbation",
    "ProposalScore",
    "Proposals",
    "Robustness",
    "Run",
    "SegqaError",
    "Source",
    "Speed",
    "Store",
    "Target",
    "Thresholds",
    "Verdict",
    "as_mask",
    "audit_dataset",
    "boundary_iou",
    "break_down",
    "compare",
    "compute_speed",
    "count",
    "count_each",
    "dataset",
    "dice",
    "evaluate",
    "find_clusters",
    "find_label_errors",
    "fingerprint_of",
    "hausdorff",
    "hd95",
    "iou",
    "judge",
    "measure_robustness",
    "model",
    "nsd",
    "open_folder",
    "open_studio",
    "precision",
    "read_baseline",
    "recall",
    "replay",
    "write_baseline",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'segqa' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    return __all__
