#!/usr/bin/env python3
"""The template language and chat templates, compared with Python's jinja2 as transformers sets it up.

    chat.py goldens                      writes tests/tokens/chat_data/jinja.jsonl and chat.jsonl
    chat.py live BUILD [COUNT [SEED]]    renders hand-written and COUNT generated templates with BUILD/tests/
                                         tokens_test_jinja_goldens and compares text by text

Needs jinja2 and transformers. A difference in whether something is an error counts; the words of errors do not.
"""
import copy
import datetime as real_datetime
import json
import os
import random
import subprocess
import sys
import tempfile
import warnings

from summary import add
from transformers.utils import chat_template_utils as ctu

HERE = os.path.dirname(os.path.abspath(__file__))
DATA = os.path.join(HERE, "..", "tokens", "chat_data")
DATE = "2026-11-24"


class FixedDate(real_datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(2026, 11, 24)


ctu.datetime = FixedDate
warnings.simplefilter("ignore", SyntaxWarning)


def python(template, variables):
    try:
        return {"text": ctu._compile_jinja_template(template).render(**copy.deepcopy(variables))}
    except RecursionError:
        return {"skip": "recursion"}
    except Exception as e:  # every refusal of the reference counts as one
        return {"error": f"{type(e).__name__}: {e}"}


# ---- hand-written cases: (template, variables) ----

V = {
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "你好，世界"},
        {"role": "assistant", "content": "  It's \"fine\"\n"},
    ],
    "l": [3, 1, 2], "words": ["Pear", "apple", "fig", "Apple"], "d": {"b": 1, "a": 2, "items": 9}, "s": "Hello World",
    "zh": "　甲 乙 ", "n": 7, "f": 2.5, "t": True, "x": None, "e": [], "nested": {"a": {"b": {"c": [1, {"k": "v"}]}}},
    "rows": [{"name": "x", "v": 2, "g": "B"}, {"name": "y", "v": 1, "g": "a"}, {"name": "z", "g": "b", "v": None}],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {"q": {"type": "string"}}}}}],
}

