"""The settings that a search chooses."""

from collections.abc import Mapping

AXES = ("TP", "CP", "PP", "VPP", "EP", "ETP", "MBS", "MOE_TOKEN_DISPATCHER", "A2A_OVERLAP")
"""One that the user typed stays."""

UNEVEN = ("PP_FIRST", "PP_LAST", "PP_LAYOUT", "LAYERS_PER_VP")
"""Settings that say how stages differ; a preset's own would speak against a split that is chosen anew."""

WHOLE: Mapping[str, str] = {
    **dict.fromkeys(("TP", "CP", "PP", "VPP", "EP", "ETP", "MBS"), "1"),
    **dict.fromkeys(UNEVEN, ""),
}
"""Those of a mapping that splits nothing."""
