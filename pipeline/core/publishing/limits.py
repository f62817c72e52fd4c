"""What a dataset is for, what it is not for, and what nobody checked: sentences made of the manifest's counts.

None holds a value that a record or a sidecar stated, but the codes of purposes, which are a closed set.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from schemas.vocabulary import CONSENT_ROLES

_LOADED = ("train", "validation")
_BARRED = {
    "NC": "Commercial use: the licence of some sources bars it.",
    "Acad": "Use outside of research and teaching: the licence of some sources bars it.",
    "Unspecified": "Any use before somebody has read the licences: what some of them allow is not known.",
}


def uses(manifest: Mapping[str, Any]) -> list[str]:
    """Return what the dataset is for."""
    named = {one for told in manifest["consent"]["verdicts"]["by_purposes"] for one in told.split(", ")}
    purposes = f"Each of these for the purposes that a row's column `purposes` names; here: {', '.join(sorted(named))}."
    return [
        "Training reward models, and preference optimisation (DPO and its relatives), on train.",
        "Choosing between models, and calibrating them, on validation.",
        "Looking at how annotators agree, vote by vote, in the table `votes`.",
        *([purposes] if named else []),
    ]


def misuses(manifest: Mapping[str, Any]) -> list[str]:
    """Return what the dataset is not for."""
    classes = {facts["license_use"] for name, facts in manifest["sources"].items() if name in manifest["verdicts"]}
    return [
        "Tuning anything on heldout, choosing by it, or training on it: then it measures nothing any more.",
        "A purpose that a row's `purposes` does not name: they are those that all consents behind the row allow.",
        "Finding out who an annotator is, or joining annotators' numbers over releases: they hold in one build only.",
        "Reading an unknown strength (null) as a weak preference.",
        *(why for name, why in _BARRED.items() if name in classes),
    ]


def limits(manifest: Mapping[str, Any]) -> list[str]:
    """Return the known limits, one sentence or two each."""
    if manifest["synthetic"]:
        made_up = ["Everything is made up, texts and verdicts: it shows nothing about what people prefer."]
    else:
        made_up = []
    return [*made_up, *_texts(manifest), *_votes(manifest), *_people(manifest), *_consents(manifest)]


def _texts(manifest: Mapping[str, Any]) -> Iterator[str]:
    yield "Texts were not searched for names, addresses or anything else about people. They stand as sources gave them."
    yield (
        "Prompts on two sides were compared by the words of their user turns. A paraphrase, a translation, or a "
        "response that repeats another is not found."
    )
    if compared := len(manifest["benchmarks"]):
        yield f"Prompts were compared with {compared:,} benchmarks. Texts of any other may be among them."
    else:
        yield "Prompts were compared with no benchmark: texts of any may be among them."
    yield "A language is what the source states. None was detected."
    if unstated := manifest["languages"]["unstated"]:
        yield f"Of {unstated:,} rows of train and validation no language is stated, or not the same by all votes."


def _votes(manifest: Mapping[str, Any]) -> Iterator[str]:
    pairs = [manifest["folded"][side]["pairs"] for side in _LOADED]
    rows, unknown = (sum(one[name] for one in pairs) for name in ("rows", "strength_unknown"))
    ties = sum(manifest["folded"][side]["ties"]["rows"] for side in _LOADED)
    single = sum(one["by_votes"]["1"] for one in pairs)
    yield f"{single:,} of the {rows:,} pairs of train and validation rest on one vote."
    yield f"On {ties:,} more no side was chosen: they are `ties`, and whoever trains on pairs alone leaves them out."
    yield f"The strength of {unknown:,} of these pairs is unknown (null), as a vote behind them states none."
    if decided := sum(one["by_fold"].get("model", 0) for one in pairs):
        yield f"{decided:,} of these pairs were decided by models or rules alone (`fold` is `model`)."
    yield "One annotator's votes on many pairs, and the pairs of one conversation, are not independent of each other."


def _people(manifest: Mapping[str, Any]) -> Iterator[str]:
    yield (
        "Nothing is recorded of who the annotators are: not their languages, ages or places, nor how they were chosen "
        "and paid, beyond what the sources state."
    )
    if unnamed := sum(facts["unnamed"] for facts in manifest["annotators"].values()):
        yield f"{unnamed:,} verdicts name no annotator. Each is a vote of its own, even if one person gave several."
    yield "Verdicts were given under the policies and rubrics named here; under others they might be others."


def _consents(manifest: Mapping[str, Any]) -> Iterator[str]:
    consent = manifest["consent"]["verdicts"]
    if whole := consent["named"].get("whole_source", 0):
        yield f"{whole:,} verdicts rest on the record of a whole source, and on no person's."
    if nobody := [role.replace("_", " ") for role in CONSENT_ROLES if not consent["by_role"][role]]:
        yield f"No verdict names the consent record of a person as {' or '.join(nobody)}."
    yield "Legal bases are those that the sources' sidecars state. Nobody here judged whether they hold."
