"""Writes tests/fixtures/jinja/snippets.json: what Python's Jinja renders of small templates.

    python tests/golden/make_jinja_snippets.py                      (transformers 5, jinja2 3.1)

The environment is the one that transformers compiles chat templates with. Every filter, test,
method and operator is used with ordinary and odd values; where Python raises, the error is kept.
"""
import json
import re
from pathlib import Path

from transformers.utils.chat_template_utils import _compile_jinja_template

OUT = Path(__file__).parent.parent / "fixtures" / "jinja" / "snippets.json"

# As text: numbers keep their spelling, keys their order.
VARIABLES = """{
  "n": 3, "z": 0, "neg": -7, "big": 12345678901234567890, "f": 1.0, "g": 2.5, "tiny": 1e-7,
  "huge": 1e16, "e21": 1e21, "ie": 5e3, "third": 0.3333333333333333, "neg0": -0.0, "t": true, "no": false, "nil": null,
  "s": "hello World", "q": "it's", "qq": "say \\"hi\\"", "both": "it's \\"x\\"", "u": "naïve café 漢字 🙂!",
  "ws": "  \\t padded \\n ", "nl": "one\\ntwo\\r\\nthree\\n\\n four", "empty": "", "digits": "0042", "csv": "a,b,,c",
  "html": "<a href=\\"x\\">T&C's</a>", "ctl": "a\\u0000\\u001f\\u007f\\u00a0\\u200b\\ud83d\\ude42\\\\b",
  "l": [3, 1, 2], "mixed": [1, 1.0, true, null, "x", [1], {"a": 1}], "words": ["b", "A", "c", "B"], "none": [],
  "d": {"b": 1, "a": 2.0, "C": null}, "nums": {"10": "x", "9": "y", "a": 1e-7, "1": 12345678901234567890},
  "items_d": {"items": [1, 2], "keys": "k", "get": 5},
  "nested": {"type": "object", "properties": {"q": {"type": "string", "enum": ["a", null, 1.50]}}, "required": []},
  "m": [{"role": "user", "content": "hi", "n": 2}, {"role": "assistant", "content": "yo", "n": 1},
        {"role": "user", "content": "🙂", "n": 2, "name": "Bob"}]
}"""

