"""The Responsible AI fields (Croissant RAI 1.0): what can honestly be computed, and what is known to be unknown.

Left out, as nobody states them: the type of collection, the platform, biases, social impact.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.core.accounts import most_first
from pipeline.core.publishing.limits import limits, misuses, uses
from pipeline.core.publishing.manifest import STAGES

_PROTOCOL = (
    "Annotators compared two responses to one prompt and chose one, a tie, or neither (both_bad), under these "
    "rubrics and policies: "
)
_PLAN = (
    "Releases have versions MAJOR.MINOR.PATCH. MAJOR: a row was removed, moved to another side, swapped or its text "
    "edited, or the key or the epoch changed. MINOR: rows or votes were added. PATCH: the rows are the same. A "
    "withdrawn consent takes its rows out of the next release."
)


def responsible(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields by their names in the vocabulary; one without a value is left out."""
    told: dict[str, Any] = {
        "dataCollection": " ".join(_collection(manifest)),
        "dataCollectionMissingData": _missing(manifest),
        "dataPreprocessingProtocol": list(_steps(manifest)),
        "dataAnnotationProtocol": _protocol(manifest),
        "dataAnnotationAnalysis": [_folding(manifest)],
        "annotationsPerItem": _votes(manifest),
        "annotatorDemographics": ["Not known: nothing is recorded of who the annotators are."],
        "machineAnnotationTools": _machines(manifest),
        "dataLimitations": [*limits(manifest), *(f"Not for: {one}" for one in misuses(manifest))],
        "dataUseCases": uses(manifest),
        "personalSensitiveInformation": list(_personal(manifest)),
        "dataReleaseMaintenancePlan": _PLAN,
    }
    return {f"rai:{name}": value for name, value in told.items() if value}


def _collection(manifest: Mapping[str, Any]) -> Iterator[str]:
    """Say of each source that verdicts come from who had a hand in it, as its sidecar states."""
    hands = {"collected_by": "collected by", "written_by": "written by", "filtered_by": "selected by"}
    for name, facts in sorted(manifest["sources"].items()):
        if name in manifest["verdicts"]:
            stated = [f"{words} {facts[key]}" for key, words in hands.items() if facts[key] is not None]
            yield f"{name}: {', '.join(stated)}; approved by {facts['approved_by']} on {facts['approved_on']}."


def _missing(manifest: Mapping[str, Any]) -> str:
    pairs = [manifest["folded"][side]["pairs"] for side in ("train", "validation")]
    rows, unknown = (sum(one[name] for one in pairs) for name in ("rows", "strength_unknown"))
    unstated = manifest["languages"]["unstated"]
    return (
        f"What nobody stated is null. Of {rows:,} pairs of train and validation {unknown:,} have no strength; of pairs "
        f"and ties {unstated:,} have no language. Shares by source and field: manifest.json, coverage."
    )


def _steps(manifest: Mapping[str, Any]) -> Iterator[str]:
    """Say what each stage left out, by reason."""
    ingest = manifest["accounts"]["ingest"]
    yield f"ingest: of {ingest['records']['in']:,} records, quarantined: {_counts(ingest['quarantined_by'])}."
    for stage in (*STAGES, "publish"):
        account = manifest["accounts"][stage]
        if "dropped_by" in account:
            yield f"{stage}: of {account['in']:,} comparisons, dropped: {_counts(account['dropped_by'])}."


def _counts(by_name: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in most_first(by_name).items()) or "none"


def _protocol(manifest: Mapping[str, Any]) -> str:
    named = [
        f"{kind} {name} ({facts['title']}; approved by {facts['approved_by']} on {facts['approved_on']}; "
        f"SHA-256 {facts['sha256']})"
        for kind, found in (("rubric", manifest["rubrics"]), ("policy", manifest["policies"]))
        for name, facts in sorted(found.items())
    ]
    return _PROTOCOL + "; ".join(named) + "." if named else ""


def _folding(manifest: Mapping[str, Any]) -> str:
    who = "where people judged a pair, theirs alone" if manifest["fold"]["humans_decide"] else "all"
    needed = {"all": "more than half of all votes", "decided": "more votes than the other side"}
    return (
        f"One annotator's verdicts on a pair are one vote; {who} are counted. A side is chosen when it has "
        f"{needed[manifest['fold']['majority']]}; else the pair is a tie. All votes are kept, in the table votes."
    )


def _votes(manifest: Mapping[str, Any]) -> str:
    pairs = [manifest["folded"][side]["pairs"]["by_votes"] for side in ("train", "validation")]
    told = ", ".join(f"{number}: {sum(one[number] for one in pairs):,}" for number in sorted(pairs[0]))
    return f"Pairs of train and validation by their number of votes, whoever gave them. {told}."


def _machines(manifest: Mapping[str, Any]) -> list[str]:
    told = {kind: facts["verdicts"] for kind, facts in sorted(manifest["annotators"].items()) if kind != "human"}
    return [f"{count:,} verdicts are of the kind {kind}; what gave them is not named." for kind, count in told.items()]


def _personal(manifest: Mapping[str, Any]) -> Iterator[str]:
    yield "Texts were not searched for data about people: what the sources' texts hold, they hold."
    yield "Annotators are numbers that hold in one build, and times are dates."
    consent = manifest["consent"]["verdicts"]
    if consent["by_basis"]:
        yield f"Verdicts by legal basis, as the sources state it: {_counts(consent['by_basis'])}."
        yield f"Verdicts by the purposes that all consents allow: {'; '.join(_by(consent['by_purposes']))}."


def _by(counts: Mapping[str, int]) -> list[str]:
    return [f"{name}: {count:,}" for name, count in most_first(counts).items()]
