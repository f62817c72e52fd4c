"""What `pairtrail check` tells of consent: the ledger as a whole, and sources that can publish nothing."""

from collections.abc import Iterator

from pipeline.core.consent.appending import refuse_rewritten
from pipeline.core.consent.events import read_events
from pipeline.core.consent.states import consents
from pipeline.core.project import Project
from pipeline.core.sidecar.sidecars import Source
from pipeline.lineage.consent.held import terms_of


def ledger_told(project: Project) -> str:
    """Read the whole ledger, and tell what contradicts (the strictest counts) and whether it is newer than `as_of`.

    Raises PairtrailError where it is malformed, or lost a line.
    """
    refuse_rewritten(project)
    events = read_events(project.ledger)
    found = consents(events)
    if found.is_empty():
        return "no consent record"
    told = [f"{found['events'].sum():,} events of {found.height:,} consents"]
    if contradictory := found["contradictions"].sum():
        told.append(f"{contradictory:,} contradictions, of which the strictest counts")
    newest, as_of = max(events["status_time"].dt.strftime("%Y-%m-%d").to_list()), str(terms_of(project).as_of)
    if newest > as_of:
        told.append(f"newest of {newest}, after `as_of` {as_of}: what ended in between still counts")
    return "; ".join(told)


def unconsented(source: Source) -> Iterator[str]:
    """Say why a source can publish nothing: none of its rows can name who must have consented."""
    consent = source.sidecar.consent
    if consent is None:
        yield "`consent: none`, so no row will be published"
        return
    named = {ref.role for ref in source.consent_refs} | ({"publisher"} if consent.record else set())
    if missing := [role for role in consent.roles if role not in named]:
        yield f"no row will be published: `consent.roles` has {', '.join(missing)}, and no reference is of that role"
    elif not named:
        yield "no row will be published: name a consent by `consent.record`, or by `fields.consent_refs`"