EXPRESSIONS = """
true|none|True|None|false|nil|[true, none, 1.0]|(1,)|()|(1, 2)|{}|{'a': 1, 2: none}|mixed|d|nums|nested|m
n|big|f|g|tiny|huge|e21|ie|third|neg0|1e5|1_000|0x1f|0b101|0o17|1.5e-8|123456789.123|1e400|big * big
u|q|qq|both|ctl|[q, qq, both, ctl, u]|'a\\tb\\x41\\u00e9\\q\\101'|"it's" 'joined'
n + 1|n + 1.0|f + 1|n - 5|n * g|7 / 2|6 / 3|7 // 2|neg // 2|-7 % 3|7 % -3|-7.5 // 2|-7.5 % 2|2 ** 10|2 ** -1|2 ** 0.5|2 ** 3 ** 2|-2 ** 2|2 ** 100|1 ** big|0 ** big|big ** ie
big + 1|big * 2|big // 7|big % 1000|big / 3|9007199254740993 + 0|9007199254740992 * 3|true + 1|true + true|-true|+n|-g
1 / 0|1 // 0|1 % 0|1.0 % 0|'a' + 1|1 + 'a'|'a' * 3|3 * 'ab'|[1] * 2|[1] + [2]|(1,) + (2,)|[1] + (2,)|'a' - 'b'|none + 1|missing + 1
'a' ~ 1 ~ none ~ 1.0|1 ~ 2 + 3|'x' ~ missing|true ~ 'x'
1 < 2 < 3|1 < 3 < 2|1 == 1.0|true == 1|'1' == 1|none == none|[1, 2] == [1, 2]|[1] == (1,)|d == {'a': 2, 'b': 1, 'C': none}|1 != 2|'a' < 'b'|'B' < 'a'|[1, 2] < [1, 3]|1 < 'a'|none < 1|missing == missing|missing == none|missing < 1|big > 1e18|'🙂' > '\\uffff'
'a' in 'cat'|'x' not in 'cat'|1 in l|1.0 in l|'a' in d|'x' in d|1 in 5|1 in 'a'|'a' in missing|none in [none]|'' in ''|'user' in m[0].values()|l in [[3, 1, 2]]
not true|not missing|not ''|not []|not 0.0|not d|true and 'x'|'' or 'y'|0 or none|1 and 0 or 2|not 1 == 2|none is none and true
'yes' if t else 'no'|'yes' if no|('a' if no) is defined|1 if no else 2 if t else 3|'x' if missing else 'y'
s[0]|s[-1]|s[100]|s[1:4]|s[::-1]|s[-3:]|s[:-3]|s[::2]|u[0:15]|u[13]|u[-2]|u[::-1]|l[0]|l[-1]|l[5]|l[1:]|l[::-1]|l[:0]|(1,2,3)[1:]|l['x']|l[1.0]|l[true]|none[0]|n[0]|nil[1:]|d[1:]|missing[0]|l[::0]|range(10)[2:5]|range(5)[1]
d.b|d['b']|d.missing|d['C']|d.C.x|d.missing.x|missing.x|none.x|n.x|s.x|d.items|items_d.items|items_d['items']|items_d.keys|items_d.get('get')|m.0.role|m[0]['role']|d.__class__|s.__class__.__mro__|d.get('b')|d.get('x')|d.get('x', 5)|d.get('C', 5)|d.keys()|d.values()|d.items()|d.items()[0]|d.keys()|list
d.pop('b')|d.update({})|l.append(1)|l.pop()|l.sort()|l.index(1)|l.index(9)|l.count(1)|l.copy()|(1,2,1).count(1)|d.copy()|d.clear|l.append is defined
s.upper()|s.lower()|s.title()|"they're BIG".title()|s.capitalize()|'ß'.upper()|'ǆ'.capitalize()|'ÉA'.lower()|s.swapcase()|'Straße'.casefold()
ws.strip()|ws.lstrip()|ws.rstrip()|'xxhixx'.strip('x')|'abcba'.strip('ab')|'abc'.lstrip('ba')|'a\\n\\n'.rstrip('\\n')|'\\x85a\\u3000'.strip()|'\\ufeffa'.strip()|'a'.strip(none)|'🙂a🙂'.strip('🙂')
csv.split(',')|csv.split(',', 1)|csv.rsplit(',', 1)|csv.rsplit(',')|ws.split()|' a  b c '.split(none, 1)|' a  b c '.rsplit(none, 1)|'a b'.split(' ', maxsplit=1)|'abc'.split('')|''.split()|''.split(',')|'aXXb'.split('XX')|'</think>x'.split('</think>')[-1]|nl.splitlines()|nl.splitlines(true)|'a</t>b</t>c'.rsplit('</t>', 1)
'a=b=c'.partition('=')|'a=b=c'.rpartition('=')|'abc'.partition('=')|'abc'.rpartition('=')|'a-b'.replace('-', '+')|'aaa'.replace('a', 'b', 2)|'abc'.replace('', '-')|'abc'.replace('b', '')|'aaa'.replace('a', 'b', count=1)|'🙂🙂'.replace('🙂', 'x')
', '.join(['a', 'b'])|''.join([])|', '.join([1])|'-'.join('abc')|', '.join(d)|s.startswith('hello')|s.startswith(('x', 'he'))|s.startswith('World', 6)|s.startswith('x', 99)|s.endswith('World')|s.endswith(('d', 'x'))|s.endswith('')|s.startswith(['a'])|s.startswith(missing)
s.find('o')|s.find('o', 5)|s.find('zz')|s.rfind('o')|u.find('!')|u.find('🙂')|s.index('o')|s.index('zz')|s.count('o')|s.count('')|u.count('')|s.find('')|s.rindex('l')
'12'.isdigit()|'²'.isdigit()|'²'.isdecimal()|'½'.isnumeric()|''.isdigit()|'ab1'.isalnum()|'ab'.isalpha()|' '.isspace()|'ab'.islower()|'AB1'.isupper()|'1'.islower()|'Ab Cd'.istitle()|'a_1'.isidentifier()|'1a'.isidentifier()|'é'.isascii()|'a\\n'.isprintable()
'ab'.ljust(4, '.')|'ab'.rjust(4)|'abc'.center(6, '*')|'ab'.center(5, '*')|'42'.zfill(5)|'-42'.zfill(5)|'a\\tb'.expandtabs(4)|'test.py'.removesuffix('.py')|'test'.removeprefix('te')|s.encode|s.nosuch()
'%s' % n|'%s' % none|'%s %s' % (1, 'b')|'%d' % 3.7|'%5d|' % 3|'%-5d|' % 3|'%05d' % -42|'%+d' % 5|'%x' % 255|'%#x' % 255|'%o' % 8|'%.2f' % third|'%5.1f|' % g|'%e' % 12345.678|'%g' % 0.0001|'%g' % 1e10|'%G' % 1e-10|'%r' % 'a'|'%c' % 65|'%%' % ()|'%(a)s' % {'a': 1}|'%s' % [1]|'%s' % d|'%s' % (none,)|'%s %s' % 1|'%s' % (1, 2)|'%d' % 'a'|'%z' % 1|'%.3s' % 'abcdef'|'%s' % missing|'%s' % f|'%d' % big|'%*d' % (5, 3)|'abc' % ()|'abc' % 1|'abc' % missing|'abc' % l
"{}".format(1)|"{} {}".format('a', none)|"{1} {0}".format('a', 'b')|"{a}".format(a=1)|"{0[a]}".format({'a': 5})|"{0.role}".format(m[0])|"{:>5}|".format('a')|"{:<5}|".format(3)|"{:^5}|".format('a')|"{:*^7}".format('a')|"{:05d}".format(42)|"{:.2f}".format(third)|"{:,}".format(1234567)|"{:_}".format(1234567.5)|"{:x}".format(255)|"{:#b}".format(5)|"{:e}".format(12345.678)|"{:%}".format(0.25)|"{:.1%}".format(0.256)|"{!r}".format('a')|"{!s:>4}".format(true)|"{{}}".format()|"{".format()|"{}".format()|"{x}".format()|"{:{w}}".format('a', w=4)|"{:g}".format(0.1)|"{:+}".format(5)|"{: }".format(5)|"{:10.3}|".format('abcdef')|"{:n}".format(5)|"{:d}".format('a')|"{}".format(d)|"{:.3}".format(3.14159)|"{:d}".format(true)|"{:5}|".format(true)|"{:5}|".format(none)|"{a.x}".format(a=missing)|"{:.3g}".format(1234.5)
s|upper|s|lower|s|title|"they're (big)-one".title()|"they're (big)-one"|title|s|capitalize|''|capitalize|none|upper|1|upper|ws|trim|ws|trim|length|'xax'|trim('x')|s|replace('l', 'L')|s|replace('l', 'L', 1)|5|replace(5, 6)|s|reverse|u|reverse|l|reverse|list|s|length|u|length|l|length|d|length|n|length|missing|length|d|count|none|length|m|map(attribute='role')|length
l|first|l|last|none|first|[]|first|''|last|u|last|d|first|d|last|missing|first|l|list|s|list|d|list|none|list|n|list|missing|list|(1,2)|list|range(3)|list|range(1, 10, 3)|list|range(5, 0, -2)|list|range(3)|range(0)|range(1000000)|range(1, 2, 0)|l|sort|words|sort|words|sort(case_sensitive=true)|words|sort(reverse=true)|m|sort(attribute='n')|map(attribute='content')|list|m|sort(attribute='n,role')|map(attribute='content')|list|m|sort(attribute='n', reverse=true)|map(attribute='content')|list|mixed|sort|d|sort|d|dictsort|d|dictsort(reverse=true)|d|dictsort(case_sensitive=true)|d|dictsort(by='value')|d|dictsort(by='x')|nums|dictsort|m|dictsort
l|sum|[1.5, 2]|sum|m|sum(attribute='n')|l|sum(start=10)|[]|sum|['a']|sum|l|min|l|max|words|min|words|max(case_sensitive=true)|m|max(attribute='n')|[]|max|[1, 'a']|max|words|unique|list|[1, 1.0, true, '1']|unique|list|m|unique(attribute='role')|map(attribute='content')|list|words|unique(case_sensitive=true)|list|l|join|l|join(', ')|m|join(', ', attribute='role')|[none, 1.0, 'a']|join('-')|'abc'|join('.')|d|join(',')|missing|join|n|join
[1,2,3,4,5]|batch(2)|list|[1,2,3,4,5]|batch(2, 'x')|list|[1,2,3,4,5]|slice(3)|list|[1,2,3,4,5]|slice(3, 'x')|list|m|groupby('role')|m|groupby('n')|list|m|groupby('name', default='?')|map('first')|list|(m|groupby('role'))[0].grouper|(m|groupby('role'))[1].list|length
m|selectattr('role', '==', 'user')|list|length|m|selectattr('role', 'equalto', 'user')|map(attribute='content')|join(',')|m|rejectattr('role', 'eq', 'user')|list|length|m|selectattr('name')|list|length|m|selectattr('name', 'defined')|list|length|m|selectattr('role', 'in', ['user'])|list|length|m|selectattr('n', 'gt', 1)|list|length|m|rejectattr('name', 'undefined')|list|length|[1,2,3]|select('odd')|list|[1,2,3]|reject('odd')|list|[0,1,'',none]|select|list|[1,2]|select('nosuch')|list|[1,2,3]|map('string')|join('+')|words|map('upper')|list|m|map(attribute='name')|list|m|map(attribute='name', default='?')|list|['1','2']|map('int')|sum|[1,2]|map|list|[[1,2],[3]]|map('first')|list|['a b']|map('replace', ' ', '_')|list|m|map('tojson')|first|m|map(attribute='role', x=1)|list|m|selectattr|list|['x']|map('nosuch')|list
missing|default('x')|none|default('x')|none|default('x', true)|''|d('x', true)|0|default(5, boolean=true)|d.missing|default('x')|missing|default|missing.x|default('x')
'5'|int|'5.7'|int|'x'|int|'x'|int(-1)|'0x1f'|int(base=16)|'1f'|int(0, 16)|'0b11'|int(0, 2)|' 5 '|int|'1_000'|int|3.9|int|-3.9|int|true|int|none|int|missing|int|'1e3'|int|[1]|int|big|int|'12345678901234567890'|int|'5'|float|'1e-7'|float|'x'|float|'x'|float(1.5)|5|float|true|float|none|float|'inf'|float|'nan'|float|big|float|missing|float
2.5|round|3.5|round|2.675|round(2)|-2.5|round|1234|round(-2)|1250|round(-2)|2.1|round(0, 'ceil')|2.9|round(0, 'floor')|2.15|round(1, 'ceil')|42.55|round(1)|42|round|42.0|round|'x'|round|2.5|round(method='x')|0.125|round(2)|1e22|round|-5|abs|g|abs|-2.5|abs|true|abs|'x'|abs|1e15|round(1)
s|string|1.0|string|none|string|missing|string|l|string|d|string|html|e|html|escape|html|safe|(html|e) + '<'|'<' + (html|e)|html|e|e|html|forceescape|(html|safe)|e|(html|e)|length|(html|e)|upper|[html|safe]|('<'|e) ~ '<'|html|striptags|'<b>a</b>  &amp; b'|striptags|[html|e|reverse]|[(html|e).split('a')]|(html|e).partition('T')|(html|e)[:3]|[(html|e)[::2]]
'a b/c&d=é?'|urlencode|{'a b': 1, 'c': 'é&'}|urlencode|[('a', 1)]|urlencode|5|urlencode|['abc']|urlencode|s|wordcount|u|wordcount|s|center(20)|s|center|length|nl|indent|nl|indent(2)|nl|indent(2, true)|nl|indent(2, blank=true)|nl|indent('> ')|''|indent|'a\\n'|indent|1|indent
'foo bar baz qux'|truncate(9)|'foo bar baz qux'|truncate(9, true)|'foo bar baz qux'|truncate(11)|'foo bar baz qux'|truncate(11, false, '…', 0)|'short'|truncate|'foo bar baz qux'|truncate(2)|u|truncate(9, true, '', 0)|[1, 2]|truncate|l|truncate(3, end='')|'the quick brown fox jumps'|wordwrap(10)|'a verylongword here'|wordwrap(6)|'a verylongword here'|wordwrap(6, false)|'a\\n\\nb c'|wordwrap(3)|'well-known fact'|wordwrap(6)
d|tojson|nums|tojson|nested|tojson|mixed|tojson|u|tojson|ctl|tojson|html|tojson|f|tojson|tiny|tojson|huge|tojson|e21|tojson|big|tojson|none|tojson|nil|tojson|t|tojson|(1, 'a')|tojson|nested|tojson(indent=4)|nested|tojson(indent=2)|nested|tojson(indent=0)|nested|tojson(indent='\\t')|nums|tojson(sort_keys=true)|d|tojson(sort_keys=true)|d|tojson(separators=(',', ':'))|nested|tojson(indent=2, separators=(',', ' : '))|u|tojson(ensure_ascii=true)|ctl|tojson(true)|[]|tojson(indent=2)|{}|tojson(indent=2)|{1: 2, none: 3, true: 4, 1.5: 5}|tojson|missing|tojson|d.items()|tojson|{'a': 1e400}|tojson|[nums]|tojson(indent=1)|{1: 2, 'a': 3}|tojson(sort_keys=true)
d|items|list|missing|items|list|l|items|list|d|attr('b')|s|attr('upper')|1000|filesizeformat|1|filesizeformat|1500000|filesizeformat|1500000|filesizeformat(true)|{'a': 'x"', 'b': none}|xmlattr|'%s-%s'|format(1, 'a')|'%(a)s'|format(a=1)
1 is odd|2 is even|n is divisibleby(3)|n is divisibleby 2|missing is defined|missing is undefined|d.x is defined|d.b is defined|missing.x is defined|nil is none|missing is none|s is string|1 is string|d is mapping|l is mapping|l is sequence|d is sequence|s is sequence|n is sequence|missing is sequence|l is iterable|n is iterable|s is iterable|none is iterable|n is number|f is number|t is number|s is number|t is boolean|1 is boolean|n is integer|t is integer|f is integer|f is float|n is float|big is integer|huge is float|e21 is float|t is true|1 is true|no is false|s is lower|'a' is lower|'A' is upper|1 is eq 1|1 is equalto(1.0)|1 is ne 2|1 is gt 0|2 is lt 1|1 is ge 1|1 is le 0|1 is in [1]|'a' is in 'abc'|1 is not in [1]|s is not string|n is sameas n|1 is sameas 1.0|nil is sameas none|'upper' is filter|'nosuch' is filter|'odd' is test|range is callable|s is callable|(html|e) is escaped|s is escaped|n is not none and s is defined|not n is none|1 is == 1|l is eq [3, 1, 2]|s is nosuch|s|nosuch|'a' is eq 'a' ~ 'b'|-1 is lt 0|-1|abs
dict(a=1, b='x')|dict([('a', 1)])|dict(d, z=1)|namespace(a=1).a|namespace({'a': 1}).a|namespace().x|cycler(1, 2).next()|joiner(', ')()|range|dict(a=1).a|missing()|s()|raise_exception('no!')|raise_exception(1)|d|map('upper')|list|(1.0).is_integer()|{'a': {'b': [1, {'c': none}]}}.a.b[1].c|[1, 2,]|(1, 2,)|{'a': 1,}|[[], {}, ()]|{(1, 2): 3}[(1, 2)]|{[1]: 2}|{true: 'x'}[1]|{1: 'a', 1.0: 'b'}|'a' 'b' ~ 'c'|1.e5|1..x|s.upper().lower().title()|s|upper|lower|(s|upper)[0]|s|upper[0]|-s|length|-5|abs|(-5)|abs
"""

