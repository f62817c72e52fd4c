"""Folding against a plain Python fold; what is published, in which file, and what the manifest says of it."""

import json
from collections import Counter, defaultdict
from fractions import Fraction
from hashlib import sha256
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from pipeline.core.canary import canary
from pipeline.core.closure import code_digest
from pipeline.core.digests import digest_text
from pipeline.core.errors import PairtrailError
from pipeline.core.publishing.content import content_digest, file_digest
from pipeline.core.publishing.folding import KEY, THIN, deciding, fold, oriented
from pipeline.stages import STAGES
from schemas.columns import dtypes
from schemas.comparisons import COMPARISONS
from schemas.vocabulary import SIDES
from tests.building import PARAMS, SIDECAR, Built, event, lines, record

A, B = sorted([digest_text("response", "x"), digest_text("response", "y")])
LICENSES = ["CC0-1.0", "MIT", "CC-BY-4.0"]

verdicts = st.fixed_dictionaries(
    {
        "swapped": st.booleans(),
        "preference": st.sampled_from(["a", "b", "tie", "both_bad"]),
        "strength": st.sampled_from([None, 0.0, 0.1, 0.25, 0.7, 1.0]),
        "presented_order": st.sampled_from(["ab", "ba", None]),
        "annotator": st.sampled_from(["ann", "bob", "cid", None]),
        "annotator_kind": st.sampled_from(["human", "model", "rule"]),
        "rubric_version": st.sampled_from(["r-1", "r-2"]),
        "model_a": st.sampled_from(["m-1", "m-2", None]),
        "category": st.sampled_from(["x", "y", None]),
        "license": st.sampled_from(LICENSES),
        "source": st.sampled_from(["s", "t"]),
        "purposes": st.sampled_from([["p"], ["p", "q"], ["q"]]),
    }
)


def frame(drawn: list[dict[str, Any]]) -> pl.DataFrame:
    types = {**dtypes(COMPARISONS), "side": pl.String, "purposes": pl.List(pl.String)}
    rows = []
    for place, row in enumerate(drawn):
        first, second = (B, A) if row["swapped"] else (A, B)
        given_row: dict[str, Any] = {name: row.get(name) for name in (*THIN, "purposes")}
        ids = {"comparison_id": digest_text(str(place)), "response_a_id": first, "response_b_id": second}
        rows.append({**given_row, **ids, "pair_id": "p", "policy_version": "p-1", "side": "train", "root_id": "r"})
    return pl.DataFrame(rows, schema={name: types[name] for name in (*THIN, "purposes", "side")})


def folded_by_hand(drawn: list[dict[str, Any]], majority: str) -> dict[str, dict[str, Any]]:
    """Fold with dictionaries and exact fractions, straight from the design's words."""
    found: dict[str, dict[str, Any]] = {}
    for rubric in {row["rubric_version"] for row in drawn}:
        rows = [(digest_text(str(place)), row) for place, row in enumerate(drawn) if row["rubric_version"] == rubric]
        if any(row["annotator_kind"] == "human" for _, row in rows):
            rows = [(name, row) for name, row in rows if row["annotator_kind"] == "human"]
        said: dict[str, list[tuple[str, float | None]]] = defaultdict(list)
        for name, row in rows:
            turn = {"a": "b", "b": "a"} if row["swapped"] else {}
            voter = f"{row['annotator']} {row['annotator_kind']}" if row["annotator"] else name
            said[voter].append((turn.get(row["preference"], row["preference"]), row["strength"]))
        votes, strengths = [], []
        for statements in said.values():
            signs = [{"a": 1, "b": -1}.get(what, 0) for what, _ in statements]
            neither = "both_bad" if all(what == "both_bad" for what, _ in statements) else "tie"
            votes.append("a" if sum(signs) > 0 else "b" if sum(signs) < 0 else neither)
            signed = [
                Fraction(0) if not sign else None if strength is None else sign * Fraction(strength)
                for sign, (_, strength) in zip(signs, statements, strict=True)
            ]
            strengths.append(None if None in signed else sum(signed) / len(signed))  # type: ignore[arg-type]
        count, n = Counter(votes), len(votes)
        needed = {"all": Fraction(n, 2), "decided": None}[majority]
        a, b = count["a"], count["b"]
        chosen = (
            "a"
            if (a > needed if needed is not None else a > b)
            else "b"
            if (b > needed if needed is not None else b > a)
            else None
        )
        models = {("b" if row["swapped"] else "a", row["model_a"]) for _, row in rows if row["model_a"]}
        categories = {row["category"] for _, row in rows if row["category"]}
        found[rubric] = {
            "chosen": chosen,
            "n": [count[name] for name in ("a", "b", "tie", "both_bad")],
            "p_a": (a + Fraction(count["tie"] + count["both_bad"], 2)) / n,
            "agreement": None if n < 2 else Fraction(sum(c * (c - 1) for c in count.values()), n * (n - 1)),
            "strength": None if None in strengths else sum(strengths) / n,  # type: ignore[arg-type]
            "license": max((row["license"] for _, row in rows), key=LICENSES.index),
            "purposes": sorted(set.intersection(*(set(row["purposes"]) for _, row in rows))),
            "sources": sorted({row["source"] for _, row in rows}),
            "comparison_ids": sorted(name for name, _ in rows),
            "category": categories.pop() if len(categories) == 1 else None,
            "model_a": _only({model for side, model in models if side == "a"}),
            "fold": "human" if rows[0][1]["annotator_kind"] == "human" else "model",
        }
    return found