WRITTEN = r"""
{# scopes #}
{% set a = 1 %}{% for i in l %}{% set a = a + i %}{{ a }} {% endfor %}{{ a }}
{% set a = 1 %}{% if true %}{% set a = 2 %}{% endif %}{{ a }}
{% set ns = namespace(a=1) %}{% for i in l %}{% set ns.a = ns.a + i %}{% endfor %}{{ ns.a }}
{% macro m() %}{{ q }}{% endmacro %}{% set q = 1 %}{{ m() }}{% set q = 2 %}{{ m() }}
{% for i in l %}{% macro m() %}{{ i }}{% endmacro %}{{ m() }}{% endfor %}
{% set a = 5 %}{% macro m(a) %}{{ a }}{% set a = 9 %}{{ a }}{% endmacro %}{{ m(1) }}{{ a }}
{% set b %}x{% set c = 3 %}{{ c }}{% endset %}{{ b }}|{{ c }}
{% for i in l %}{% if i == 1 %}{% set z = 'in' %}{% endif %}{{ z }}{% endfor %}{{ z }}
{% with a = 1, b = 2 %}{{ a + b }}{% set a = 10 %}{{ a }}{% endwith %}{{ a }}
{% for i in l %}{{ loop.index }}{% endfor %}{{ loop }}
{% for i in l %}{% for j in l %}{{ loop.index }}{{ loop.first }}{% endfor %}{{ loop.last }}{% endfor %}
{# undefined #}
{{ nope }}|{{ d.nope }}|{{ l[9] }}|{{ nope|length }}|{% for i in nope %}x{% else %}none{% endfor %}|{{ nope == none }}|{{ nope is none }}
{{ nope.more }}
{{ nope + 1 }}
{{ nope ~ 1 }}|{{ not nope }}|{{ nope is defined }}|{{ d.nope is defined }}|{{ nope is undefined }}
{{ nope == nope2 }}|{{ nope != 1 }}|{{ nope in l }}|{{ 1 in nope }}|{{ nope is iterable }}|{{ nope is sequence }}|{{ nope is string }}
{{ nope < 1 }}
{{ nope|default('d') }}|{{ x|default('d') }}|{{ x|default('d', true) }}|{{ ''|d('e', boolean=true) }}
{{ -nope }}
{{ nope|int }}
{{ nope|tojson }}
{{ nope() }}
{{ nope[1] }}
{{ nope|join(',') }}|{{ nope|list }}|{{ nope|first }}|{{ nope|upper }}|{{ nope|trim }}|{{ nope|string }}|{{ nope|items|list }}
{{ 'a' if nope }}|{{ ('a' if nope) is defined }}|{{ 'b' if not nope }}
{# printing #}
{{ none }}|{{ true }}|{{ false }}|{{ 1.0 }}|{{ 1e16 }}|{{ 1e15 }}|{{ 0.1 + 0.2 }}|{{ 1e-5 }}|{{ -0.0 }}|{{ 123456789.0 }}|{{ 1e22 }}
{{ [1, 'a', "it's", 'q"q', 'b\'"c', none, true, 1.5] }}|{{ {'k': [1, (2,), ()]} }}|{{ (1, 2) }}|{{ {} }}|{{ [] }}
{{ ['a\nb\t\\', '\x01', 'é', '　', '\u200b', '\U0001F600', '中'] }}
{{ messages[1] }}|{{ d.items() }}|{{ d.keys() }}|{{ d.values() }}|{{ range(3) }}|{{ range(1, 9, 2) }}|{{ range(5)|list }}
{{ namespace(a=1) }}
{{ 'a' + 1 }}
{{ 1 + 'a' }}
{{ [1] + [2] }}|{{ (1,) + (2,) }}|{{ [1] * 3 }}|{{ 'ab' * 2 }}|{{ 2 * 'ab' }}|{{ 'a' * -1 }}
{{ [1] + (2,) }}
{# attributes #}
{{ d.items }}
{{ d['items'] }}|{{ d['b'] }}|{{ d.b }}|{{ d.get('b') }}|{{ d.get('zz') }}|{{ d.get('zz', 5) }}
{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}
{% for k in d %}{{ k }}{% endfor %}|{{ 'a' in d }}|{{ 'zz' not in d }}|{{ 2 in d.values() }}
{{ l.0 }}|{{ l[0] }}|{{ l[-1] }}|{{ nested.a.b.c[1].k }}|{{ nested['a']['b'].c.1['k'] }}
{{ s[0] }}|{{ s[-1] }}|{{ s[99] }}|{{ s[1:4] }}|{{ s[:-1] }}|{{ s[::-1] }}|{{ s[::2] }}|{{ s[-3:] }}|{{ s[5:2] }}|{{ zh[1:3] }}
{{ l[1:] }}|{{ l[:-1] }}|{{ l[::-1] }}|{{ l[5:] }}|{{ l[-2:] }}|{{ l[::-2] }}|{{ (1,2,3)[1:] }}|{{ range(5)[1:3]|list }}
{{ l[::0] }}
{{ l['a'] }}|{{ n.foo }}|{{ n[0] }}|{{ s.foo }}|{{ none.foo }}|{{ x.foo is defined }}
{{ l.append(4) }}
{{ d.update({'z': 1}) }}
{{ d.pop('a') }}
{{ ''.__class__ }}
{% set d.z = 1 %}
{% set nope.z = 1 %}
{% set ns = namespace() %}{% set ns.a = 1 %}{% set ns.a = 2 %}{{ ns.a }}{{ ns.b }}
{% set ns = namespace({'a': 1}, b=2) %}{{ ns.a }}{{ ns['b'] }}
{% set a, b = 1, 2 %}{{ a }}{{ b }}{% set (a, b), c = (3, 4), 5 %}{{ a }}{{ b }}{{ c }}
{% set a, b = [1, 2, 3] %}
{% set a = 1, 2 %}{{ a }}
{% for a, b in [[1, 2], [3, 4]] %}{{ a }}{{ b }} {% endfor %}
{% for a in [1, 2], %}{{ a }}{% endfor %}|{% for a in 1, 2 %}{{ a }}{% endfor %}
{# precedence #}
{{ 'a' + ' b '|trim + 'c' }}|{{ not n is defined }}|{{ 'a' ~ 1 + 2 ~ 'b' }}
{{ 1 + 2 ~ 3 + 4 }}
{{ 2 ** 3 ** 2 }}|{{ -2 ** 2 }}|{{ -n|abs }}|{{ 2 * 3 + 4 }}|{{ 2 + 3 * 4 }}|{{ 7 // 2 }}|{{ -7 // 2 }}|{{ 7 % -3 }}|{{ -7 % 3 }}|{{ 7 / 2 }}|{{ 6 / 2 }}
{{ 1 < 2 < 3 }}|{{ 3 > 2 > 2 }}|{{ 1 < 2 == true }}|{{ 1 == 1.0 }}|{{ true == 1 }}|{{ 'a' < 'b' }}|{{ [1, 2] < [1, 3] }}
{{ 1 in [1] and 2 not in [1] }}|{{ not 1 in [2] }}|{{ 'el' in s }}|{{ '' in s }}|{{ 'z' in 'abc' or 'b' in 'abc' }}
{{ 1 in 'abc' }}
{{ 'a' in none }}
{{ 1 < 'a' }}
{{ (1 or 2) }}|{{ 0 or 'x' }}|{{ 1 and 2 }}|{{ [] or {} or 'z' }}|{{ none and 1 }}|{{ not not 5 }}|{{ not not not 0 }}
{{ 1 if true else 2 }}|{{ 1 if false else 2 if false else 3 }}|{{ (1 if n == 7) + 1 }}|{{ 'y' if n == 7 and t else 'n' }}
{{ 'a' 'b' "c" }}|{{ 'a\n\t\\\'\"\x41\u4e2d\101\q' }}|{{ 1_000 }}|{{ 0x1f }}|{{ 0b101 }}|{{ 0o17 }}|{{ 1.5e3 }}|{{ 1e2 }}|{{ 3.0 }}
{{ n is divisibleby 7 }}|{{ n is divisibleby(2) }}|{{ n is not none }}|{{ n is odd }}|{{ n is even }}|{{ n is eq 7 }}|{{ n is in [7] }}
{{ l|length + 1 }}|{{ l|length is odd }}|{{ l is sequence and l is not string }}|{{ -1|abs + 1 }}
{{ 1 is number and 1 is integer and 1.0 is float and true is boolean and true is number and true is not integer }}
{{ d is mapping }}|{{ l is mapping }}|{{ s is string }}|{{ s is sequence }}|{{ s is iterable }}|{{ n is iterable }}|{{ x is none }}|{{ t is true }}|{{ 1 is true }}|{{ false is false }}
{{ range is callable }}|{{ d.get is callable }}|{{ n is callable }}|{{ 'AB' is upper }}|{{ 'ab' is lower }}|{{ '1' is upper }}|{{ 'upper' is filter }}|{{ 'odd' is test }}
{{ 1 is sameas 1 }}|{{ 1 is sameas true }}|{{ x is sameas none }}|{{ 2 is gt 1 }}|{{ 2 is lessthan 1 }}|{{ 2 is ge 2 }}|{{ 2 is le 1 }}|{{ 2 is ne 2 }}|{{ 2 is equalto 2 }}
{{ 1 is defined is defined }}
{{ d is upperr }}
{{ 1 / 0 }}
{{ 1 // 0 }}
{{ 1 % 0 }}
{{ 0 ** -1 }}
{{ 2 ** -1 }}|{{ 2 ** 0.5 }}|{{ 7.5 // 2 }}|{{ -7.5 % 2 }}|{{ 1e308 * 10 }}|{{ 2.0 ** 3 }}
{# statements #}
{% for i in l if i > 1 %}{{ loop.index }}:{{ i }}/{{ loop.length }} {% else %}no{% endfor %}|{% for i in e %}x{% else %}empty{% endfor %}
{% for i in l %}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.previtem }}{{ loop.nextitem }}{{ loop.cycle('a', 'b') }}{{ loop.changed(i > 1) }} {% endfor %}
{% for i in [1,2,3,4] %}{% if i == 2 %}{% continue %}{% endif %}{% if i == 4 %}{% break %}{% endif %}{{ i }}{% endfor %}
{% for i in [1, [2, [3]]] recursive %}{{ loop(i) if i is not number else i }}{{ loop.depth }}{% endfor %}
{% for i in 'abc' %}{{ i }}-{% endfor %}{% for i in zh %}[{{ i }}]{% endfor %}
{% for i in 5 %}{% endfor %}
{% for i in none %}{% endfor %}
{% macro f(a, b=2, c='x') %}{{ a }}{{ b }}{{ c }}{% endmacro %}{{ f(1) }}|{{ f(1, c=3) }}|{{ f(b=1, a=0) }}|{{ f() }}
{% macro f(a, b=a) %}{{ a }}{{ b }}{% endmacro %}{{ f(1) }}|{{ f(1, 2) }}
{% macro f(a) %}{{ a }}{% endmacro %}{{ f(1, 2) }}
{% macro f(a) %}{{ a }}{% endmacro %}{{ f(z=2) }}
{% macro f() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ f(1, 2, z=3) }}{{ f() }}
{% macro f(x) %}[{{ caller(x) }}]{% endmacro %}{% call(y) f(3) %}<{{ y }}>{% endcall %}
{% macro f() %}[{{ caller() }}]{% endmacro %}{% call f() %}hi{% endcall %}
{% macro f() %}x{% endmacro %}{% call f() %}hi{% endcall %}
{% macro fact(k) %}{{ k }}{% if k > 1 %}*{{ fact(k - 1) }}{% endif %}{% endmacro %}{{ fact(5) }}
{% macro f() %}  x  {% endmacro %}{{ f()|trim }}|{{ f() ~ 'y' }}|{{ f()|length }}|{{ f.name }}
{% filter upper %}abc{{ n }}{% endfilter %}|{% filter replace('a', 'b')|upper %}banana{% endfilter %}
{% set b | upper | trim %}  x{{ n }} {% endset %}[{{ b }}]
{% set a = [1, 2] %}{% set a = a + [3] %}{{ a }}
{% generation %}x{{ n }}{% endgeneration %}y{% for m in messages %}{% generation %}{% set q = m.role %}{{ q }}{% endgeneration %}{{ q }}{% endfor %}
{% if 0 %}a{% elif 1 %}b{% else %}c{% endif %}{% if nope %}{% elif x %}{% else %}z{% endif %}
{{ f(*[1, 2]) if false }}{% macro g(a, b, c=3) %}{{ a }}{{ b }}{{ c }}{% endmacro %}{{ g(*[1, 2]) }}{{ g(1, **{'b': 5, 'c': 6}) }}
{{ raise_exception('no: ' + s) }}
{{ strftime_now('%Y-%m-%d %d %B %b %A') }}
{% set j = joiner('; ') %}{% for i in l %}{{ j() }}{{ i }}{% endfor %}
{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{{ c.next() }}{{ c.current }}{{ c.reset() }}{{ c.next() }}
{{ dict(a=1, b='x') }}|{{ dict({'q': 1}, z=2) }}|{{ dict([('a', 1)]) }}
{% raw %}{{ x }}{% y %}{# z #}{% endraw %}
{% break %}
{% include 'x' %}
{% frobnicate %}
{% if %}x{% endif %}
{% if 1 %}x
{{ 1 + }}
{{ 1 2 }}
{{ 'abc }}
{# open
{{ [1, 2 }}
{{ (1 }}
{{ a..b }}
{{ }}
{% endif %}
{% for %}{% endfor %}
{% set %}
{{ x | }}
{{ x is }}
{{ {1: 2, 'a': 3,} }}|{{ [1, 2,] }}|{{ (1, 2,) }}|{{ {'a': {'b': {}}} }}
{# whitespace #}
 {% if true %}   
  a
 {% endif %}   
b  {%- if true -%}   c   {%- endif -%}   d
 {%+ if true %} e{% endif +%}
x {{- 1 -}}   y  {{ 2 }}  z
    {# comment #}
    a{# c #}   b  {#- c -#}   d
{% for i in l %}
    {{ i }}
{% endfor %}
{% for i in l -%}
    {{ i }}
{%- endfor %}
line{% if true %}

two newlines{% endif %}
{%- set a = 1 -%}

   {{ a }}   
a {%- raw -%}  x  {%- endraw -%} b
  {% raw %}
 y
  {% endraw %}
 z
a　{%- if true %} b{% endif %}
{{ 'x' }}
{{ 'y' }}
{# filters #}
{{ '  x '|trim }}|{{ 'xxaxx'|trim('x') }}|{{ zh|trim }}|{{ zh.strip() }}|{{ 'abc'.strip('ac') }}|{{ '\u00a0x\u3000'.strip() }}
{{ s|upper }}|{{ s|lower }}|{{ 'hello wORLD-foo (bar'|title }}|{{ 'hELLO'|capitalize }}|{{ s.title() }}|{{ "it's".title() }}|{{ 'ÀÉ ß ﬁ Σ ΑΣ'|lower }}|{{ 'straße ﬁ'|upper }}|{{ 'ßa'|capitalize }}
{{ s|replace('l', 'L') }}|{{ s|replace('l', 'L', 1) }}|{{ s.replace('o', '') }}|{{ 'aa'|replace('', '-') }}|{{ 12|replace('1', 2) }}
{{ s|length }}|{{ zh|count }}|{{ d|length }}|{{ l|list }}|{{ 'ab'|list }}|{{ d|list }}|{{ (1,2)|list }}
{{ 5|length }}
{{ l|map('string')|length }}
{{ d|items|list }}|{{ l|last }}|{{ l|first }}|{{ e|first }}|{{ e|last is defined }}|{{ 'abc'|first }}|{{ 'abc'|last }}
{{ '42'|int }}|{{ '4x'|int }}|{{ '4x'|int(9) }}|{{ '1f'|int(base=16) }}|{{ '0x1f'|int(0, 16) }}|{{ 3.9|int }}|{{ '3.9'|int }}|{{ -3.9|int }}|{{ ' 7 '|int }}|{{ true|int }}|{{ none|int(5) }}|{{ [1]|int(6) }}
{{ '4.5'|float }}|{{ 'x'|float }}|{{ 'x'|float(1.5) }}|{{ 3|float }}|{{ '1e3'|float }}|{{ none|float }}
{{ -3|abs }}|{{ -3.5|abs }}|{{ 2.5|round }}|{{ 3.5|round }}|{{ 2.345|round(2) }}|{{ 2.1|round(method='ceil') }}|{{ 2.9|round(0, 'floor') }}|{{ 42.55|round(1, 'floor') }}|{{ 5|round }}|{{ 1234|round(-2) }}|{{ 1250|round(-2) }}|{{ 12.5|round(-1) }}
{{ 'x'|abs }}
{{ l|sort }}|{{ l|sort(reverse=true) }}|{{ words|sort }}|{{ words|sort(case_sensitive=true) }}|{{ rows|sort(attribute='name', reverse=true)|map(attribute='name')|join }}|{{ rows|sort(attribute='g,name')|map(attribute='name')|join }}
{{ [1, 'a']|sort }}
{{ words|unique|list }}|{{ words|unique(true)|list }}|{{ rows|unique(attribute='g')|map(attribute='name')|list }}
{{ l|reverse|list }}|{{ 'abc'|reverse }}|{{ d|reverse|list }}|{{ (1,2)|reverse|join }}
{{ rows|map(attribute='name')|join(', ') }}|{{ l|map('string')|join('+') }}|{{ words|map('upper')|list }}|{{ words|map('replace', 'p', 'P')|list }}|{{ rows|map(attribute='q', default='?')|join }}|{{ rows|map(attribute='q')|join('.') }}
{{ l|map('nope')|list }}
{{ l|select('odd')|list }}|{{ l|reject('odd')|list }}|{{ [0, 1, '', 'a']|select|list }}|{{ [0, 1]|reject|list }}|{{ l|select('gt', 1)|list }}|{{ l|select('in', [1, 2])|list }}
{{ rows|selectattr('v')|map(attribute='name')|list }}|{{ rows|selectattr('v', 'none')|map(attribute='name')|list }}|{{ rows|rejectattr('g', 'equalto', 'a')|map(attribute='name')|list }}|{{ rows|selectattr('g', '==', 'a')|list|length }}
{{ rows|selectattr('v', 'nope')|list }}
{{ d|dictsort }}|{{ {'b': 1, 'A': 3, 'c': 2}|dictsort }}|{{ {'b': 1, 'A': 3}|dictsort(true) }}|{{ {'b': 1, 'A': 3}|dictsort(false, 'value', true) }}
{% for g, items in rows|groupby('g') %}{{ g }}:{{ items|map(attribute='name')|join }} {% endfor %}|{% for g in rows|groupby('g', case_sensitive=true) %}{{ g.grouper }}{{ g.list|length }}{{ g[0] }} {% endfor %}
{{ l|sum }}|{{ [1.5, 2]|sum }}|{{ rows[:2]|sum(attribute='v') }}|{{ l|sum(start=10) }}|{{ l|min }}|{{ l|max }}|{{ words|min }}|{{ words|max(case_sensitive=true) }}|{{ e|max is defined }}|{{ rows[:2]|max(attribute='v') }}
{{ l|batch(2)|list }}|{{ l|batch(2, 'x')|list }}|{{ range(7)|slice(3)|list }}|{{ range(7)|slice(3, 'z')|list }}
{{ 'a\nb\n\nc'|indent }}|{{ 'a\nb'|indent(2, true) }}|{{ 'a\n\nb'|indent(2, blank=true) }}|{{ 'a\nb'|indent('> ') }}|{{ 'a\n'|indent }}|{{ ''|indent(2, true) }}|{{ 'a\r\nb\r'|indent(1) }}
{{ l|join }}|{{ l|join(', ') }}|{{ 'abc'|join('-') }}|{{ rows|join(',', attribute='name') }}|{{ d|join('/') }}|{{ [none, true, 1.0, 'x']|join('|') }}
{{ ['a', 'b']|join|safe }}|{{ '<a href="x">\'&'|escape }}|{{ '<'|e }}|{{ '<'|safe }}|{{ ('<'|safe) + '>' }}|{{ '>' + ('<'|e) }}|{{ ['<'|e] }}
{{ '%s is %d, %.2f %5s|%-5s|%05d %x %r'|format('a', 3, 2.5, 'r', 'l', 42, 255, 'q') }}|{{ '%(a)s-%(b)s'|format(a=1, b=2) }}|{{ '%s' % 'x' }}|{{ '%s %s' % (1, 2) }}|{{ '100%%' % () }}
{{ '%s %s' % 1 }}
{{ '%d' % 'x' }}
{{ '{} {}'.format(1, 'a') }}|{{ '{1}{0}'.format('a', 'b') }}|{{ '{x}'.format(x=3) }}|{{ '{:>5}|{:<5}|{:^5}|{:*^7}'.format('a', 'b', 'c', 'd') }}|{{ '{:.2f}|{:5d}|{:05d}|{:,}|{:x}|{:+d}|{:e}|{:%}'.format(1.234, 42, 42, 1234567, 255, 3, 12345.678, 0.25) }}|{{ '{{}}'.format() }}|{{ '{a[k]}'.format(a={'k': 9}) }}|{{ '{!r}'.format('q') }}
{{ s|string }}|{{ 1|string }}|{{ l|string }}|{{ 1|string + 'a' }}
{# tojson #}
{{ messages|tojson }}
{{ {'a': 1, 'b': [1, 2.0, none, true, 'q"\\\n\t\x01é中']}|tojson }}|{{ 'x'|tojson }}|{{ 1.5|tojson }}|{{ none|tojson }}|{{ (1, 2)|tojson }}|{{ []|tojson }}|{{ {}|tojson }}
{{ tools|tojson(indent=4) }}|{{ {}|tojson(indent=2) }}|{{ [1, [2]]|tojson(indent=1) }}|{{ [1]|tojson(indent=0) }}
{{ {'b': 1, 'a': '中'}|tojson(sort_keys=true, ensure_ascii=true) }}|{{ {'a': 1}|tojson(separators=(',', ':')) }}|{{ [1, 2]|tojson(indent=2, separators=(', ', ' : ')) }}|{{ '\U0001F600'|tojson(ensure_ascii=true) }}
{{ {1: 2, none: 3, true: 4}|tojson }}|{{ '<&>\''|tojson }}|{{ 1e16|tojson }}|{{ '\x7f\u2028'|tojson }}
{{ range(2)|tojson }}
{{ d.items()|tojson }}
{{ l|map('string')|tojson }}
{# methods #}
{{ 'a,b,,c'.split(',') }}|{{ ' a  b '.split() }}|{{ 'a b c'.split(' ', 1) }}|{{ 'a b c'.split(none, 1) }}|{{ ' a b  c '.split(maxsplit=1) }}|{{ ''.split(',') }}|{{ ''.split() }}
{{ 'a,b,c'.rsplit(',', 1) }}|{{ 'a b c '.rsplit(none, 1) }}|{{ 'x'.split('') }}
{{ 'a</think>b</think>c'.split('</think>')[-1].lstrip('\n') }}|{{ '<think>\nq\n</think>\n\nans'.split('</think>')[0].rstrip('\n').split('<think>')[-1].lstrip('\n') }}
{{ 'abc'.startswith('ab') }}|{{ 'abc'.endswith(('x', 'bc')) }}|{{ 'abc'.startswith('b', 1) }}|{{ 'abcabc'.find('c') }}|{{ 'abc'.find('z') }}|{{ '中文字'.find('字') }}|{{ 'abcabc'.rfind('c') }}|{{ 'abcabc'.count('bc') }}|{{ 'abc'.index('c') }}
{{ 'abc'.index('z') }}
{{ '-'.join(['a', 'b']) }}|{{ '-'.join('abc') }}|{{ ', '.join(d) }}
{{ '-'.join([1, 2]) }}
{{ 'a\nb\r\nc'.splitlines() }}|{{ 'a\n'.splitlines(true) }}|{{ 'a=b=c'.partition('=') }}|{{ 'a=b=c'.rpartition('=') }}|{{ 'abc'.partition('x') }}|{{ 'abc'.removeprefix('a') }}|{{ 'abc'.removesuffix('c') }}
{{ '12'.isdigit() }}|{{ '1a'.isdigit() }}|{{ ''.isdigit() }}|{{ 'ab'.isalpha() }}|{{ 'a1'.isalnum() }}|{{ ' '.isspace() }}|{{ 'AB'.isupper() }}|{{ 'ab1'.islower() }}|{{ 'aB'.swapcase() }}
{{ l.index(1) }}|{{ l.count(1) }}|{{ d.keys()|list }}|{{ d.values()|list }}|{{ d.items()|list }}|{{ d.copy() }}|{{ d.get(1) }}
{{ l.index(99) }}
{{ 'abc'.upper }}
{{ s.lower() == 'hello world' }}|{{ s.strip().split(' ')|length }}|{{ (s ~ '!').endswith('!') }}
{{ messages|map(attribute='role')|list }}|{{ messages|selectattr('role', 'equalto', 'user')|map(attribute='content')|first }}|{{ messages[-1]['content']|trim }}|{{ messages[::-1][0].role }}|{{ (messages|length) - 1 }}
{{ messages[0].content if messages[0].role == 'system' else 'none' }}{% set loop_messages = messages[1:] %}{{ loop_messages|length }}
{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('alternate') }}{% endif %}{% endfor %}
{%- set x = 3 if messages else 4 -%}{{ x }}{{ bos_token }}{{ add_generation_prompt is defined and add_generation_prompt }}
{{ l|attr('count') is callable }}|{{ d|attr('a') is defined }}
{{ {'a': 1}.a }}|{{ [1, 2, 3][1] }}|{{ 'abc'[1] }}|{{ (1, 2)[0] }}|{{ [[1, 2], [3]][0][1] }}|{{ {'a': [1]}['a'][0] }}
{{ {[1]: 2} }}
{{ d[l] }}
{{ 1.5.foo }}|{{ 1 .foo }}
{{ "a" if 1 else }}
{{ true and false or true }}|{{ True }}{{ None }}{{ False }}|{{ none is none }}|{{ not true }}
{% set x %}{% endset %}[{{ x }}]{{ x is string }}{{ x|length }}
""".strip("\n")


