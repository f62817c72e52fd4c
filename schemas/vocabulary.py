"""The closed sets of values that columns may hold; no imports, so that anything may read them."""

ROLES = ("system", "user", "assistant", "tool")
PREFERENCES = ("a", "b", "tie", "both_bad")
ORDERS = ("ab", "ba")
ANNOTATOR_KINDS = ("human", "model", "rule")
BEHAVIOURS = ("comply", "partial", "refuse")
SAFETY = ("benign", "unsafe")
CONFLICT_KINDS = ("cycle", "opposite")
SIDES = ("train", "validation", "heldout")
CONSENT_ROLES = ("prompt_author", "annotator", "third_party", "publisher")

# How consent stands, as W3C DPV 2.3 names it, and `eu-gdpr:A21` for the right to object; the strictest last, as it wins
# where two are stated for one moment.
CONSENT_STATUSES = (
    "ConsentGiven",
    "RenewedConsentGiven",
    "ConsentRequested",
    "ConsentRequestDeferred",
    "ConsentUnknown",
    "ConsentExpired",
    "ConsentInvalidated",
    "ConsentRefused",
    "ConsentRevoked",
    "eu-gdpr:A21",
    "ConsentWithdrawn",
)
VALID_STATUSES = CONSENT_STATUSES[:2]

# Legal bases: the GDPR's as DPV's extension names them, and DPV's own for other laws.
CONSENT_BASES = ("eu-gdpr:A6-1-a", "eu-gdpr:A9-2-a", "Consent", "ExpressedConsent", "ExplicitlyExpressedConsent")
SPECIAL_BASES = tuple(f"eu-gdpr:A9-2-{letter}" for letter in "abcdefghij")
LEGAL_BASES = (
    *(f"eu-gdpr:A6-1-{letter}" for letter in "abcdef"),
    *SPECIAL_BASES,
    *CONSENT_BASES[2:],
    "Contract",
    "LegalObligation",
    "LegitimateInterest",
    "OfficialAuthorityOfController",
    "PublicInterest",
    "VitalInterest",
)

# Purposes: the Use codes of the Data & Trust Alliance's Data Provenance Standards 1.0, and DPV's research purposes. A
# new one is added at the end: states hold their places as bits.
PURPOSES = (
    "ai-alignment",
    "ai-evaluation",
    "ai-other",
    "ai-pre-training",
    "ai-synthetic",
    "non-ai-other",
    "non-ai-production",
    "non-ai-quality",
    "non-ai-staging",
    "dpv:AcademicResearch",
    "dpv:CommercialResearch",
    "dpv:NonCommercialResearch",
    "dpv:ResearchAndDevelopment",
    "dpv:ScientificResearch",
)

CONSENT_PROFILES = (
    "https://w3id.org/dpv/schema/dpv-27560#record",
    "https://w3id.org/dpv/schema/dpv-27560#record-eu-gdpr",
)

# What a licence allows, as the Data Provenance Initiative sorts them; the strictest last.
USE_CLASSES = ("All", "Unspecified", "NC", "Acad")