def _only(values: set[str]) -> str | None:
    return values.pop() if len(values) == 1 else None


@given(st.lists(verdicts, min_size=1, max_size=12), st.sampled_from(["all", "decided"]))
@settings(max_examples=150)
def test_folding_is_what_the_design_says(drawn: list[dict[str, Any]], majority: str) -> None:
    given_rows = oriented(frame(drawn))
    marked = given_rows.with_columns(deciding(given_rows, humans_decide=True)).filter("folded")
    rows = {row["rubric_version"]: row for row in fold(marked, majority=majority, licenses=LICENSES).to_dicts()}
    expected = folded_by_hand(drawn, majority)
    assert rows.keys() == expected.keys()
    for rubric, want in expected.items():
        row = rows[rubric]
        for name in ("chosen", "license", "purposes", "sources", "comparison_ids", "category", "model_a", "fold"):
            assert row[name] == want[name], name
        assert [row[name] for name in ("n_a", "n_b", "n_tie", "n_bad")] == want["n"]
        for name in ("p_a", "agreement", "strength"):
            assert row[name] == (None if want[name] is None else pytest.approx(float(want[name]), abs=1e-9)), name
        assert row["table"] == ("ties" if want["chosen"] is None else "pairs")
        assert row["text_id"] == want["comparison_ids"][0]


@given(st.lists(verdicts, min_size=1, max_size=10), st.randoms())
@settings(max_examples=40)
def test_folding_knows_no_order_and_no_presentation(drawn: list[dict[str, Any]], rng: Any) -> None:  # noqa: ANN401
    rows = frame(drawn)
    turned = {"a": "b", "b": "a"}
    flipped = [
        {**row, "response_a_id": row["response_b_id"], "response_b_id": row["response_a_id"]}
        | {"preference": turned.get(row["preference"], row["preference"])}
        | {"model_a": row["model_b"], "model_b": row["model_a"]}
        for row in rows.to_dicts()
    ]
    rng.shuffle(flipped)
    results = [
        fold(oriented(given_rows), majority="all", licenses=LICENSES)
        for given_rows in (rows, pl.DataFrame(flipped, schema=rows.schema), rows.reverse())
    ]
    assert results[0].equals(results[1])
    assert results[0].equals(results[2])


def test_models_are_folded_where_a_parameter_says_so() -> None:
    base = {
        "swapped": False,
        "preference": "a",
        "rubric_version": "r-1",
        "license": "MIT",
        "source": "s",
        "purposes": ["p"],
    }
    rows = oriented(frame([{**base, "annotator_kind": "human"}, {**base, "annotator_kind": "model"}]))
    assert deciding(rows, humans_decide=False).to_list() == [True, True]
    assert sorted(deciding(rows, humans_decide=True).to_list()) == [False, True]


def voted(**votes: str) -> str:
    return lines(*(record(annotator=who, preference=what) for who, what in votes.items()))


def published(built: Built, table: str) -> pl.DataFrame:
    return pl.concat(
        (built.table(f"publish/{side}/{table}") for side in ("train", "validation", "heldout")), how="diagonal"
    )


def test_a_pair_is_published_with_its_votes(project: Built) -> None:
    project.source("s", {"x.jsonl": voted(ann="a", bob="a", cid="b")})
    judge = {"annotator_kind": {"constant": "model"}}
    project.source("judge", {"x.jsonl": voted(gpt="b")}, fields={**SIDECAR["fields"], **judge}).run()
    row = published(project, "pairs").to_dicts()[0]
    assert (row["chosen"], row["rejected"]) == ("Scattering.", "Magic.")
    assert row["votes"] == {"chosen": 2, "rejected": 1, "tie": 0, "both_bad": 0}
    assert (row["p_chosen"], row["agreement"]) == (pytest.approx(2 / 3), pytest.approx(1 / 3))
    assert (row["fold"], row["sources"], len(row["comparison_ids"])) == ("human", ["s"], 3)
    votes = published(project, "votes")
    assert votes.filter(folded=False).select("annotator_kind", "source").rows() == [("model", "judge")]
    assert sorted(votes["annotator_number"]) == [1, 2, 3, 4]
    assert project.account("publish")["dropped_by"] == {"human_judged": 1}


