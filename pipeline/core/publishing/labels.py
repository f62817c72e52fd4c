"""What the Hugging Face Hub calls a dataset's licence, languages and size; and its tags."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from pipeline.core.licenses import licenses_in

# The Hub's identifiers that are SPDX's in lower case.
_HUB = """
    afl-3.0 apache-2.0 artistic-2.0 bsd-2-clause bsd-3-clause bsd-3-clause-clear bsl-1.0 cc-by-2.0 cc-by-2.5
    cc-by-3.0 cc-by-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0
    cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cc-by-nd-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc0-1.0 cdla-permissive-1.0
    cdla-permissive-2.0 cdla-sharing-1.0 ecl-2.0 epl-1.0 epl-2.0 etalab-2.0 eupl-1.1 isc lppl-1.3c mit mpl-2.0 ms-pl
    ncsa ofl-1.1 osl-3.0 postgresql unlicense wtfpl zlib
"""
_AS_SPDX = frozenset(_HUB.split())
_GNU = ("agpl-3.0", "gpl-2.0", "gpl-3.0", "lgpl-2.1", "lgpl-3.0")
_BY_SPDX = {
    **{f"{name}-only": name for name in _GNU},
    **{f"{name}-or-later": name for name in _GNU},
    "c-uda-1.0": "c-uda",
    "lgpllr": "lgpl-lr",
    "odbl-1.0": "odbl",
    "odc-by-1.0": "odc-by",
    "pddl-1.0": "pddl",
}
# ISO 639-1.
_ISO_639_1 = """
    aa ab ae af ak am an ar as av ay az ba be bg bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv dz ee el en
    eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik io is it iu ja
    jv ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb
    nd ne ng nl nn no nr nv ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg si sk sl sm sn so sq
    sr ss st su sv sw ta te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu
"""
_TWO_LETTERS = frozenset(_ISO_639_1.split())
_TAG = re.compile(r"([A-Za-z]{2,3})(?:[-_][A-Za-z0-9]{2,8})*")
# ISO 639-2 for: not known, not coded, several, none.
_NO_LANGUAGE = {"und", "mis", "mul", "zxx"}
_SIZES = ("1K", "10K", "100K", "1M", "10M", "100M", "1B", "10B", "100B", "1T")
_LONGEST_NAME = 96


def hub_license(expressions: Iterable[str]) -> dict[str, str]:
    """Return the Hub's `license`, and for what it has no identifier, or where there are several, a `license_name`."""
    stated = sorted(set(expressions))
    if not stated:
        return {}
    known = _identifier(stated[0]) if len(stated) == 1 else None
    if known:
        return {"license": known}
    name = re.sub(r"[^a-z0-9.]+", "-", "-and-".join(stated).lower()).strip("-.")
    return {"license": "other", "license_name": name[:_LONGEST_NAME].strip("-.")}


def _identifier(expression: str) -> str | None:
    named = licenses_in(expression)
    spdx = named[0].lower()
    return None if len(named) > 1 else spdx if spdx in _AS_SPDX else _BY_SPDX.get(spdx)


def language_code(stated: str) -> str | None:
    """Return the ISO 639 code of a language tag such as `en`, `de-CH` or `yue`; null for what is no such tag."""
    tag = _TAG.fullmatch(stated.strip())
    code = tag[1].lower() if tag else ""
    return code if code in _TWO_LETTERS or (len(code) > 2 and code not in _NO_LANGUAGE) else None  # noqa: PLR2004


def languages(stated: Iterable[str]) -> list[str]:
    """Return the codes of the languages that are stated, sorted."""
    return sorted({code for one in stated if (code := language_code(one))})


def size_category(rows: int) -> str:
    """Return the Hub's class of sizes that a number of rows is in."""
    if rows < 1_000:  # noqa: PLR2004
        return "n<1K"
    power = (len(str(rows)) - 1) - 3
    return f"{_SIZES[power]}<n<{_SIZES[power + 1]}" if power + 1 < len(_SIZES) else f"n>{_SIZES[-1]}"


def tags(manifest: Mapping[str, Any]) -> list[str]:
    """Return tags that the Hub's datasets of this kind bear; each follows from a fact."""
    people = ["human-feedback"] if "human" in manifest["annotators"] else []
    return ["preference", "rlhf", "dpo", *people, *(["synthetic"] if manifest["synthetic"] else [])]
