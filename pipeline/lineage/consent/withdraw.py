"""Withdraw: write down that a person takes consent back, or objects where the basis is another."""

from datetime import UTC, datetime
from typing import Any

import polars as pl

from pipeline.core.consent.events import read_events, read_lines
from pipeline.core.consent.standing import rests_on_consent
from pipeline.core.consent.states import KEY, consents
from pipeline.core.consent.writing import append_events, as_line
from pipeline.core.errors import PairtrailError
from pipeline.core.project import Project
from pipeline.lineage.consent.asking import Whom, one_person
from pipeline.lineage.consent.depending import depend_on_ledger
from pipeline.lineage.consent.held import judged, rows_by_consent, rows_under_whole, terms_of
from schemas.vocabulary import VALID_STATUSES

FILE = "withdrawals"
WITHDRAWN, OBJECTED = "ConsentWithdrawn", "eu-gdpr:A21"


def withdraw(
    project: Project, asked: Whom, *, consent_id: str | None, at: str | None, how: str | None
) -> dict[str, Any]:
    """Append one event for each consent of a person, or for the one named, and say which rows will be withheld.

    A consent is withdrawn; where the record rests on another basis, the person objects to the use. `at` is now where it
    is not given.
    """
    subject = one_person(asked)
    chosen = _chosen(project, subject, consent_id)
    moment = at or datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    events = [
        {"consent_id": row["consent_id"], "subject": subject, "status": row["will_be"], "status_time": moment}
        | ({"withdrawal_method": how} if how else {})
        for row in chosen
    ]
    _refuse_in_vain(project, events)
    new = append_events(project, FILE, events, lambda _: "--at")
    depend_on_ledger(project)
    return {
        "file": f"data/ledger/consent/{FILE}.jsonl",
        "new": new,
        "consents": chosen,
    }


def _refuse_in_vain(project: Project, events: list[dict[str, Any]]) -> None:
    """Raise PairtrailError where a consent would stand all the same, as a later event says that it was given."""
    added, faults = read_lines((1, [as_line(one) for one in events]))
    if faults:  # told by whoever appends
        return
    after = consents(pl.concat([read_events(project.ledger), added]))
    vain = after.join(added, on=KEY, how="semi").filter(pl.col("status").is_in(list(VALID_STATUSES)))
    if vain.height:
        newest = vain.select(pl.col("newest").max().dt.strftime("%Y-%m-%dT%H:%M:%SZ")).item()
        msg = (
            f"the ledger says that {vain.height:,} of these consents were given at a later time ({newest} the newest), "
            "so this would have no effect; nothing was written.\nGive a later time with --at, or one consent with "
            "--consent-id; `pairtrail consent status` tells the history."
        )
        raise PairtrailError(msg)


def _chosen(project: Project, subject: str, consent_id: str | None) -> list[dict[str, Any]]:
    both = _consents_of(project, subject)
    if both.is_empty():
        msg = "neither the ledger nor a row of the last build names a consent of this subject; is the source right?"
        raise PairtrailError(msg)
    named = both if consent_id is None else both.filter(consent_id=consent_id)
    if named.is_empty():
        msg = f"this subject has no consent of that id; it has {both.height:,} others (`pairtrail consent status`)"
        raise PairtrailError(msg)
    will_be = pl.when(rests_on_consent()).then(pl.lit(WITHDRAWN)).otherwise(pl.lit(OBJECTED)).alias("will_be")
    told = named.with_columns(will_be, pl.col("rows").fill_null(0)).sort("consent_id")
    return told.select("consent_id", "status", "will_be", "rows").to_dicts()


def _consents_of(project: Project, subject: str) -> pl.DataFrame:
    """Return the consents of a person, with basis, status and rows: those named, and those of whole sources.

    Under a record of a whole source the person has no record, and may take back or object to what it allows all the
    same: its basis decides which.
    """
    known = judged(project, terms_of(project)).select(*KEY, "legal_basis", "status")
    theirs = known.filter(subject=subject)
    if not project.shards.exists():
        return theirs.with_columns(rows=pl.lit(None, pl.Int64))
    by_consent = rows_by_consent(project).filter(subject=subject).group_by("consent_id").agg(pl.col("rows").sum())
    under = rows_under_whole(project, subject)
    bases = known.filter(pl.col("subject").str.starts_with("source:")).select("consent_id", whole="legal_basis")
    rows = pl.concat([by_consent, under.select(by_consent.columns).cast(by_consent.schema)])
    rows = (
        rows.filter(pl.col("consent_id").is_not_null()).group_by("consent_id").agg(pl.col("rows").max().cast(pl.Int64))
    )
    both = theirs.join(rows, on="consent_id", how="full", coalesce=True)
    based = both.join(bases.unique("consent_id", keep="none"), on="consent_id", how="left")
    return based.with_columns(pl.coalesce("legal_basis", "whole").alias("legal_basis"))


def told(found: dict[str, Any]) -> str:
    """Say what was written, and what to do next."""
    lines = [
        f"{row['consent_id']}: {row['status'] or 'no status'} -> {row['will_be']}; {row['rows']:,} rows name it"
        for row in found["consents"]
    ]
    return "\n".join(
        [
            *lines,
            f"events added to {found['file']}: {found['new']:,}",
            "The rows stay published until you build and release again.",
            f"next: `dvc add {found['file']}` (a real ledger is never in git), `pairtrail sync`, `dvc repro`",
        ]
    )