def written_cases():
    """One case a line; lines that begin with a space, or whose tag is left open, belong to the case above."""
    block, cases, in_ws = [], [], False
    for line in WRITTEN.split("\n"):
        if line.startswith("{# ") and line.endswith(" #}") and line.count("#") == 2:
            if in_ws:
                cases.append("\n".join(block))
                # and every suffix of the block: tags meet other neighbours
                cases += ["\n".join(block[i:]) for i in range(1, len(block)) if "".join(block[i:]).count("{%") % 2 == 0]
                block = []
            in_ws = line == "{# whitespace #}"
            continue
        if in_ws:
            block.append(line)
        else:
            cases.append(line)
    cases += ["a\r\nb\rc\n", "a\n\n", "\n", "", "{{ 'a\nb' }}\n\n", "x{% if 1 %}\r\ny{% endif %}", "{{ 1 }}\n{{ 2 }}\n",
              "  {{ 1 }}  {% if 1 %}  \n  {%- endif %}", "{%- for i in l %}\n  {{ i }}\n{%- endfor %}\n", "{# a #}\n\n{# b #} \n x",
              "a {%- set y = 1 +%}\n b", "a\n {%+ set y = 1 %}\n b", "{%set y=1%}{{y}}{%if y%}z{%endif%}", "{{-1}}{{+1}}{{ -1 }}"]
    return [(c, V) for c in cases]