def test_rubrics_are_never_folded_together(project: Built) -> None:
    rows = lines(record(rubric="r-1"), record(rubric="r-2", preference="b"))
    project.source("s", {"x.jsonl": rows}, rubric_version={"path": "rubric"}).run()
    assert sorted(published(project, "pairs").select("rubric_version", "chosen").rows()) == [
        ("r-1", "Scattering."),
        ("r-2", "Magic."),
    ]


def test_half_is_no_majority(project: Built) -> None:
    project.source("s", {"x.jsonl": voted(ann="a", bob="tie")}).run()
    tie = published(project, "ties").to_dicts()[0]
    assert sum(tie["votes"].values()) == 2
    assert {tie["response_a"], tie["response_b"]} == {"Scattering.", "Magic."}
    assert tie["p_a"] in {0.25, 0.75}


def test_dates_and_numbers_stand_for_times_and_people(project: Built) -> None:
    fields = {**SIDECAR["fields"], "created_at": "at"}
    project.source("s", {"x.jsonl": lines(record(at="2026-03-04T23:59:00Z"))}, fields=fields).run()
    vote = published(project, "votes").to_dicts()[0]
    assert str(vote["created_on"]) == "2026-03-04"
    assert "annotator" not in vote
    assert vote["annotator_number"] == 1


def test_annotator_numbers_of_one_build_say_nothing_of_the_next(project: Built) -> None:
    def numbers(*names: str) -> list[int]:
        project.source("s", {"x.jsonl": lines(*(record(prompt=f"{n}?", annotator=n) for n in names))}).run()
        who = project.comparisons().select("comparison_id", "annotator")
        votes = published(project, "votes").join(who, on="comparison_id").sort("annotator")
        return votes["annotator_number"].to_list()

    names = [f"w{i}" for i in range(12)]
    first = numbers(*names)
    assert sorted(first) == list(range(1, 13))
    assert first == numbers(*names)
    assert [number - min(second) for second in [numbers(*names[:-1])] for number in second] != first[:-1]


def test_every_stage_s_own_code_stands_in_the_manifest(project: Built) -> None:
    project.source("s", {"x.jsonl": lines(record())}).run()
    manifest = json.loads((project.stage("publish") / "manifest.json").read_text(encoding="utf-8"))
    told = {stage: account["code_digest"] for stage, account in manifest["accounts"].items()}
    assert told == {stage: code_digest([f"pipeline.stages.{stage}"]) for stage in STAGES}
    assert manifest["code_digest"] == sha256("".join(told[stage] for stage in STAGES).encode()).hexdigest()


def test_the_manifest_tells_the_truth_about_its_files(project: Built) -> None:
    project.source("s", {"x.jsonl": lines(*(record(prompt=f"Q{i}?") for i in range(30)))}).run()
    folder = project.stage("publish")
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    tables = {path.relative_to(folder).as_posix() for path in folder.glob("*/*.parquet")}
    assert set(manifest["files"]) == tables
    assert len(tables) == 9
    for name, facts in manifest["files"].items():
        path = folder / name
        assert facts["rows"] == parquet.read_metadata(path).num_rows
        assert facts["sha256"] == file_digest(path)
        assert facts["content_sha256"] == content_digest(path)
        in_footer = json.loads(parquet.read_metadata(path).metadata[b"pairtrail"])
        assert in_footer == {key: value for key, value in manifest.items() if key != "files"}
    assert manifest["accounts"]["publish"]["in"] == 30
    assert manifest["key_fingerprint"] == "913cf30ff011dfd9"
    assert set(manifest["policies"]) == {"p-1"}
    assert manifest["sources"]["s"]["purposes"] == ["ai-alignment", "ai-evaluation"]


def test_held_out_rows_bear_the_canary_of_their_epoch_and_no_other_rows_do(project: Built) -> None:
    project.source("s", {"x.jsonl": lines(*(record(prompt=f"Q{i}?", preference="ab"[i % 2]) for i in range(40)))})
    project.source("t", {"x.jsonl": lines(*(record(prompt=f"Q{i}?", annotator="bob") for i in range(40)))}).run()
    salt = sha256(PARAMS["split"]["salt"].encode()).hexdigest()
    for table in ("pairs", "ties"):
        rows = project.table(f"publish/heldout/{table}")
        assert rows["canary"].to_list() == [canary(salt, 1)] * rows.height != []
        assert all("canary" not in project.table(f"publish/{side}/{table}").columns for side in ("train", "validation"))
    assert "canary" not in project.table("publish/heldout/votes").columns
    project.epochs.unlink()
    project.set_params(split={"epoch": 2}).run("split", "publish")
    assert set(published(project, "pairs")["canary"].drop_nulls()) == {canary(salt, 2)}