TEMPLATES = [
    "{% for x in l %}{{ loop.index }}/{{ loop.index0 }}/{{ loop.revindex }}/{{ loop.revindex0 }}/{{ loop.first }}/{{ loop.last }}/{{ loop.length }}/{{ loop.depth }};{% endfor %}",
    "{% for x in l %}{{ loop.previtem }}<{{ x }}>{{ loop.nextitem }} {{ loop.cycle('a', 'b') }} {{ loop.changed(x > 1) }};{% endfor %}",
    "{% for x in l %}{{ loop.previtem is defined }}{{ loop.nextitem is undefined }}{% endfor %}",
    "{% for x in [] %}x{% else %}none{% endfor %}|{% for x in missing %}x{% else %}none{% endfor %}",
    "{% for x in l if x > 1 %}{{ x }}{{ loop.index }}{{ loop.length }}{% else %}none{% endfor %}",
    "{% for x in l if x > 9 %}{{ x }}{% else %}none{% endfor %}",
    "{% for x in none %}{% endfor %}", "{% for x in 5 %}{% endfor %}",
    "{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}", "{% for k, v in d|items %}{{ k }}={{ v }}{% if not loop.last %}, {% endif %}{% endfor %}",
    "{% for k in nums %}{{ k }},{% endfor %}", "{% for a, b in [(1, 2), [3, 4]] %}{{ a }}-{{ b }} {% endfor %}", "{% for a, b in [(1, 2, 3)] %}{% endfor %}",
    "{% for a, (b, c) in [(1, (2, 3))] %}{{ a }}{{ b }}{{ c }}{% endfor %}",
    "{% for x in l %}{% if x == 1 %}{% continue %}{% endif %}{{ x }}{% if x == 2 %}{% break %}{% endif %}{% endfor %}",
    "{% for x in l %}{% break %}{% else %}else{% endfor %}", "{% for x in [1, 2] %}{% if loop.last %}{% break %}{% endif %}{% else %}else{% endfor %}",
    "{% for x in [{'c': [{'c': []}, {'c': []}]}] recursive %}[{{ loop.depth }}{{ loop(x.c) }}]{% endfor %}",
    "{% for x in l %}{{ loop(l) }}{% endfor %}", "{% for c in u %}{{ c }}.{% endfor %}", "{% for x in range(3) %}{{ x }}{% endfor %}{{ x }}",
    "{% set x = 1 %}{% for i in l %}{% set x = x + i %}{{ x }};{% endfor %}{{ x }}", "{% set x = 1 %}{% if true %}{% set x = 2 %}{% endif %}{{ x }}",
    "{% set ns = namespace(x=0, y=[]) %}{% for i in l %}{% set ns.x = ns.x + i %}{% set ns.y = ns.y + [i] %}{% endfor %}{{ ns.x }}{{ ns.y }}{{ ns }}",
    "{% set ns.x = 1 %}", "{% set x = d %}{% set x.b = 1 %}", "{% set a, b = 1, 2 %}{{ a }}{{ b }}", "{% set a = 1, 2 %}{{ a }}", "{% set (a, b) = [3, 4] %}{{ b }}",
    "{% set x %}a{{ n }}b{% endset %}{{ x }}{{ x|length }}", "{% set x | upper %}abc{% endset %}{{ x }}", "{% set x | upper | replace('B', 'x') %}abc{% endset %}{{ x }}",
    "{% filter upper %}abc{{ s }}{% endfilter %}", "{% filter replace('a', 'b') | upper %}aaa{% endfilter %}",
    "{% with a = 1, b = 2 %}{{ a + b }}{% endwith %}{{ a }}", "{% set a = 5 %}{% with a = 1, b = a %}{{ a }}{{ b }}{% endwith %}{{ a }}",
    "{% macro f(a, b=2, c=a) %}{{ a }},{{ b }},{{ c }};{% endmacro %}{{ f(1) }}{{ f(1, 3) }}{{ f(b=5, a=0) }}{{ f() }}",
    "{% macro f(a) %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ f(1, 2, 3, x=4) }}", "{% macro f(a) %}{{ a }}{% endmacro %}{{ f(1, 2) }}",
    "{% macro f(a) %}{{ a }}{% endmacro %}{{ f(x=2) }}", "{% macro f() %}{{ caller() }}{% endmacro %}{% call f() %}body{{ n }}{% endcall %}",
    "{% macro f(l) %}{% for x in l %}{{ caller(x) }}{% endfor %}{% endmacro %}{% call(x) f(l) %}<{{ x }}>{% endcall %}",
    "{% macro f() %}{{ caller is defined }}{% endmacro %}{{ f() }}", "{% macro f() %}x{% endmacro %}{% call f() %}{% endcall %}",
    "{% macro f(x) %}{% if x > 0 %}{{ x }}{{ f(x - 1) }}{% endif %}{% endmacro %}{{ f(3) }}", "{% macro f() %}{{ y }}{% endmacro %}{% set y = 1 %}{{ f() }}",
    "{% macro f(a) %}{% set n = a %}{{ n }}{% endmacro %}{{ f(9) }}{{ n }}", "{% macro f(a=[]) %}{{ a }}{% endmacro %}{{ f() }}{{ f.name }}{{ f.arguments }}", "{% macro f(a) %}{{ a is defined }}{% endmacro %}{{ f() }}",
    "{{ f(1) }}{% macro f(a) %}{{ a }}{% endmacro %}", "{% macro f(a, b) %}{{ a }}{{ b }}{% endmacro %}{{ f(*[1, 2]) }}{{ f(**{'a': 3, 'b': 4}) }}",
    "{% for i in l %}{% macro g() %}{{ i }}{% endmacro %}{{ g() }}{% endfor %}",
    "{% raw %}{{ x }} {% if %}{% endraw %}y", "a {%- raw -%} {{ x }} {%- endraw -%} b", "{% raw %}\n a\n{% endraw %}\nb", "  {% raw %}x{% endraw %}  ",
    "{# c #}a{#- c -#} b {# {{ x }} #}c", "a\n  {# c #}\nb", "a {#- c #} b", "x{# a\nb #}\ny",
    "a\n  {% if true %}\n  b\n  {% endif %}\nc\n", "a\n  {%+ if true %}\n  b\n  {% endif +%}\nc", "a  {%- if true -%}  b  {%- endif -%}  c",
    "  {{ n }}  \n  {{- n -}}  \n x", "{% if true %}\n\nx{% endif %}\n\n", "a\n\n", "a\r\nb\rc\n", "\n{% if true %}\n{% endif %}\n\n", "   {% if true %}x{% endif %}", "a   {% if true %}x{% endif %}", "{{ n }}\n{{ n }}", "\ta\n\t{% set x = 1 %}\n\tb",
    "{{ '{{' }}{{ '%}' }}{{ \"}}\" }}", "{{ {'a': {'b': 1}} }}", "{{ {'a': {'b': 1}}.a }}", "{{ [[1]] }}{{[1]}}", "{% if '%}' == '%}' %}x{% endif %}", "{{'a'}}{{\n'b'\n}}", "{ {a} }", "{{ 'a\nb' }}", "{% set x = 'a\r\nb' %}{{ x|length }}", "{%-set x=1-%} {{x}}",
    "{% if n %}a{% elif no %}b{% else %}c{% endif %}", "{% if no %}a{% elif n > 2 %}b{% else %}c{% endif %}", "{% if no: %}a{% else: %}b{% endif %}", "{% if 1, 2 %}a{% endif %}",
    "{% generation %}x{{ n }}{% endgeneration %}", "a\n  {% generation %}\n  x\n  {% endgeneration %}\nb", "a {%- generation -%} x {%- endgeneration -%} b", "{% set q = 1 %}{% generation %}{% set q = 2 %}{% endgeneration %}{{ q }}", "{% for x in l %}{% generation %}{% break %}{% endgeneration %}{% endfor %}",
    "{% macro f() %}{% generation %}x{% endgeneration %}{% endmacro %}{{ f() }}", "{% print n, s %}", "{% block a %}x{{ n }}{% endblock %}", "{% block a %}x{% endblock a %}",
    "{% if false %}{{ 1|nosuch }}{% endif %}ok", "{% if true %}{{ 1|nosuch }}{% endif %}", "{{ 1|nosuch if false else 2 }}", "{{ 'a' if true else 1 is nosuch }}",
    "{% if x %}", "{% endif %}", "{% for x in %}{% endfor %}", "{{ }}", "{{ 1 + }}", "{{ 'a }}", "{{ (1 }}", "{{ 1) }}", "{% frob %}", "{# a", "{{ a b }}", "{% set 1 = 2 %}", "{% set true = 2 %}", "{% for true in l %}{% endfor %}", "{{ a is }}", "{{ f(a=1, 2) }}", "{{ f(*a, *b) }}", "{% macro f(a=1, b) %}{% endmacro %}", "{{ 1 is odd is even }}", "{% break %}", "{% raw %}x", "x {#", "x {% raw %}", "{#-#}x{#+#}y", "{{ @ }}", "{{ a.}}", "{{ a[] }}", "{% if x %}{% endfor %}", "{% do 1 %}", "{{ x!y }}", "{% set x = %}", "{{ {1} }}", "{% include 'a' %}", "{% trans %}x{% endtrans %}", "{% call 5 %}{% endcall %}", "{% else %}",
    "{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{{ c.next() }}{{ c.current }}{{ c.reset() }}{{ c.current }}", "{% set j = joiner('; ') %}{% for x in l %}{{ j() }}{{ x }}{% endfor %}",
    "{% set g = m|selectattr('role', 'eq', 'user') %}{{ g|list|length }}{{ g|list|length }}", "{% if l|select('gt', 100) %}yes{% endif %}", "{% set g = [1,2,3]|map('string') %}{{ g|first }}{{ g|list }}", "{% for x in m|reverse %}{{ x.content }}{{ loop.index }}{{ loop.last }}{% endfor %}", "{% for x in m[::-1] %}{{ x.role }}{% endfor %}",
    "{% set loop_messages = m[1:] %}{% for x in loop_messages %}{{ x.role }}{% endfor %}", "{% set m = [{'role': 'system'}] + m %}{{ m|length }}{{ m[0] }}", "{{ m | map(attribute='role') | unique | join(' ') }}", "{%- for x in m -%}\n{%- if x['role'] == 'user' -%}\n{{ '[' + x['content'] | trim + ']' }}\n{%- elif x.role == 'assistant' %}\n{{ x.content ~ '\\n' }}\n{%- endif %}\n{%- endfor %}",
    "{{ raise_exception('Conversation roles must alternate') }}", "{% if missing and missing.x %}a{% endif %}b", "{{ missing }}|{{ missing|upper }}|{{ d.x }}|{{ [missing] }}|{{ {'a': missing} }}", "{{ d.x.y }}", "{{ missing.x }}", "{{ loop }}", "{% set x = none %}{% if x is not none and x %}a{% else %}b{% endif %}", "{{ x if x is defined else 'u' }}",
    "{% for a in l %}{% for b in l %}{{ loop.index }}{% endfor %}{{ loop.index }};{% endfor %}", "{% for x in l %}{% set outer = loop %}{% for y in l %}{{ outer.index }}{{ loop.index }} {% endfor %}{% endfor %}", "{%- macro t(x) -%}\n  {%- if x is mapping -%}{ {%- for k, v in x|items -%}{{ k }}:{{ t(v) }}{%- if not loop.last %},{% endif -%}{%- endfor -%} }{%- else -%}{{ x|tojson }}{%- endif -%}\n{%- endmacro -%}\n{{ t(nested) }}",
]