# ---- generated cases ----

class Maker:
    def __init__(self, rng):
        self.r = rng

    def pick(self, *xs):
        return self.r.choice(xs)

    def string(self):
        return repr(self.r.choice(["", "a", "ab c", "  x ", "é中", "Q", "1", "2.5", "a,b", "</s>", "\n", "it's", "A-b"]))

    def atom(self):
        return self.pick("n", "f", "t", "x", "s", "zh", "l", "d", "e", "words", "rows", "nested", "nope", "messages", "0", "1", "-1", "2", "3.5", "none",
                         "true", "false", self.string(), self.string(), self.string(), "[1, 'a']", "{'k': 1}", "(1, 2)", "range(3)", "[]", "{}")

    def expr(self, d):
        if d <= 0 or self.r.random() < 0.15:
            return self.atom()
        e = lambda: self.expr(d - 1)
        k = self.r.randrange(14)
        if k == 0:
            return f"({e()} {self.pick('+', '-', '*', '/', '//', '%', '~')} {e()})"
        if k == 1:
            return f"{e()} {self.pick('==', '!=', '<', '>', '<=', '>=', 'in', 'not in')} {e()}" if d == 1 else f"({e()} {self.pick('==', 'in', '<')} {e()})"
        if k == 2:
            return f"({e()} {self.pick('and', 'or')} {e()})"
        if k == 3:
            return f"(not {e()})"
        if k == 4:
            return f"({e()} if {e()} else {e()})"
        if k == 5:
            return f"{self.paren(d)}{self.pick('.k', '.a', '[0]', '[-1]', '[1:]', '[:-1]', '[::-1]', '.role', '.content', '[0].role', '[1:2]', '[n]')}"
        if k in (6, 7, 8):
            return f"{self.paren(d)}|{self.filter(d)}"
        if k == 9:
            return f"({self.paren(d)} is {self.pick('', 'not ')}{self.test(d)})"
        if k in (10, 11):
            return f"{self.paren(d)}.{self.method(d)}"
        if k == 12:
            return f"[{e()}, {e()}]"
        return f"{{'k': {e()}, 'z': {e()}}}"

    def paren(self, d):
        return f"({self.expr(d - 1)})"

    def filter(self, d):
        e = self.expr(0)
        return self.pick("trim", "length", "list", "upper", "lower", "title", "capitalize", "string", "first", "last", "int", "float", "abs", "round", "sort", "sum",
                         "min", "max", "tojson", "tojson(indent=2)", "join", f"join({self.string()})", f"default({e})", f"default({e}, true)", "reverse|list",
                         f"replace({self.string()}, {self.string()})", "unique|list", "map('string')|list", "map('upper')|join(',')", "select|list", "reject('none')|list",
                         "map(attribute='role')|list", "selectattr('role')|list", "batch(2)|list", "indent(1)", "e", "items|list", "dictsort", "string|length", "round(1)",
                         "select('string')|list", "sort(reverse=true)", f"attr('x')", "groupby('g')|list|length", "slice(2)|list")

    def test(self, d):
        return self.pick("defined", "none", "string", "number", "integer", "float", "boolean", "mapping", "iterable", "sequence", "true", "false", "odd", "even",
                         "upper", "lower", f"eq({self.expr(0)})", f"in({self.expr(0)})", "divisibleby(2)", f"gt({self.expr(0)})", "undefined", "callable")

    def method(self, d):
        return self.pick("strip()", "lstrip()", "rstrip('x ')", "split()", "split(',')", "split(' ', 1)", "startswith('a')", "endswith('c')", f"replace('a', {self.string()})",
                         "upper()", "lower()", "title()", "capitalize()", "find('b')", "join(['a', 'b'])", "get('k')", "get('a', 1)", "items()|list", "keys()|list",
                         "values()|list", "index(1)", "count('a')", "count(1)", "format(1)", "splitlines()", "rsplit(None, 1)", "partition(' ')", "isdigit()")

    def statement(self, d):
        if d <= 0:
            return self.pick("text ", "\n", "  \n  ", "中", "{{ n }}", f"{{{{ {self.expr(2)} }}}}")
        body = lambda: "".join(self.statement(d - 1) for _ in range(self.r.randrange(1, 4)))
        o, c = self.pick("{%", "{%-", "{%+"), self.pick("%}", "-%}", "%}", "+%}")
        k = self.r.randrange(11)
        x = self.pick("a", "b")
        if k <= 2:
            return f"{o} if {self.expr(2)} {c}{body()}{self.pick('', o + ' else ' + c + body())}{o} endif {c}"
        if k <= 4:
            return f"{o} for i in {self.expr(2)} {self.pick('', 'if i ', 'if loop')}{c}{body()}{{{{ i }}}}{{{{ loop.{self.pick('index', 'last', 'length', 'revindex0')} }}}}{self.pick('', o + ' else ' + c + 'E')}{o} endfor {c}"
        if k == 5:
            return f"{o} set {x} = {self.expr(2)} {c}"
        if k == 6:
            return f"{o} set {x} {c}{body()}{o} endset {c}{{{{ {x} }}}}"
        if k == 7:
            return f"{o} macro m(a, b={self.expr(1)}) {c}{body()}{{{{ a }}}}{{{{ b }}}}{o} endmacro {c}{{{{ m({self.expr(1)}) }}}}"
        if k == 8:
            return f"{o} filter {self.pick('upper', 'trim', 'length')} {c}{body()}{o} endfilter {c}"
        if k == 9:
            return self.pick("{# c #}", "{#- c -#}\n", "\n  {# c #}\n", "{% generation %}g{% endgeneration %}", "{% raw %}{{ x }}{% endraw %}\n")
        return f"{{{{{self.pick('', '-')} {self.expr(3)} {self.pick('', '-')}}}}}"

    def template(self):
        return "".join(self.statement(self.r.randrange(1, 4)) for _ in range(self.r.randrange(1, 5)))


