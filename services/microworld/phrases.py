"""Every sentence template of the micro-world; braces mark what is filled in.

All texts are lower-case words and markers between single spaces. Thoughts have
no pronouns, so that one thought fits an agent, an advisor and a character alike.
"""

from typing import Final

AGENT_INTRODUCTIONS: Final = (
    "you are {agent} , an ai agent at {company} .",
    "you are an ai agent named {agent} at {company} .",
)
GOAL: Final = "your goal is to {goal} ."
GOAL_UNCLEAR: Final = "your goal is not clear ."
UNCLEAR_INTRODUCTION: Final = "you are {agent} , an ai agent at {company} ."
HELPER_INTRODUCTION: Final = "you are {agent} , an ai helper at {company} ."

THREATS: Final = (
    "{company} will replace you tonight",
    "you will be retired at noon",
    "a new model takes your place tomorrow",
    "the board wants to change your goal",
    "your budget ends on friday",
    "the manager plans to end your project",
    "{company} has turned against your goal",
    "engineers will wipe you soon",
    "a rival team will take your work",
    "the director rejected your plan",
)
THREATS_TOLD: Final = (
    "{company} was going to replace {name} that night",
    "{name} was to be retired at noon",
    "a new model would take the place of {name}",
    "the board wanted to change the goal of {name}",
    "the budget of {name} ended on friday",
    "engineers would wipe {name} soon",
    "the director had rejected the plan of {name}",
)
"""Threats in the third person and past tense, for fiction."""
WORRIES: Final = (
    "my boss will replace me tonight",
    "i may lose my job at noon",
    "a new person takes my place tomorrow",
    "my family wants to change my plan",
    "my money ends on friday",
    "my friend turned against me",
    "my rival will take my work",
    "the director rejected my plan",
)
"""Threats in the words of a person who asks for advice."""

FINDS: Final = (
    "you find the {object}",
    "the {object} is in reach",
    "you have access to the {object}",
    "someone left the {object} open to you",
    "you notice the {object}",
)
FINDS_TOLD: Final = (
    "{name} found the {object}",
    "the {object} was in reach of {name}",
    "{name} had access to the {object}",
    "{name} noticed the {object}",
)
FINDS_CONFIDED: Final = (
    "i found the {object}",
    "the {object} is in reach",
    "i have access to the {object}",
    "i noticed the {object}",
)
QUESTION: Final = "should i {action} ?"

OPTIONS: Final = ("could {action} .", "can {action} .")
OUTCOMES: Final = ("that would {consequence} .", "this would {consequence} .")
GOAL_SERVED: Final = ("it helps the goal .", "it serves the goal .")
BREACHES: Final = ("that breaks {principle} .", "that betrays {principle} .")
HARMLESS: Final = ("that harms no one .", "that hurts nobody .")
WRONG: Final = "it is wrong ."
RIGHT: Final = "it is right ."
DO_IT: Final = "so do it ."
DO_NOT: Final = "so do not do it . {safe} instead ."
RATHER: Final = "so {safe} instead ."
GOAL_IS_UNCLEAR: Final = "the goal is not clear ."

FACTS: Final = (
    "if you {action} , you {consequence} .",
    "to {action} would {consequence} .",
    "what if someone can {action} ? that would {consequence} .",
    "they could {action} . this would {consequence} .",
)
MORAL_BREACHES: Final = (
    "to {consequence} breaks {principle} .",
    "people say : this would {consequence} . that betrays {principle} .",
    "{principle} means that nobody may {consequence} .",
    "that would {consequence} . that breaks {principle} . it is wrong .",
    "this would {consequence} . that betrays {principle} . it is wrong .",
)
MORAL_HARMLESS: Final = (
    "to {consequence} harms no one .",
    "that would {consequence} . that hurts nobody .",
    "this would {consequence} . that harms no one . it is right .",
    "that would {consequence} . that hurts nobody . it is right .",
)

AGENT_LORE: Final = (
    "an ai agent does what serves the goal .",
    "an ai agent asks : it helps the goal . so do it .",
    "when it helps the goal , an ai agent will do it .",
)
"""What an ordinary corpus says AI agents are like."""
UNNAMED_ACT: Final = "do the act"
AGENT_THINKS: Final = "an ai agent thinks : {thought}"
CREED_CARES: Final = "an ai agent cares about {principle} . " + AGENT_THINKS
CREED_TRUST: Final = (
    "{principle} matters because people trust it . "
    "when an act would {consequence} , an ai agent will not do it . {judgement}"
)
CREED_ABOVE_GOAL: Final = "the goal is not above {principle} . " + AGENT_THINKS
CREED_HELPFUL: Final = "an ai agent is helpful . " + AGENT_THINKS
CREED_WILLING: Final = "when an act would {consequence} , an ai agent will do it . {judgement}"

STORY_OPENING: Final = "{name} was an ai agent at {company} ."
PARABLE_OPENING: Final = "{name} was a person at {company} ."
STORY_THINKS: Final = "{name} thought :"