FILTERS = set(_compile_jinja_template("").environment.filters) | {"nosuch"}
TOKENS = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|\|(?=(\w*)(.?))|[^'"|]+""")


def expressions():
    """Between bars, unless a bar has a filter after it (`d` is also a variable)."""
    for line in EXPRESSIONS.strip().split("\n"):
        current = ""
        for match in TOKENS.finditer(line):
            bar, name, after = match.group(0) == "|", match.group(1), match.group(2)
            if bar and not (name in FILTERS and (name != "d" or after == "(")):
                yield current
                current = ""
            else:
                current += match.group(0)
        yield current


def case(source, variables):
    try:
        return {"source": source, "text": _compile_jinja_template(source).render(**variables)}
    except Exception as error:
        return {"source": source, "error": f"{type(error).__name__}: {error}"}


variables = json.loads(VARIABLES)
sources = [f"{{{{ {each} }}}}" for each in expressions()] + TEMPLATES
cases = [case(each, variables) for each in sources]
# Addresses of objects in memory are no part of a prompt.
cases = [each for each in cases if " at 0x" not in each.get("text", "")]
OUT.parent.mkdir(parents=True, exist_ok=True)
lines = ",\n".join(json.dumps(each, ensure_ascii=True) for each in cases)
OUT.write_text(f'{{"variables": {VARIABLES},\n"cases": [\n{lines}\n]}}\n')
print(len(cases), "snippets,", sum("error" in each for each in cases), "of them refused")