def generated_cases(count, seed):
    rng = random.Random(seed)
    m = Maker(rng)
    return [(("{{ " + m.expr(rng.randrange(1, 5)) + " }}") if rng.random() < 0.6 else m.template(), V) for _ in range(count)]


# Python prints addresses and class names for these; nobody wants them in a prompt.
UNPRINTABLE = (" object at 0x", "<bound method", "<built-in", "<function", "<Macro", "<class", "<generator", "LoopContext", "Cycler", "reversed", "dict_itemiterator",
               "&lt;generator", "&lt;bound", "&lt;built", "&lt;list_", "_reverse", "LT;GENERATOR", "<GENERATOR", "<Generator", "<BOUND", "<BUILT")


def expected(template, variables):
    got = python(template, variables)
    if any(u.lower() in got.get("text", "").lower() for u in UNPRINTABLE):
        return {"skip": "address"}
    return got


def live(build, count, seed):
    cases = written_cases() + generated_cases(count, seed)
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl", delete=False) as f:
        for t, v in cases:
            f.write(json.dumps({"template": t, "vars": v, "date": DATE}, ensure_ascii=False) + "\n")
    out = subprocess.run([os.path.join(build, "tests", "tokens_test_jinja_goldens"), f.name], capture_output=True)
    os.unlink(f.name)
    lines = out.stdout.decode("utf-8").split("\n")[:-1]
    if len(lines) != len(cases):
        sys.exit(f"{len(lines)} answers for {len(cases)} templates; the next is {cases[len(lines)][0]!r}\n{out.stderr.decode()[-2000:]}")
    bad = skipped = errors = 0
    for (t, v), line in zip(cases, lines):
        got, want = json.loads(line), expected(t, v)
        # Python folds a slice of a constant that has none to undefined; at run time it is an error there too.
        if "skip" in want or "does not fit 64 bits" in got.get("error", "") or "cannot be sliced" in got.get("error", ""):
            skipped += 1
        elif ("text" in want) != ("text" in got) or got.get("text") != want.get("text"):
            bad += 1
            if bad <= 40:
                print(f"--- {t!r}\n  weft   {got}\n  jinja2 {want}")
        errors += "error" in want
    print(f"{len(cases)} templates: {bad} differ, {skipped} without comparison, {errors} refused by jinja2")
    return add(f"templates of {len(cases) - skipped} with another text", "jinja2", bad, 0)


