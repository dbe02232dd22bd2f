"""How the page of a report looks."""

from __future__ import annotations

STYLE = """
:root { color-scheme: light dark; --line: light-dark(#d9dce1, #3a3f47); --soft: light-dark(#5c6470, #a2abb8);
  --card: light-dark(#f6f7f9, #1d2025); --good: light-dark(#1a7f37, #56d364); --bad: light-dark(#c5221f, #ff7b72);
  --odd: light-dark(#9a6700, #e3b341); --dull: light-dark(#6e7781, #8b949e); --link: light-dark(#0b57d0, #8ab4f8); }
body { margin: 0; font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 64rem; margin: 0 auto; padding: 1.5rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
nav a { margin-right: 1rem; } a { color: var(--link); }
.about, small, .seen { color: var(--soft); } small { font-weight: normal; }
.levels { display: grid; grid-template-columns: repeat(auto-fit, minmax(12rem, 1fr)); gap: .75rem; }
.level { background: var(--card); border-left: .3rem solid var(--dull); border-radius: .3rem; padding: .6rem .8rem; }
.level b, .level span, .level small { display: block; } .level span { font-weight: 600; }
.seen { columns: 18rem; padding-left: 1.2rem; }
.passed { border-color: var(--good); } .passed span, .verdict.pass, .verdict.passed { color: var(--good); }
.failed, .level.error { border-color: var(--bad); }
.failed span, .level.error span, .verdict.fail, .verdict.failed, .verdict.error { color: var(--bad); }
.partial, .level.inconclusive { border-color: var(--odd); }
.partial span, .inconclusive, .verdict.partial, .verdict.known, .verdict.skipped { color: var(--odd); }
.verdict { font-weight: 600; white-space: nowrap; } .verdict.unsupported, .verdict.no-case { color: var(--dull); }
table { border-collapse: collapse; width: 100%; } th, td { text-align: left; padding: .2rem .6rem; }
.matrix tbody tr { border-top: 1px solid var(--line); }
.matrix thead th { position: sticky; top: 0; background: Canvas; }
.matrix .part th { padding-top: .9rem; color: var(--soft); font-size: .85rem; }
tr:target, th:target { background: var(--card); }
details { margin: .5rem 0; } summary { cursor: pointer; overflow-wrap: anywhere; } li { overflow-wrap: anywhere; }
.case { border: 1px solid var(--line); border-radius: .3rem; padding: .4rem .8rem; }
.reason { font-family: ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere; }
pre { background: var(--card); border-radius: .3rem; margin: .2rem 0; padding: .4rem .6rem; white-space: pre-wrap;
  overflow-wrap: anywhere; font-size: .85rem; }
pre.s2 { border-left: .2rem solid var(--good); } pre.s4, pre.s5, pre.s0 { border-left: .2rem solid var(--bad); }
.timeline { overflow-x: auto; } .case ol { padding-left: 1.6rem; }
@media (max-width: 40rem) {
  body { font-size: 14px; } main { padding: .8rem; } th, td { padding: .2rem .25rem; overflow-wrap: anywhere; }
  .matrix small { display: none; }
}
svg { width: 100%; min-width: 40rem; font-size: 11px; fill: var(--soft); } svg line { stroke: var(--line); }
rect { fill: var(--odd); } rect.s2 { fill: var(--good); } rect.s4, rect.s5, rect.s0 { fill: var(--bad); }
"""
