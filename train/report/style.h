// The look of the report page and the few lines of script that add comfort. The page is complete without the script.
#pragma once

#include <string_view>

namespace solobox::report_style {

// Light first; dark when the reader's system says so; paper is always light. No character that XML would misread.
inline constexpr std::string_view css = R"css(
:root { color-scheme: light dark;
  --bg: #f6f6f3; --card: #ffffff; --ink: #1d2025; --soft: #626973; --line: #e4e4df; --tint: #f0f0ec;
  --good: #15803d; --good-bg: #e7f6ec; --bad: #c81e1e; --bad-bg: #fdecec; --warn: #9a5b00; --warn-bg: #fdf3df; --info: #1d5fb8; --info-bg: #e8f0fc;
  --c0: #1769c9; --c1: #d9530b; --c2: #0a8a62; --c3: #8b3fb0; --c4: #87700a; --c5: #c4246a;
  --truth: #1fb45c; --prediction: #ff3b3b; }
@media (prefers-color-scheme: dark) { :root {
  --bg: #111316; --card: #191c20; --ink: #e7e9ec; --soft: #99a1ac; --line: #2c3138; --tint: #21252a;
  --good: #4fd586; --good-bg: #12291c; --bad: #ff7b74; --bad-bg: #341819; --warn: #f1b44c; --warn-bg: #2f2412; --info: #79b0ff; --info-bg: #16243a;
  --c0: #61aeff; --c1: #ff9a57; --c2: #45d3a0; --c3: #d193f0; --c4: #dfc24d; --c5: #ff7fb0; } }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body { margin: 0; background: var(--bg); color: var(--ink); font: 15px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
main { max-width: 1120px; margin: 0 auto; padding: 36px 28px 64px; }
code, .mono { font-family: ui-monospace, "SF Mono", "Cascadia Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: .92em; }
h1 { font-size: 30px; line-height: 1.2; letter-spacing: -.02em; font-weight: 680; margin: 2px 0 18px; }
h2 { font-size: 19px; letter-spacing: -.01em; font-weight: 660; margin: 0 0 12px; }
section { margin-top: 44px; }
figure, p, ol, ul, dl { margin: 0; padding: 0; } ol, ul { list-style: none; }
small { color: var(--soft); font-weight: 400; font-size: .86em; }
svg text { fill: var(--soft); font-size: 11.5px; }
.eyebrow { color: var(--soft); font-size: 12px; letter-spacing: .09em; text-transform: uppercase; font-weight: 600; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 18px 20px; }
.lead { color: var(--soft); margin: -4px 0 14px; max-width: 92ch; text-wrap: pretty; } .lead b { color: var(--ink); } .card + .lead { margin-top: 12px; }
.note { color: var(--soft); font-size: 13.5px; margin-top: 10px; }
p.bad, span.bad { color: var(--bad); font-size: 12.5px; font-weight: 600; }
.verdict { display: flex; gap: 18px; align-items: center; border-radius: 14px; padding: 20px 24px; border: 1px solid var(--line); background: var(--card); }
.verdict svg { flex: none; width: 46px; height: 46px; } .verdict b { display: block; font-size: 21px; line-height: 1.2; letter-spacing: .01em; }
.verdict p { margin-top: 3px; max-width: 92ch; text-wrap: pretty; }
.verdict.pass { background: var(--good-bg); border-color: var(--good); } .verdict.pass b { color: var(--good); }
.verdict.fail { background: var(--bad-bg); border-color: var(--bad); } .verdict.fail b { color: var(--bad); }
.verdict circle { fill: var(--soft); } .verdict.pass circle { fill: var(--good); } .verdict.fail circle { fill: var(--bad); }
.verdict path { stroke: var(--card); stroke-width: 3.4; fill: none; stroke-linecap: round; stroke-linejoin: round; }
nav { display: flex; flex-wrap: wrap; gap: 4px 18px; margin-top: 18px; font-size: 14px; }
nav a { color: var(--soft); text-decoration: none; border-bottom: 1px solid var(--line); } nav a:hover { color: var(--ink); border-color: var(--ink); }
.tiles { display: grid; grid-template-columns: repeat(auto-fill, minmax(160px, 1fr)); gap: 12px; margin-top: 16px; }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 13px 16px 14px; }
.tile dt { color: var(--soft); font-size: 13px; line-height: 1.35; } .tile dd { margin: 3px 0 0; font-size: 24px; line-height: 1.2; font-weight: 640; letter-spacing: -.015em; }
.tile dd.long { font-size: 16px; line-height: 1.35; letter-spacing: 0; }
.finding { display: grid; grid-template-columns: 62px 1fr; gap: 4px 14px; padding: 14px 18px; border-left: 4px solid var(--soft); } .finding + .finding { margin-top: 10px; }
.finding .badge { align-self: start; margin-top: 1px; text-align: center; font-size: 11.5px; font-weight: 700; letter-spacing: .06em; border-radius: 6px; padding: 2px 0; background: var(--tint); color: var(--soft); }
.finding h3 { font-size: 14px; margin: 0; font-weight: 600; color: var(--soft); } .finding .cure { margin-top: 5px; color: var(--soft); } .finding .cure b { color: var(--ink); font-weight: 620; }
.finding.fail { border-left-color: var(--bad); } .fail .badge { background: var(--bad-bg); color: var(--bad); }
.finding.warn { border-left-color: var(--warn); } .warn .badge { background: var(--warn-bg); color: var(--warn); }
.finding.info { border-left-color: var(--info); } .info .badge { background: var(--info-bg); color: var(--info); }
.finding.pass { border-left-color: var(--good); } .pass .badge { background: var(--good-bg); color: var(--good); }
figcaption { font-weight: 620; margin-bottom: 10px; } figcaption small { margin-left: 6px; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 430px), 1fr)); gap: 16px; align-items: stretch; }
.area { display: grid; grid-template-columns: 60px minmax(0, 1fr); } .area svg { display: block; overflow: visible; }
.ya { width: 60px; height: 220px; text-anchor: end; } .pa { width: 100%; height: 220px; } .xa { width: 100%; height: 38px; display: block; overflow: visible; }
.area .xa { grid-column: 2; } .label { font-size: 12px; }
.grid, .axis { fill: none; stroke: var(--line); stroke-width: 1; vector-effect: non-scaling-stroke; } .axis { stroke: var(--soft); opacity: .7; }
.line { fill: none; stroke-width: 1.9; stroke-linejoin: round; stroke-linecap: round; vector-effect: non-scaling-stroke; } .dot { fill: none; stroke-width: 7; stroke-linecap: round; vector-effect: non-scaling-stroke; }
.dashed { stroke-dasharray: 5 4; }
.c0 { stroke: var(--c0); } .c1 { stroke: var(--c1); } .c2 { stroke: var(--c2); } .c3 { stroke: var(--c3); } .c4 { stroke: var(--c4); } .c5 { stroke: var(--c5); }
.fields { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 310px), 1fr)); gap: 16px; } .field { break-inside: avoid; min-width: 0; } .field figcaption { line-height: 1.35; margin-bottom: 8px; } .field figcaption small { display: block; margin: 1px 0 0; min-height: 2.7em; }
.plane { display: grid; grid-template-columns: 20px minmax(0, 1fr); color: var(--soft); font-size: 11.5px; line-height: 16px; } .plane svg { display: block; width: 100%; aspect-ratio: 1; background: var(--card); border: 1px solid var(--line); }
.plane div { display: flex; justify-content: space-between; } .plane .v { flex-direction: column; } .plane .v.up { flex-direction: column-reverse; } .plane .h { grid-column: 2; margin-top: 3px; }
.plane path { fill: none; } .plane .shade { fill: var(--c0); } .arrows { stroke: var(--ink); stroke-width: 1.15; stroke-linecap: round; stroke-linejoin: round; vector-effect: non-scaling-stroke; }
.still { stroke: var(--bad); stroke-width: 3.6; stroke-linecap: round; vector-effect: non-scaling-stroke; } .cross { stroke: var(--truth); stroke-width: 3; vector-effect: non-scaling-stroke; }
.plane rect { fill: none; stroke-width: 2.2; vector-effect: non-scaling-stroke; } .plane .truth { stroke: var(--truth); } .plane .prediction { stroke: var(--prediction); stroke-dasharray: 6 4; } .plane .reach { stroke: var(--ink); stroke-width: 1; stroke-dasharray: 2 4; opacity: .75; }
.key i.reach { border: 1px dashed var(--ink); } .key i.dot { width: 8px; height: 8px; border: 0; border-radius: 4px; background: var(--bad); vertical-align: 1px; } .key i.cross { width: 12px; height: 12px; border: 0; background: linear-gradient(var(--truth), var(--truth)) 50%/100% 3px no-repeat, linear-gradient(var(--truth), var(--truth)) 50%/3px 100% no-repeat; }
table { border-collapse: collapse; width: 100%; font-size: 13.5px; } th { text-align: left; font-weight: 600; } td, th { padding: 5px 8px; vertical-align: baseline; }
thead th { color: var(--soft); font-size: 12px; font-weight: 500; border-bottom: 1px solid var(--line); } tbody tr + tr > * { border-top: 1px solid var(--line); }
.legend { margin-top: 6px; } .legend td, .legend thead th + th { text-align: right; white-space: nowrap; } .legend tbody th { font-weight: 500; } .swatch { width: 22px; height: 8px; margin-right: 8px; }
.stack { display: grid; gap: 16px; } .dotted { table-layout: auto; } .dotted th { white-space: nowrap; font-weight: 500; padding: 0 10px 0 0; } .dotted td { padding: 0; text-align: right; white-space: nowrap; } .dotted td, .dotted th { vertical-align: middle; } .dotted td + td { padding-left: 10px; } .dotted .wide { width: 100%; min-width: 120px; } .dotted tbody tr + tr > * { border-top: 0; } .dots { display: block; width: 100%; height: 26px; overflow: visible; } .dotted .xa { height: 20px; } .dotted + .key { margin: 10px 0 0; }
.strip { display: block; width: 100%; height: 36px; overflow: visible; margin-bottom: 8px; } .strip line { stroke: var(--line); stroke-width: 1; } .strip rect { fill: var(--c0); opacity: .75; }
.key { display: flex; flex-wrap: wrap; gap: 6px 18px; align-items: center; font-size: 13.5px; color: var(--soft); margin-bottom: 14px; }
.key i { display: inline-block; width: 20px; height: 12px; margin-right: 7px; vertical-align: -1px; border: 2px solid var(--truth); border-radius: 2px; } .key i.prediction { border: 2px dashed var(--prediction); }
#sort { margin-left: auto; } #sort button { font: inherit; color: var(--soft); background: none; border: 1px solid var(--line); border-radius: 7px; padding: 2px 10px; margin-left: 6px; cursor: pointer; } #sort button:hover { color: var(--ink); border-color: var(--soft); }
.gallery { display: grid; grid-template-columns: repeat(auto-fill, minmax(176px, 1fr)); gap: 18px 16px; align-items: end; }
.picture { min-width: 0; break-inside: avoid; } .frame { position: relative; width: 100%; max-height: 420px; overflow: hidden; border-radius: 8px; background: var(--tint); }
.frame img { display: block; width: 100%; height: 100%; } .frame .pixels { image-rendering: pixelated; } .frame svg { position: absolute; inset: 0; width: 100%; height: 100%; }
.frame.none { aspect-ratio: 1; display: grid; place-items: center; color: var(--soft); border: 1px dashed var(--line); }
.frame rect, .frame line { fill: none; stroke-width: 2.4; } .frame .casing { stroke: #000; stroke-opacity: .45; stroke-width: 4.4; } .frame .truth { stroke: var(--truth); } .frame .prediction { stroke: var(--prediction); stroke-dasharray: 7 4.5; }
.meter { height: 4px; border-radius: 2px; background: var(--line); margin-top: 7px; overflow: hidden; } .meter i { display: block; height: 100%; background: var(--bad); } .meter .fair { background: var(--warn); } .meter .good { background: var(--good); }
.picture figcaption { display: flex; gap: 8px; justify-content: space-between; font-size: 13px; font-weight: 400; margin: 4px 0 0; } .picture .name { color: var(--soft); overflow: hidden; text-overflow: ellipsis; white-space: nowrap; } .picture b { font-weight: 650; flex: none; white-space: nowrap; }
.picture.zoom { grid-column: 1 / -1; } .picture.zoom .frame { width: auto; max-width: 720px; max-height: none; } .script .frame { cursor: zoom-in; } .script .zoom .frame { cursor: zoom-out; }
.rest { columns: 240px; font-size: 13px; margin-top: 8px; }
.heat { margin-top: 16px; } .fine { color: var(--soft); font-size: 14px; margin: -6px 0 12px; }
.alarm { background: var(--bad-bg); border-left: 4px solid var(--bad); border-radius: 6px; padding: 9px 14px; margin: 0 0 14px; font-size: 14.5px; } .alarm b { color: var(--bad); } .alarm ul { margin-top: 3px; font-size: 13.5px; }
.rows { display: grid; grid-template-columns: fit-content(30%) minmax(0, 1fr) minmax(92px, auto); column-gap: 10px; } .rows li { height: var(--row); line-height: var(--row); font-size: min(12px, calc(var(--row) - 1px)); white-space: nowrap; }
.rows ol:not(.r) li { display: flex; justify-content: flex-end; font-family: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; } .rows ol { min-width: 0; } .rows li span { overflow: hidden; text-overflow: ellipsis; direction: rtl; }
.rows .r { text-align: right; } .rows .bad { color: var(--bad); font-weight: 700; } .end { color: var(--soft); font-size: 11.5px; text-align: right; }
.cells { display: block; width: 100%; border-radius: 4px; } .cells image { image-rendering: pixelated; } .cells line { stroke: var(--card); stroke-width: 1; } .cells .tip { fill: transparent; } .cells .tip:hover { stroke: var(--ink); stroke-width: 1; }
.hatch { fill: url(#hatch); } .cells .word { fill: #fff; font-size: 11.5px; font-weight: 700; letter-spacing: .12em; text-anchor: middle; paint-order: stroke; stroke: #8f1111; stroke-width: 5px; stroke-linejoin: round; }
.scale { display: flex; flex-wrap: wrap; gap: 4px 22px; align-items: flex-start; margin-top: 8px; } .bar { width: min(340px, 100%); height: 28px; overflow: visible; } .keys { font-size: 12px; color: var(--soft); display: flex; gap: 14px; line-height: 12px; }
.keys i { display: inline-block; width: 16px; height: 10px; border-radius: 2px; margin-right: 6px; vertical-align: -1px; background: #80848a; } .keys .k0 { background: repeating-linear-gradient(135deg, #d63031 0 3px, #ffb3ae 3px 5px); } .keys .k2 { background: #ff00c8; }
details { margin-top: 16px; } summary { cursor: pointer; color: var(--soft); font-size: 14px; } summary:hover { color: var(--ink); }
.scroll { overflow-x: auto; margin-top: 10px; } .numbers { overflow-wrap: normal; font-size: 12.5px; } .numbers td { text-align: right; white-space: nowrap; } .numbers thead th + th { text-align: right; } .numbers tbody th { font-weight: 400; white-space: nowrap; }
.numbers th, .facts code { font-family: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; } .numbers thead th { font-family: inherit; }
.setup { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 430px), 1fr)); gap: 44px 24px; } .setup section { min-width: 0; }
.facts { table-layout: auto; } .facts th { font-weight: 400; color: var(--soft); width: 34%; } .facts .set { background: var(--info-bg); } .facts .set th { color: var(--ink); font-weight: 600; box-shadow: inset 3px 0 0 var(--info); }
.facts .origin { color: var(--soft); font-size: 12px; text-align: right; max-width: 14em; overflow-wrap: anywhere; } .facts td code { overflow-wrap: anywhere; } .facts .set .origin { color: var(--info); font-weight: 600; } .setup .card { padding: 8px 10px; }
footer { margin-top: 48px; color: var(--soft); font-size: 12.5px; }
.defs { position: absolute; width: 0; height: 0; }
@media (max-width: 560px) { main { padding: 22px 14px 40px; } h1 { font-size: 24px; } .card { padding: 14px 14px; } .verdict { padding: 16px; gap: 14px; } .verdict svg { width: 36px; height: 36px; }
  .tiles { grid-template-columns: 1fr 1fr; gap: 9px; } .tile { padding: 10px 12px; } .tile dd { font-size: 20px; } .tile dd.long { font-size: 14px; } .finding { grid-template-columns: 1fr; } .finding .badge { width: 62px; }
  .gallery { grid-template-columns: 1fr 1fr; gap: 12px; } .rows { column-gap: 6px; grid-template-columns: fit-content(40%) minmax(0, 1fr) minmax(52px, auto); } .rows li { font-size: min(11px, calc(var(--row) - 1px)); } .area { grid-template-columns: 48px minmax(0, 1fr); } .ya { width: 60px; margin-left: -12px; }
  .legend td, .legend th { padding: 5px 4px; font-size: 12.5px; } .legend small { display: block; } .rows .odd { display: none; } }
@media print { :root { color-scheme: light; --bg: #fff; --card: #fff; --ink: #000; --soft: #4a4f57; --line: #d4d4d0; --tint: #f2f2f2; --good: #15803d; --good-bg: #e7f6ec; --bad: #c81e1e; --bad-bg: #fdecec; --warn: #9a5b00; --warn-bg: #fdf3df; --info: #1d5fb8; --info-bg: #e8f0fc;
  --c0: #1769c9; --c1: #d9530b; --c2: #0a8a62; --c3: #8b3fb0; --c4: #87700a; --c5: #c4246a; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; } body { font-size: 10.5pt; } main { max-width: none; padding: 0; } nav, #sort, details:not([open]) { display: none; } section { margin-top: 22pt; }
  .card, .tile, .finding, tr, .verdict { break-inside: avoid; } h2, .lead, .alarm, .strip, .key { break-after: avoid; } p, .key { break-inside: avoid; } .plot .area { zoom: .8; } .plots, .setup { grid-template-columns: 1fr 1fr; gap: 10pt; } .gallery { grid-template-columns: repeat(4, 1fr); gap: 8pt; } .legend { font-size: 8.5pt; } .swatch { width: 12px; margin-right: 4px; } .tiles { grid-template-columns: repeat(4, 1fr); gap: 6pt; } .tile dd { font-size: 15pt; } .legend small { display: block; }
  .facts { font-size: 8pt; line-height: 1.3; } .facts td, .facts th { padding: 1.2pt 3pt; } .facts th { width: auto; white-space: nowrap; } }
@page { size: A4; margin: 14mm; }
)css";

// Sorts the pictures and enlarges the one that was clicked. Avoids the characters XML would misread.
inline constexpr std::string_view script = R"js(
(function () {
  var gallery = document.getElementById('gallery'), bar = document.getElementById('sort');
  if (gallery === null) return;
  document.documentElement.classList.add('script');
  var figures = Array.prototype.slice.call(gallery.children);
  function iou(f) { return Number(f.dataset.iou); }
  function name(f) { return f.querySelector('.name').textContent; }
  function button(label, order) {
    var b = document.createElement('button');
    b.type = 'button';
    b.textContent = label;
    b.onclick = function () { figures.slice().sort(order).forEach(function (f) { gallery.appendChild(f); }); };
    bar.appendChild(b);
  }
  button('worst first', function (a, b) { return iou(a) - iou(b); });
  button('best first', function (a, b) { return iou(b) - iou(a); });
  button('by name', function (a, b) { return name(a).localeCompare(name(b)); });
  gallery.addEventListener('click', function (e) {
    var frame = e.target.closest('.frame');
    if (frame) frame.parentNode.classList.toggle('zoom');
  });
}());
)js";

}  // namespace solobox::report_style