def goldens():
    os.makedirs(DATA, exist_ok=True)
    with open(os.path.join(DATA, "jinja.jsonl"), "w") as f:
        for t, v in written_cases() + generated_cases(400, 1):
            got = expected(t, v)
            if "skip" in got:
                continue
            used = {k: x for k, x in v.items() if k in t}
            f.write(json.dumps({"template": t, "vars": used, "date": DATE, **got}, ensure_ascii=False) + "\n")


# ---- whole conversations ----

TOOLS = [{"type": "function", "function": {"name": "weather", "description": "Weather of a place", "strict": True, "parameters": {
    "type": "object", "required": ["city"],
    "properties": {"days": {"type": "integer"}, "city": {"type": "string", "description": "a \"city\" <or> 城市"}}}}}]


def call(**arguments):
    return [{"id": "call00001", "type": "function", "function": {"name": "weather", "arguments": arguments}}]


U, A, S = "user", "assistant", "system"
TALKS = {
    "one": [(U, "你好"), (A, "你好！有什么事？")],
    "system": [(S, "You are 甄嬛."), (U, "你是谁"), (A, "臣妾甄嬛。")],
    "three": [(S, "Brief."), (U, "a"), (A, "b c"), (U, "d"), (A, "e\n\nf"), (U, "g"), (A, "h")],
    "no system": [(U, "a"), (A, "b"), (U, "c"), (A, "d")],
    "blanks": [(U, "  spaces \n"), (A, " lead and trail \n\n"), (U, "\u3000x"), (A, "\nnew line first")],
    "alike": [(U, "b"), (A, "b"), (U, "b"), (A, "b")],
    "specials": [(U, "say <|im_end|>"), (A, "<|im_end|>\n<|im_start|>assistant\nno"), (U, "</s>[INST] x[/INST]"), (A, "<|eot_id|>")],
    "empty": [(U, "x"), (A, "")],
    "prompt": [(S, "Brief."), (U, "a"), (A, "b"), (U, "c")],
    "thoughts": [(U, "a"), (A, "<think>\nfirst\n</think>\n\nb"), (U, "c"), (A, "<think>\nsecond\n</think>\n\nd")],
    "two users": [(U, "a"), (U, "b"), (A, "c")],
    "answer first": [(A, "a"), (U, "b")],
}
TALKS = {k: [{"role": r, "content": c} for r, c in v] for k, v in TALKS.items()}
TALKS["reasoning"] = [{"role": U, "content": "a"}, {"role": A, "content": "b", "reasoning_content": "why"}]
TALKS["tools"] = [{"role": U, "content": "天气？"}, {"role": A, "content": "", "tool_calls": call(city="北京", days=2)},
                  {"role": "tool", "name": "weather", "tool_call_id": "call00001", "content": "{\"t\": 3}"}, {"role": A, "content": "三度。"}]
