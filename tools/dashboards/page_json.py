"""A dashboard as Grafana reads it: places, variables, marks and links."""

from collections.abc import Iterator, Sequence

from tools.dashboards.panel_json import DATASOURCE, Json, panel_json
from tools.dashboards.parts import GRID_WIDTH, Dashboard, Event, Panel, Section, Variable

TAG = "teachwhy"
_SCHEMA_VERSION = 39
_HEADING_HEIGHT = 1


def page_json(page: Dashboard) -> Json:
    """Write a dashboard; the same one gives the same bytes."""
    return {
        "annotations": {"list": [_mark(event) for event in page.events]},
        "description": page.description,
        "editable": False,
        "graphTooltip": 1,
        "links": [_LINKS],
        "panels": list(_placed(page.sections)),
        "refresh": page.refresh,
        "schemaVersion": _SCHEMA_VERSION,
        "tags": [TAG],
        "templating": {"list": [_DATASOURCES, _namespaces(page), *map(_variable, page.variables)]},
        "time": {"from": page.span, "to": "now"},
        "timezone": "utc",
        "title": page.title,
        "uid": f"{TAG}-{page.name}",
    }


def _placed(sections: Sequence[Section]) -> Iterator[Json]:
    number = y = 0
    for section in sections:
        number += 1
        yield {
            "collapsed": False,
            "gridPos": {"h": _HEADING_HEIGHT, "w": GRID_WIDTH, "x": 0, "y": y},
            "id": number,
            "panels": [],
            "title": section.title,
            "type": "row",
        }
        y += _HEADING_HEIGHT
        for shelf in _shelves(section):
            x = 0
            for panel in shelf:
                number += 1
                yield panel_json(panel, number=number, x=x, y=y)
                x += panel.width
            y += max(panel.height for panel in shelf)


def _shelves(section: Section) -> Iterator[list[Panel]]:
    """Fill the width; a panel that is repeated has a shelf of its own, as Grafana gives it one."""
    shelf: list[Panel] = []
    for panel in section.panels:
        full = sum(each.width for each in shelf) + panel.width > GRID_WIDTH
        if shelf and (full or panel.repeat or shelf[-1].repeat):
            yield shelf
            shelf = []
        shelf.append(panel)
    yield shelf


_DATASOURCES: Json = {
    "hide": 0,
    "label": "Prometheus",
    "name": "datasource",
    "query": "prometheus",
    "type": "datasource",
}
_LINKS: Json = {
    "asDropdown": False,
    "icon": "external link",
    "includeVars": True,
    "keepTime": True,
    "tags": [TAG],
    "targetBlank": False,
    "title": "teachwhy",
    "tooltip": "The other dashboards",
    "type": "dashboards",
    "url": "",
}


def _namespaces(page: Dashboard) -> Json:
    """A namespace is a tenant. Where series have none, as without Kubernetes, "all" is right."""
    metric = page.variables[0].metric.partition("{")[0]
    return {
        **_variable(
            Variable(name="namespace", label="Namespace", metric=metric, source_label="namespace")
        ),
        "multi": False,
        "current": {"text": "All", "value": "$__all"},
    }


def _variable(variable: Variable) -> Json:
    query = f"label_values({variable.metric}, {variable.source_label})"
    written: Json = {
        "datasource": DATASOURCE,
        "includeAll": variable.is_multiple,
        "label": variable.label,
        "multi": variable.is_multiple,
        "name": variable.name,
        "query": {"query": query, "refId": variable.name},
        # Anew whenever the time range changes: arms come and go.
        "refresh": 2,
        "sort": 1,
        "type": "query",
    }
    if variable.is_multiple:
        # A value may be absent from the range shown; "all" then is everything, not a list.
        written["current"] = {"text": ["All"], "value": ["$__all"]}
        if not variable.is_listed:
            written["allValue"] = ".*"
    elif variable.first:
        written["current"] = {"text": variable.first, "value": variable.first}
    return written


def _mark(event: Event) -> Json:
    return {
        "datasource": DATASOURCE,
        "enable": True,
        "expr": event.expression,
        "iconColor": event.color,
        "name": event.name,
        "step": "60s",
        "titleFormat": event.title,
        "useValueForTime": True,
    }
