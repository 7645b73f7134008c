/* The page's style sheet. Light, one accent, tabular figures; nothing is fetched from anywhere. */
#ifndef ESPL_REPORT_STYLE_H
#define ESPL_REPORT_STYLE_H

static const char espli_style[] =
    ":root{--ink:#1f2937;--soft:#6b7280;--line:#e5e7eb;--paper:#fff;--ground:#f7f7f5;--accent:#0f766e;--bad:#b91c1c}"
    "*{box-sizing:border-box}"
    "body{margin:0;background:var(--ground);color:var(--ink);font:16px/1.55 system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif;"
    "font-variant-numeric:tabular-nums}"
    "main{max-width:78rem;margin:0 auto;padding:2.5rem 1.5rem 4rem}"
    "h1{font-size:1.9rem;line-height:1.2;font-weight:650;margin:0 0 .3rem;letter-spacing:-.01em}"
    "h2{font-size:1.2rem;font-weight:650;margin:2.8rem 0 .3rem}"
    "p{max-width:44rem;margin:.3rem 0 .9rem}"
    ".soft,.note,caption{color:var(--soft)}.note{font-size:.9rem}"
    "code{font:.88em/1.5 ui-monospace,'SF Mono',Menlo,Consolas,monospace}"
    "pre{background:var(--paper);border:1px solid var(--line);border-radius:6px;padding:.6rem .9rem;overflow-x:auto;margin:.8rem 0}"
    ".figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(11.5rem,1fr));gap:.8rem;margin:1.6rem 0 0}"
    ".figure{background:var(--paper);border:1px solid var(--line);border-radius:8px;padding:.8rem 1rem}"
    ".figure b{display:block;font-size:1.55rem;font-weight:650;line-height:1.25}"
    ".figure span{color:var(--soft);font-size:.86rem;line-height:1.35;display:block}"
    ".wide{overflow-x:auto;background:var(--paper);border:1px solid var(--line);border-radius:8px;margin:.8rem 0}"
    "table{border-collapse:collapse;width:100%;font-size:.88rem}"
    "th,td{padding:.42rem .55rem;text-align:right;white-space:nowrap;border-bottom:1px solid var(--line)}"
    "tr:last-child td{border-bottom:0}"
    "th{white-space:normal;font-weight:600;color:var(--soft);font-size:.8rem;vertical-align:bottom}"
    "th:first-child,td:first-child,.l{text-align:left}"
    "tr.group th{white-space:nowrap;border-bottom:0;padding-bottom:0;color:var(--ink)}"
    "tr.chosen td{background:#eef6f4}tr.chosen td:first-child{font-weight:600}"
    ".ok{color:var(--accent);font-weight:600}.bad{color:var(--bad);font-weight:600}"
    ".plot{background:#fff;border:1px solid var(--line);border-radius:8px;padding:.6rem;margin:.8rem 0;overflow-x:auto}"
    ".plot svg{display:block;width:100%;height:auto;min-width:38rem}.plot svg text{font-family:inherit}"
    "details{margin:.6rem 0;border-top:1px solid var(--line);padding-top:.5rem}"
    "summary{cursor:pointer;font-weight:600}summary span{color:var(--soft);font-weight:400}"
    "dl{display:grid;grid-template-columns:repeat(auto-fill,minmax(15rem,1fr));gap:.15rem 2rem;background:var(--paper);border:1px solid var(--line);"
    "border-radius:8px;padding:.8rem 1rem;margin:.8rem 0;font-size:.9rem}"
    "dl div{display:flex;justify-content:space-between;gap:1rem}dt{color:var(--soft)}dd{margin:0;text-align:right;overflow-wrap:anywhere}"
    "@media print{body{background:#fff}main{max-width:none;padding:0}details{break-inside:avoid}}";

#endif