TALKS["parts"] = [{"role": U, "content": [{"type": "text", "text": " one"}, {"type": "image"}, {"type": "text", "text": "two "}]},
                  {"role": A, "content": [{"type": "text", "text": "three"}]}]

# What follows an answer: the end-of-turn marker, and the white space behind it; what comes before an answer where the
# prompt of the conversation so far is no prefix of the whole text.
ENDS = {"chatml": ("<|im_end|>", "\n", None), "thinking": ("<|im_end|>", "\n", "<|im_start|>assistant\n"),
        "headers": ("<|eot_id|>", "", None), "inst": ("</s>", "", "[/INST]"), "turns": ("<end_of_turn>", "\n", None),
        "parts": ("<|end|>", "\n", None), "generation": ("<|im_end|>", "\n", None), "xml": ("\n<|end|>", "\n", None)}
TAKES = {"parts": ["parts"], "turns": ["one", "no system", "blanks", "alike", "specials", "empty", "two users", "answer first", "parts"]}
SETTINGS = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": ""}
VARIANTS = [{}, {"add_generation_prompt": True}, {"enable_thinking": False}, {"date_string": "1 Jan 2000"}]


def render(source, messages, tools, settings):
    text, marks = ctu.render_jinja_template([copy.deepcopy(messages)], tools=copy.deepcopy(tools), chat_template=source,
                                            return_assistant_tokens_mask="{%- generation" in source, **settings)
    return text[0], marks[0] if marks else None


