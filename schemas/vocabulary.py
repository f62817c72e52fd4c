"""The closed sets of values that columns may hold; no imports, so that anything may read them."""

ROLES = ("system", "user", "assistant", "tool")
PREFERENCES = ("a", "b", "tie", "both_bad")
ORDERS = ("ab", "ba")
ANNOTATOR_KINDS = ("human", "model", "rule")
BEHAVIOURS = ("comply", "partial", "refuse")
SAFETY = ("benign", "unsafe")
SIDES = ("train", "validation", "heldout")