def test_no_file_that_consumers_get_holds_the_canary(project: Built) -> None:
    """Else whoever searches for it would find it where no held-out row is."""
    project.source("s", {"x.jsonl": lines(*(record(prompt=f"Q{i}?") for i in range(40)))}).run()
    mark = published(project, "pairs")["canary"].drop_nulls()[0].encode()
    others = [path for path in project.stage("publish").rglob("*") if path.is_file() and path.parent.name != "heldout"]
    assert len(others) > 8
    for path in others:
        frame = pl.read_parquet(path) if path.suffix == ".parquet" else None
        assert mark not in path.read_bytes()
        assert frame is None or mark.decode() not in frame.write_json()


def test_large_roots_are_named(project: Built) -> None:
    rows = [record(a=f"answer {i}") for i in range(3)] + [record(prompt="Else?")]
    project.source("s", {"x.jsonl": lines(*rows)}).run()
    manifest = json.loads((project.stage("publish") / "manifest.json").read_text(encoding="utf-8"))
    assert [root["rows"] for root in manifest["large_roots"]] == [3]


def test_a_failed_gate_publishes_nothing(project: Built) -> None:
    project.source("s", {"x.jsonl": lines(record())}).run()
    before = {path: path.read_bytes() for path in project.stage("publish").rglob("*") if path.is_file()}
    project.set_params(publish={"gate": {**PARAMS["publish"]["gate"], "fewest_train_pairs": 2}})
    with pytest.raises(PairtrailError, match=r"train\.pairs: .*pairs that train must hold"):
        project.run("publish")
    assert {path: path.read_bytes() for path in project.stage("publish").rglob("*") if path.is_file()} == before


def test_gate_limits_are_all_stated(project: Built) -> None:
    project.source("s", {"x.jsonl": lines(record())}).set_params(publish={"gate": {"most_quarantined": 1.0}})
    with pytest.raises(PairtrailError, match="most_dropped`: it must be stated"):
        project.run()


def test_a_licence_without_a_rank_is_refused(project: Built) -> None:
    project.source("s", {"x.jsonl": lines(record())}).set_params(publish={"licenses_strictest_last": ["MIT"]})
    with pytest.raises(PairtrailError, match=r"does not rank CC0-1\.0"):
        project.run()


def test_files_are_sorted_by_key_without_nulls_or_large_types(project: Built) -> None:
    project.source("s", {"x.jsonl": lines(*(record(prompt=f"Q{i}?", a=f"A{i}") for i in range(50)))}).run()
    for path in sorted(Path(project.stage("publish")).glob("*/*.parquet")):
        schema = parquet.read_schema(path)
        assert "large" not in str(schema)
        rows = pl.read_parquet(path)
        assert rows.select(KEY).rows() == sorted(rows.select(KEY).rows())
        column = parquet.ParquetFile(path).metadata.row_group(0).column(0) if rows.height else None
        assert column is None or column.compression == "ZSTD"
        texts = [name for name in ("prompt", "chosen", "rejected") if name in rows.columns]
        assert not any(rows.select(texts).null_count().rows()[0]) if texts else True


def test_an_expression_is_as_strict_as_the_strictest_licence_that_it_names(project: Built) -> None:
    both = "CC0-1.0 AND CC-BY-4.0"
    project.source("free", {"x.jsonl": lines(record())}, license="CC0-1.0")
    project.source("both", {"x.jsonl": lines(record(annotator="bob"))}, license=both).run()
    rows = pl.concat((project.table(f"publish/{side}/pairs") for side in SIDES), how="diagonal")
    assert rows["license"].to_list() == [both]


def test_a_licence_that_only_the_consent_record_names_is_not_passed_on_in_silence(project: Built) -> None:
    """Published under less than its publisher asks for, or dropped: it is dropped, until the sidecar names it."""
    whole = event(license="CC-BY-4.0")
    project.source("s", {"x.jsonl": lines(record())}, license="CC0-1.0").consents("s.jsonl", whole)
    assert project.run("ingest", "validate").reasons("validate") == {"license_not_allowed": 1}
    project.source("s", {"x.jsonl": lines(record())}, license="CC0-1.0 AND CC-BY-4.0").consents("s.jsonl", whole)
    assert project.run("ingest", "validate").reasons("validate") == {}
