"""The style of a report: colours of its figures, style sheet of its page."""

# Stand in an SVG for the colour of text and of the page, whatever they are.
INK, PAPER = '#010203', '#fdfcfb'
# Okabe and Ito's colours, told apart by every kind of sight, on dark or light.
# In small letters, as matplotlib writes them.
COLOURS = ('#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9')
# The same, lighter, for a dark page.
_DARK = ('#58a9e8', '#f08a4b', '#35c79b', '#e3a5c8', '#f2b84b', '#93d2f7')
GREY = '#8a8f98'

CSS = """
:root{color-scheme:light dark;--page:#fff;--text:#1d2127;--soft:#5b6470;
--line:#d9dde3;--band:#f5f6f8;--link:#0b57a4;
LIGHT--good:#0a6b3d;--good-b:#e0f3e8;
--bad:#a02c1c;--bad-b:#fbe6e2;--open:#7a5300;--open-b:#fbf0d2}
@media (prefers-color-scheme:dark){:root{--page:#15181c;--text:#e4e7eb;
--soft:#a0a8b3;--line:#363c45;--band:#1e2228;--link:#79b8ff;
DARK--good:#6fd6a0;
--good-b:#12382a;--bad:#ff9d8c;--bad-b:#42211c;--open:#f0c766;--open-b:#3a2f12}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--page);color:var(--text);
font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",
sans-serif}
main{max-width:88rem;margin:0 auto;padding:1.2rem clamp(.9rem,3vw,2.5rem) 4rem}
h1{font-size:clamp(1.4rem,1.1rem + 1.4vw,2.1rem);line-height:1.2;margin:.6rem 0}
h2{font-size:1.35rem;margin:3rem 0 .6rem;padding-top:.8rem;
border-top:1px solid var(--line)}
h3{font-size:1.1rem;margin:2rem 0 .5rem}
h4{font-size:.95rem;margin:1rem 0 .3rem;color:var(--soft)}
p,ul{max-width:46rem;margin:.6rem 0}
ul{padding-left:1.2rem}
li{margin:.25rem 0}
a{color:var(--link)}
.soft,small{color:var(--soft)}
small{font-size:.8rem}
.lead{font-size:1.15rem;font-weight:600}
.warn{background:var(--open-b);color:var(--open);padding:.5rem .8rem;
border-radius:.4rem;max-width:46rem}
.scroll{overflow-x:auto;margin:.8rem 0;border:1px solid var(--line);
border-radius:.5rem}
table{border-collapse:collapse;width:100%;font-size:.9rem;line-height:1.35;
font-variant-numeric:tabular-nums}
th,td{padding:.45rem .6rem;text-align:left;vertical-align:top;
border-bottom:1px solid var(--line)}
tbody tr:last-child>*{border-bottom:0}
thead th{background:var(--band);font-weight:600;vertical-align:bottom}
tbody th{font-weight:400}
tr.paper>*{background:var(--band);font-weight:600}
tr.level>*{color:var(--soft);font-style:italic}
tr.best th b::after{content:" ★";color:var(--open)}
td.n,th.n{text-align:right}
td.n{white-space:nowrap}
td.bar{background:linear-gradient(90deg,var(--good-b) var(--share),
transparent var(--share))}
td small,th small{display:block}
th.name{min-width:9rem;max-width:20rem}
.badge{display:inline-block;padding:.1rem .5rem;border-radius:1rem;
font-weight:600;font-size:.85rem;white-space:nowrap}
.good{color:var(--good);background:var(--good-b)}
.bad{color:var(--bad);background:var(--bad-b)}
.open{color:var(--open);background:var(--open-b)}
figure{margin:1rem 0;max-width:54rem}
figure.wide{max-width:64rem}
figure .scroll{border:0;margin:0}
figure svg{display:block;width:100%;height:auto}
figcaption{color:var(--soft);font-size:.85rem;max-width:46rem}
details{margin:.6rem 0}
summary{cursor:pointer;color:var(--link)}
pre{background:var(--band);border:1px solid var(--line);border-radius:.5rem;
padding:.7rem .9rem;overflow-x:auto;font-size:.82rem;line-height:1.5;
margin:.5rem 0}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1rem;
font-size:.9rem}
dt{color:var(--soft)}
dd{margin:0;overflow-wrap:anywhere}
:target{scroll-margin-top:.5rem}
@media (max-width:40rem){th,td{padding:.4rem .5rem}
dl{grid-template-columns:1fr;gap:0}dd{margin-bottom:.5rem}
th.name{min-width:8rem}}
@media print{.scroll{overflow:visible}details>*{display:block}}
"""
for _name, _colours in (('LIGHT', COLOURS), ('DARK', _DARK)):
  _set = ''.join(f'--c{i}:{colour};' for i, colour in enumerate(_colours))
  CSS = CSS.replace(_name, _set)
