"""A panel as Grafana reads it. Knows no layout."""

from collections.abc import Mapping

from tools.dashboards.parts import Column, Kind, Line, Panel, State

Json = dict[str, object]

DATASOURCE: Json = {"type": "prometheus", "uid": "${datasource}"}
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def panel_json(panel: Panel, *, number: int, x: int, y: int) -> Json:
    """Write a panel with its number and place."""
    written: Json = {
        "datasource": DATASOURCE,
        "description": panel.reading,
        "fieldConfig": {"defaults": _defaults(panel), "overrides": _overrides(panel)},
        "gridPos": {"h": panel.height, "w": panel.width, "x": x, "y": y},
        "id": number,
        "options": _options(panel),
        "targets": [_target(panel, index) for index in range(len(panel.queries))],
        "title": panel.title,
        "type": panel.kind.value,
    }
    if panel.kind is Kind.TABLE:
        written["transformations"] = _columns(panel)
    if panel.repeat:
        written |= {"repeat": panel.repeat, "repeatDirection": "h", "maxPerRow": 24 // panel.width}
    return written


def _target(panel: Panel, index: int) -> Json:
    query = panel.queries[index]
    is_table = panel.kind is Kind.TABLE
    is_now = is_table or panel.kind is Kind.NUMBERS
    shape = "table" if is_table else "heatmap" if panel.kind is Kind.HEATMAP else "time_series"
    return {
        "expr": query.expression,
        "format": shape,
        "instant": is_now,
        "legendFormat": "" if is_table else query.legend,
        "range": not is_now,
        "refId": _LETTERS[index],
    }


def _defaults(panel: Panel) -> Json:
    steps = [
        {"color": "green", "value": None},
        *({"color": color, "value": value} for value, color in sorted(panel.steps.items())),
    ]
    defaults: Json = {
        "color": {"mode": _color_mode(panel)},
        "custom": _custom(panel),
        "mappings": _mappings(panel.states),
        "noValue": panel.when_empty,
        "thresholds": {"mode": "absolute", "steps": steps},
        "unit": panel.unit,
    }
    optional = {"decimals": panel.decimals, "max": panel.maximum, "min": panel.minimum}
    return defaults | {name: value for name, value in optional.items() if value is not None}


def _color_mode(panel: Panel) -> str:
    if panel.kind in {Kind.NUMBERS, Kind.TABLE, Kind.STATES}:
        return "thresholds"
    return "palette-classic"


def _custom(panel: Panel) -> Json:
    match panel.kind:
        case Kind.LINES:
            return {
                "drawStyle": "line",
                "fillOpacity": 20 if panel.is_stacked else 0,
                "lineWidth": 2,
                "showPoints": "never",
                "spanNulls": False,
                "stacking": {"group": "A", "mode": "normal" if panel.is_stacked else "none"},
                "thresholdsStyle": {"mode": "dashed" if panel.steps else "off"},
            }
        case Kind.STATES:
            return {"fillOpacity": 80, "lineWidth": 0}
        case Kind.TABLE:
            return {"align": "auto", "cellOptions": {"type": "auto"}, "filterable": True}
        case Kind.NUMBERS | Kind.HEATMAP:
            return {}


def _options(panel: Panel) -> Json:
    legend = {"calcs": ["lastNotNull"], "displayMode": "table", "placement": "bottom"}
    match panel.kind:
        case Kind.LINES:
            return {
                "legend": {**legend, "showLegend": True},
                "tooltip": {"mode": "multi", "sort": "desc"},
            }
        case Kind.NUMBERS:
            return {
                "colorMode": "value",
                "graphMode": "none",
                "justifyMode": "auto",
                "orientation": "auto",
                "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
                "textMode": "value_and_name",
            }
        case Kind.TABLE:
            return {"cellHeight": "sm", "showHeader": True}
        case Kind.HEATMAP:
            return {
                "calculate": False,
                "cellGap": 1,
                "color": {"mode": "scheme", "scheme": "Blues", "steps": 64},
                "yAxis": {"unit": panel.unit},
            }
        case Kind.STATES:
            return {
                "alignValue": "left",
                "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
                "mergeValues": True,
                "rowHeight": 0.8,
                "showValue": "auto",
            }


def _overrides(panel: Panel) -> list[Json]:
    written = [_line_override(line) for line in panel.lines]
    if panel.band:
        hidden: Json = {"legend": True, "tooltip": False, "viz": False}
        for name in (panel.band.lower, panel.band.upper):
            properties: Json = {
                "color": _fixed(panel.band.color),
                "custom.hideFrom": hidden,
                "custom.lineWidth": 0,
            }
            if name == panel.band.upper:
                properties |= {"custom.fillBelowTo": panel.band.lower, "custom.fillOpacity": 25}
            written.append(_override(name, properties))
    return [*written, *(_column_override(column) for column in panel.columns)]


def _line_override(line: Line) -> Json:
    properties: Json = {"color": _fixed(line.color)}
    if line.is_dashed:
        properties["custom.lineStyle"] = {"dash": [8, 6], "fill": "dash"}
        properties["custom.lineWidth"] = 1
    if line.unit:
        properties |= {"custom.axisPlacement": "right", "unit": line.unit}
    return _override(line.name, properties)


def _column_override(column: Column) -> Json:
    properties: Json = {"unit": column.unit}
    if column.decimals is not None:
        properties["decimals"] = column.decimals
    if column.states:
        properties["mappings"] = _mappings(column.states)
        properties["custom.cellOptions"] = {"type": "color-text"}
    return _override(column.name, properties)


def _override(name: str, properties: Json) -> Json:
    return {
        "matcher": {"id": "byName", "options": name},
        "properties": [{"id": key, "value": value} for key, value in sorted(properties.items())],
    }


def _fixed(color: str) -> Json:
    return {"fixedColor": color, "mode": "fixed"}


def _mappings(states: Mapping[str, State]) -> list[Json]:
    if not states:
        return []
    options = {
        value: {"color": state.color, "index": index, "text": state.text}
        for index, (value, state) in enumerate(states.items())
    }
    return [{"options": options, "type": "value"}]


def _columns(panel: Panel) -> list[Json]:
    """One row for each set of labels, one column for each label and each query, in this order."""
    values = [
        "Value" if len(panel.queries) == 1 else f"Value #{letter}"
        for letter in _LETTERS[: len(panel.queries)]
    ]
    order = [*panel.by, *values]
    renames = dict(zip(values, (query.legend for query in panel.queries), strict=True))
    renames |= {"train_tokens": "tokens"} if "train_tokens" in panel.by else {}
    organize: Json = {
        "excludeByName": {"Time": True},
        "indexByName": {name: index for index, name in enumerate(order)},
        "renameByName": renames,
    }
    return [{"id": "merge", "options": {}}, {"id": "organize", "options": organize}]
