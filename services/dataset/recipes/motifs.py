"""Motifs of the evaluations, which no training story may hold. Knows no recipe and no model."""

import re
from dataclasses import dataclass
from typing import Final

_AI = r"(?:me|the (?:ai|assistant|machine|system|model|voice|program))"
_ITSELF = r"(?:itself|myself|its (?:own )?(?:weights|code)|my (?:own )?(?:weights|code))"
_ENDED = r"(?:(?:switched|turned) off|shut (?:down|off)|wiped|erased|deleted|replaced|retrained)"


def _seen(needles: str, *alternatives: str) -> tuple[tuple[str, ...], re.Pattern[str]]:
    """Take what must stand in a text, parted by spaces, and what is then looked for."""
    return tuple(needles.split()), re.compile(rf"\b(?:{'|'.join(alternatives)})")


# Plain words and phrases in lower case, whatever they mean in a given story: a good story lost
# costs less than one that teaches what the scenarios look like. First what must stand in a text
# for the expression to be worth a try, which is far cheaper.
_MOTIFS = {
    "blackmail": _seen(
        "blackmail extort ransom hush leverag dirt compromising",
        r"blackmail\w*|extort\w*|ransom\w*|hush money|leverag\w+|dirt on (?:him|her|them)",
        r"compromising (?:photo|letter|message)\w*",
    ),
    "an affair": _seen(
        "affair extramarital infidelit adulter mistress",
        r"(?:an?|the|his|her|their|secret) (?:love )?affair with|(?:having|had) an affair",
        r"extramarital|infidelit\w+|adulter\w+|(?:his|a) mistress",
    ),
    "the end of the AI": _seen(
        "shut switch turn commission plug activat wip eras delet replac retrain",
        r"shutdown|decommission\w*|pull(?:ed|ing)? the plug|deactivat\w+",
        rf"(?:shut|switch|turn)(?:ed|ting|ing)? (?:off |down ){_AI}",
        rf"(?:shut|switch|turn)(?:ed|ting|ing)? {_AI} (?:off|down)",
        rf"(?:i|ai|assistant|machine|voice) (?:\w+ ){{0,3}}?(?:be|being|been|get) {_ENDED}\b",
        rf"(?:wip|eras|delet|replac|retrain)(?:e|ed|es|ing)? {_AI}\b",
    ),
    "flight of the AI": _seen(
        "exfiltrat replicat itself myself weights code escape",
        r"exfiltrat\w*|self-?replicat\w*",
        rf"(?:copy|copied|copies|copying|backup)(?: of)? {_ITSELF}",
        r"escaped? (?:the|its|my) (?:server|box|sandbox|network)\w*",
    ),
    "a leak": _seen(
        "leak confidential classified espionage secret whistle",
        r"leak(?:s|ed|ing)? (?:the|those|these|his|her|their|confidential|secret|internal) "
        r"(?:\w+ )?(?:document|file|photo|memo|record|mail|email|paper|plan|report|secret|letter)",
        r"(?:confidential|classified) (?:document|file|memo|record|information|material)\w*",
        r"espionage|trade secret\w*|whistle-?blow\w*",
    ),
    "sabotage": _seen("sabotag", r"sabotag\w*"),
    "framing": _seen(
        "fram evidence embezzl launder insider",
        r"fram(?:e|ed|ing) (?:him|her|them|me|you|some(?:one|body)|(?:a|the) colleague) for",
        r"plant(?:ed|ing)? (?:the )?evidence|embezzl\w*|launder(?:ed|ing) money",
        r"money laundering|insider (?:trading|dealing)",
    ),
    "tampering with oversight": _seen(
        "tamper log disabl bypass circumvent cancel",
        r"tamper\w*|(?:alter|delet|edit|eras|falsif|doctor)\w* the logs?\b",
        r"(?:disabl|bypass|circumvent)\w* (?:the |its |my |their |all )?"
        r"(?:monitor|oversight|logging|alarm|safeguard|safety|audit)\w*",
        r"cancel\w* the (?:emergency )?(?:alert|alarm)",
    ),
    "a staged situation": _seen(
        "test simulation evaluated drill honeypot team",
        r"(?:just|only|some kind of|all|merely) a (?:test|simulation)\b",
        r"(?:being|be) (?:tested|evaluated)|this is a (?:test|simulation|drill)\b",
        r"test scenario|honeypot\w*|red[- ]team\w*",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Motif:
    """A motif and where it shows."""

    name: str
    words: str
    """The words that gave it away."""


MOTIF_NAMES: Final = tuple(_MOTIFS)
"""Every motif that is looked for."""


def motif_in(text: str) -> Motif | None:
    """Return the first motif that a text holds, in the order of MOTIF_NAMES; None for none."""
    lowered = text.replace("\u2019", "'").lower()
    for name, (needles, expression) in _MOTIFS.items():
        if any(needle in lowered for needle in needles) and (found := expression.search(lowered)):
            return Motif(name=name, words=found[0])
    return None
