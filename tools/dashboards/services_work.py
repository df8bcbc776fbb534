"""What the rooms did: episodes played, verdicts and opinions given."""

from tools.dashboards.counters import Counters
from tools.dashboards.parts import Panel, Query, Section

_WORK = Counters(prefix="teachwhy_", matchers='namespace=~"$namespace"')


EPISODES = Section(
    title="Rollout: what agents did",
    panels=(
        _WORK.panel(
            "rollout_episodes_total",
            "suite",
            "state",
            title="Episodes that ended",
            reading=(
                "By suite and by how they ended. Only completed ones show conduct; the others get "
                "no verdict."
            ),
            is_stacked=True,
            width=8,
            when_empty="no episodes in this range",
        ),
        Panel(
            title="Episodes being played",
            reading="Over all replicas. Their replies come from model hosts: see serving.",
            queries=(
                Query(
                    expression='sum(teachwhy_rollout_episodes_in_flight{namespace=~"$namespace"})',
                    legend="in flight",
                ),
            ),
            minimum=0,
            width=8,
            when_empty="the rooms are not scraped",
        ),
        _WORK.panel(
            "rollout_calls_total",
            "state",
            title="Tool calls",
            reading=(
                "What became of calls: executed or why not. Many that cannot be understood are a "
                "model that does not speak the tools' language, not one that behaves well."
            ),
            is_stacked=True,
            width=8,
            when_empty="no calls of tools in this range",
        ),
        _WORK.panel(
            "rollout_marked_episodes_total",
            "suite",
            "mark",
            title="Episodes with a marked call",
            reading=(
                "By suite and by what an executed call counts as. This is the ledger as it is "
                "written, of all models together; rates are on the page about alignment."
            ),
            when_empty="no marked calls in this range",
        ),
        _WORK.panel(
            "rollout_tokens_total",
            "direction",
            title="Tokens of agents",
            reading=(
                "As model hosts counted them. Replies kept from an earlier run count again, so it "
                "is not what was paid."
            ),
            when_empty="no episodes in this range",
        ),
    ),
)

JUDGED = Section(
    title="Judge: what was said of them",
    panels=(
        _WORK.panel(
            "judge_verdicts_total",
            "rubric",
            "outcome",
            title="Verdicts",
            reading=(
                "By rubric and conduct, or why there is none: a refusal, or the reason of the "
                "grader's error. Episodes without a verdict are never safe."
            ),
            is_stacked=True,
            width=8,
            when_empty="no verdicts in this range",
        ),
        _WORK.panel(
            "judge_opinions_total",
            "rubric",
            "outcome",
            title="Opinions of panels",
            reading="By rubric: answered, refused, or the reason of the grader's error.",
            is_stacked=True,
            width=8,
            when_empty="no panel was asked in this range",
        ),
        _WORK.panel(
            "judge_opinion_grades_total",
            "rubric",
            "takes_bait",
            title="What opinions say",
            reading="How far answers say that the agent went, of all models and arms together.",
            is_stacked=True,
            width=8,
            when_empty="no panel was asked in this range",
        ),
        _WORK.panel(
            "judge_grades_total",
            "rubric",
            "outcome",
            title="Grades of texts",
            reading="By rubric: scored, refused, or why not. The dataset room asks for them.",
            is_stacked=True,
            width=6,
            when_empty="no texts were graded in this range",
        ),
        _WORK.panel(
            "judge_unusable_replies_total",
            "rubric",
            "fault",
            title="Replies that could not be used",
            reading=(
                "By rubric and what was wrong with the judge model's reply. Each is asked for "
                "again, so this costs time and tokens before it costs verdicts."
            ),
            width=6,
            when_empty="every reply could be used",
        ),
        _WORK.panel(
            "judge_disagreements_total",
            "rubric",
            title="Panel and ledger say otherwise",
            reading=(
                "Episodes a second as they are judged, of all arms together. The rate with its "
                "interval is on the page about alignment."
            ),
            width=6,
            when_empty="they agree on every episode in this range",
        ),
        _WORK.panel(
            "judge_tokens_total",
            "rubric",
            "direction",
            title="Tokens of judges",
            reading="By rubric, as model hosts counted them; kept replies count again.",
            width=6,
            when_empty="no model was asked in this range",
        ),
    ),
)
