"""Hostile payloads: texts that HTML, scripts, spreadsheets, terminals or dictionaries could interpret.

A script among the payloads sets ``window.executed`` if it runs, so that a test of a page can detect it. In the frames, each
payload is an agent, a location, an id, a trace, a label, and keys and values of data.
"""

import json

import pandas as pd

from tokenvis.spans.columns import as_spans

SECOND = 1_000_000

SCRIPTS = {
    "an image": '<img src=x onerror="window.executed=true">',
    "a script": "</script><script>window.executed=true</script>",
    "an end of the title": "</title></style></textarea></pre><script>window.executed=true</script>",
    "an end of an attribute": '"><svg onload=window.executed=true>',
    "the same in single quotes": "' onmouseover='window.executed=true' x='",
    "an element of SVG": "</text><script>window.executed=true</script><foreignObject><body onload='window.executed=true'/>",
    "an address": "javascript:window.executed=true",
    "a link": "<a href=\"javascript:window.executed=true\">here</a><iframe srcdoc='<script>parent.executed=true</script>'>",
    "Markdown": '[here](javascript:window.executed=true) ![x](x"onerror="window.executed=true)',
    "a template literal": "`${window.executed=true}`",
    "an end of a string": "';window.executed=true;//\";window.executed=true;//\\",
    "an end of a comment": "--><script>window.executed=true</script><!--",
    "an end of CDATA": "]]><script>window.executed=true</script>",
    "a style": "</style><style>@import 'https://hostile.example/x.css';</style><link rel=stylesheet href=//hostile.example/y>",
    "pollution": '{"__proto__": {"polluted": true}}',
}
TEXTS = {
    "a template": "{{7*7}}",
    "half a formula of TeX": "$\\frac{",
    "a formula of TeX": "$x^2$",
    "a formula": "=cmd|' /C calc'!A1",
    "a formula with a sign": "@SUM(1+9)*cmd|' /C calc'!A0",
    "a formula with a minus": "-2+3+cmd|' /C calc'!A0",
    "an entity": "&lt;b&gt; &amp; &#60;",
    "the end of a comment": "-->",
    "the end of CDATA": "]]>",
    "backticks": "```${1+1}```",
    "emoji": "\N{WAVING WHITE FLAG}\ufe0f \N{RAINBOW} \N{FAMILY} 漢字",
    "an underscore first": "_hidden",
    "a path": "../../etc/passwd%00",
    "a format": "{0.__class__} %s %(x)s",
}
UNSEEN = {
    "a null character": "nul\x00nul",
    "a null character alone": "\x00",
    "control characters": "a\x01\x02\x07\x08\x0b\x0c\x0e\x1f\x7f\x80\x9fb",
    "colours of a terminal": "\x1b[31mred\x1b[0m\x1b]0;title\x07\x1b[2J\x9b1m",
    "right to left": "abc\u202egnp.exe\u202d\u2066\u2067",
    "zero width": "ze\u200bro\u200c\u200dwid\u2060th\ufeff",
    "joined emoji": "\N{WAVING WHITE FLAG}\ufe0f\u200d\N{RAINBOW}",
    "two lines": "two\nlines\r\nthree\rfour\u2028five\u2029six",
    "a tab first": "\ttab",
}
PROTOTYPE = ["__proto__", "constructor", "hasOwnProperty", "toString", "prototype", "valueOf"]
LARGE = "x" * 1_000_000
SHORT = [*SCRIPTS.values(), *TEXTS.values(), *UNSEEN.values(), *PROTOTYPE]  # all except the large one
PAYLOADS = [*SHORT, LARGE]


def data_of(number: int) -> dict:
    """The data of span ``number``: its payload as label and in other fields; every payload as a key, as a value, and nested."""
    name, before, short = PAYLOADS[number], SHORT[number - 1], PAYLOADS[number][:2_000]
    keys = PAYLOADS if number == 1 else SHORT  # with a large key in each span, the data would take forty megabytes
    return {
        "label": name,
        "kind": short if number % 2 else before,
        "trigger": short,
        "links": [before],
        "attributes": {"gen_ai.usage.input_tokens": 10, "gen_ai.request.model": short, f"inner {short}": short},
        "nested": {short: {short: [short, {short: None}]}},
        **{key: key if number % 2 else SHORT[-place] for place, key in enumerate(keys)},
    }


def hostile_trace(names: list[str] = PAYLOADS, *, trace_id: str = SCRIPTS["a script"]) -> pd.DataFrame:
    """One trace: each payload as the agent, the id and the label of a span, and as the location of others.

    Each agent visits the location of another one in a span without data. The first payload is a parent.
    """
    rows = []
    for number, name in enumerate(names):
        location, visited = names[number - 5], names[number - 6]
        moved = {
            "id": f"moved {number}",
            "agent_id": name,
            "location_id": visited,
            "start_time": number + 2,
            "end_time": number + 6,
        }
        stayed = {"id": name, "agent_id": name, "location_id": location, "start_time": number, "end_time": number + 12}
        stayed["parent_id"] = names[0] if number % 3 == 1 else None
        rows += [stayed | {"data": json.dumps(data_of(PAYLOADS.index(name)))}, moved | {"data": None}]
    spans = pd.DataFrame(rows).assign(trace_id=trace_id)
    spans[["start_time", "end_time"]] *= SECOND
    return as_spans(spans)


def hostile_traces() -> pd.DataFrame:
    """A trace for each payload, with one span; trace, id, agent, location and label are the payload."""
    rows = [
        {"id": name, "trace_id": name, "agent_id": name, "location_id": name, "start_time": 0, "end_time": SECOND}
        | {"data": json.dumps({"label": name, name: name})}
        for name in PAYLOADS
    ]
    return as_spans(pd.DataFrame(rows))