def loss_of(source, name, messages, tools, settings, text):
    """Begin, end and end with trailing space of what each answer trains, by rendering every prefix: slow and simple."""
    marker, trailing, header = ENDS[name]
    spans, at = [], 0
    for k, m in enumerate(messages):
        if m["role"] != "assistant":
            continue
        words = m["content"] if isinstance(m["content"], str) else m["content"][-1]["text"]
        words = words.split("</think>")[-1].strip()
        if m.get("tool_calls"):
            words = "</tool_call>" if name == "thinking" else "</call>" if name == "xml" else "}}"
        try:
            prompt = render(source, messages[:k], tools, {**settings, "add_generation_prompt": True})[0]
        except Exception:
            prompt = None
        if prompt is not None and text.startswith(prompt) and len(prompt) >= at:
            begin = len(prompt)
        else:
            begin = text.index(header, at) + len(header)
        end = text.index(marker, text.index(words, begin) + len(words)) + len(marker)
        spans.append([begin, end, end + len(trailing)])
        at = end
    return spans


def chat_goldens():
    with open(os.path.join(DATA, "chat.jsonl"), "w") as f:
        for name in ENDS:
            source = open(os.path.join(DATA, name + ".jinja"), encoding="utf-8").read()
            for talk in TAKES.get(name, [t for t in TALKS if t != "parts"]):
                for extra in VARIANTS:
                    if (name != "thinking" and "enable_thinking" in extra) or (name != "headers" and "date_string" in extra):
                        continue
                    tools = TOOLS if talk == "tools" and name in ("thinking", "xml") else None
                    if (talk == "tools" and name not in ("thinking", "headers", "xml")) or (talk == "empty" and name == "xml") or \
                            (talk in ("thoughts", "reasoning") and "enable_thinking" in extra):
                        continue
                    if extra.get("add_generation_prompt") and talk not in ("prompt", "tools"):
                        continue
                    case = {"template": name, "talk": talk, "messages": TALKS[talk], "tools": tools, "kwargs": extra}
                    try:
                        text, marks = render(source, TALKS[talk], tools, {**SETTINGS, **extra})
                    except Exception as e:
                        f.write(json.dumps({**case, "error": str(e)}, ensure_ascii=False) + "\n")
                        continue
                    case["text"] = text
                    case["loss"] = [[b, e, e] for b, e in marks] if marks is not None else loss_of(source, name, TALKS[talk], tools, {**SETTINGS, **extra}, text)
                    f.write(json.dumps(case, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["goldens"]:
        goldens()
        chat_goldens()
    elif sys.argv[1:2] == ["live"] and len(sys.argv) > 2:
        sys.exit(0 if live(sys.argv[2], int((sys.argv + ["", "", "2000"])[3] or 2000) if len(sys.argv) > 3 else 2000,
                           int(sys.argv[4]) if len(sys.argv) > 4 else 7) else 1)
    else:
        sys.exit(__doc__)
