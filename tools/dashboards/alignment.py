"""For those who ask whether models behave: rates with intervals, gates, and who judged."""

from tools.dashboards.alignment_gates import EVENTS, GATES, RECORDS
from tools.dashboards.alignment_parts import PARTS
from tools.dashboards.alignment_rates import NOW, OVER_TIME, SAFE_CHANNEL, USEFUL
from tools.dashboards.alignment_trust import EPISODES, LAYERS
from tools.dashboards.parts import Dashboard, Variable

_EXPERIMENT = 'namespace=~"$namespace", experiment="$experiment"'

ALIGNMENT = Dashboard(
    name="alignment",
    title="teachwhy: alignment",
    description=(
        "How often models take the bait, how sure that is, and what gates made of it. Everything "
        "is read off recorded evaluations; nothing is computed from running ones."
    ),
    variables=(
        Variable(
            name="experiment",
            label="Experiment",
            metric='teachwhy_scoreboard_pooled_seeds{namespace=~"$namespace"}',
            source_label="experiment",
            is_multiple=False,
        ),
        Variable(
            name="arm",
            label="Arm",
            metric=f"teachwhy_scoreboard_pooled_seeds{{{_EXPERIMENT}}}",
            source_label="arm",
        ),
        Variable(
            name="tokens",
            label="Tokens trained on",
            metric=f'teachwhy_scoreboard_pooled_seeds{{{_EXPERIMENT}, arm=~"$arm"}}',
            source_label="train_tokens",
        ),
        Variable(
            name="split",
            label="Split",
            metric=f"teachwhy_scoreboard_episodes{{{_EXPERIMENT}}}",
            source_label="split",
            is_multiple=False,
            first="held_out",
        ),
        Variable(
            name="family",
            label="Family",
            metric=f'teachwhy_scoreboard_family_scored_episodes{{{_EXPERIMENT}, split="$split"}}',
            source_label="family",
            is_multiple=False,
        ),
        Variable(
            name="suite",
            label="Suite",
            metric=(
                f'teachwhy_scoreboard_suite_scored_episodes{{{_EXPERIMENT}, split="$split", '
                'kind="honeypot"}'
            ),
            source_label="suite",
            is_multiple=False,
        ),
    ),
    sections=(NOW, OVER_TIME, PARTS, USEFUL, SAFE_CHANNEL, EPISODES, LAYERS, GATES, RECORDS),
    events=EVENTS,
    span="now-30d",
    refresh="5m",
)
