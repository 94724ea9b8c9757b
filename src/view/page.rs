//! Pages: HTML that is light or dark as the reader's system is, and fit to print. A report is one self-contained file that
//! asks the network for nothing; a server's pages share one style, and allow no other.

use crate::common::visible::visible;

/// Text on one line as it may stand in HTML, in attributes too.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in visible(text).chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// The head of a last column that holds words.
pub const MEANING: &str = "what it is";

/// A table; the first column holds names, the others figures, a last one under [`MEANING`] words. All text is escaped.
pub fn table(heads: &[String], rows: &[Vec<String>]) -> String {
    let has_meaning = heads.last().is_some_and(|head| head == MEANING);
    let cells = |tag: &str, cells: &[String]| -> String {
        let cells = cells.iter().enumerate().map(|(place, cell)| {
            let is_words = has_meaning && place + 1 == heads.len();
            let class = if is_words { " class=\"words\"" } else { "" };
            format!("<{tag}{class}>{}</{tag}>", escape(cell))
        });
        format!("<tr>{}</tr>\n", cells.collect::<String>())
    };
    let body: String = rows.iter().map(|row| cells("td", row)).collect();
    let head = cells("th", heads);
    format!("<div class=\"wide\"><table><thead>{head}</thead><tbody>{body}</tbody></table></div>\n")
}

/// A section under a heading; `body` is HTML.
pub fn section(heading: &str, body: &str) -> String {
    format!("<section><h2>{}</h2>\n{body}</section>\n", escape(heading))
}

/// A paragraph of text.
pub fn paragraph(text: &str) -> String {
    format!("<p>{}</p>\n", escape(text))
}

/// Text as it is, behind a line to click on.
pub fn verbatim(summary: &str, text: &str) -> String {
    let lines: Vec<String> = text.lines().map(escape).collect();
    let (summary, text) = (escape(summary), lines.join("\n"));
    format!("<details><summary>{summary}</summary><pre>{text}</pre></details>\n")
}

/// Where a page has its style.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// In itself.
    Within,
    /// In a file of the same server, at this path.
    At(&'static str),
}

/// The whole file. `body` is HTML.
pub fn page(title: &str, style: Style, body: &str) -> String {
    let title = escape(title);
    let style = match style {
        Style::Within => format!("<link rel=\"icon\" href=\"data:,\">\n<style>{STYLE}</style>"),
        Style::At(path) => format!("<link rel=\"stylesheet\" href=\"{path}\">"),
    };
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{title}</title>\n{style}</head>\n<body><main>\n<h1>{title}</h1>\n{body}</main></body></html>\n"
    )
}

/// The style of all pages.
pub const STYLE: &str = "
:root { --paper: #fff; --ink: #1c2024; --soft: #5b6470; --grid: #e3e6ea; --panel: #f5f6f8;
  --line-0: #0b62c4; --line-1: #c2510a; --line-2: #157347; --line-3: #8a929c; --warn: #b02a1c; }
@media (prefers-color-scheme: dark) { :root { --paper: #14171b; --ink: #e6e8eb; --soft: #a2abb6; --grid: #333941;
  --panel: #1d2228; --line-0: #6cb0ff; --line-1: #ffa060; --line-2: #63d297; --line-3: #8a929c; --warn: #ff8f80; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 24px 20px 64px; }
h1 { font-size: 26px; margin: 8px 0 4px; overflow-wrap: anywhere; } h2 { font-size: 19px; margin: 36px 0 8px; } h3 { font-size: 15px; margin: 20px 0 4px; }
p { margin: 6px 0; max-width: 76ch; overflow-wrap: anywhere; } .warn { color: var(--warn); font-weight: 600; }
.wide { overflow-x: auto; } table { border-collapse: collapse; margin: 8px 0; font-variant-numeric: tabular-nums; }
th, td { padding: 3px 12px 3px 0; text-align: right; border-bottom: 1px solid var(--grid); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
.words { text-align: left; white-space: normal; min-width: 22ch; color: var(--soft); font-size: 13px; } th { color: var(--soft); font-weight: 600; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(300px, 1fr)); gap: 16px; }
figure { margin: 0; background: var(--panel); border-radius: 8px; padding: 12px; break-inside: avoid; }
figure svg { width: 100%; height: auto; display: block; } figcaption { font-size: 13px; color: var(--soft); }
.key { margin-right: 14px; white-space: nowrap; } .key i { display: inline-block; width: 18px; height: 3px; margin: 0 6px 3px 0; }
.bars { display: grid; grid-template-columns: max-content 1fr max-content; gap: 4px 10px; align-items: center; max-width: 720px; }
.line-0 { background: var(--line-0); } .line-1 { background: var(--line-1); } .line-2 { background: var(--line-2); } .line-3 { background: var(--line-3); }
.bars b { display: block; height: 9px; border-radius: 2px; min-width: 1px; } .bars .both { display: grid; gap: 2px; }
pre { background: var(--panel); border-radius: 8px; padding: 12px; overflow-x: auto; font-size: 13px; }
code { background: var(--panel); padding: 1px 5px; border-radius: 4px; overflow-wrap: anywhere; } summary { cursor: pointer; }
.list td:first-child { white-space: normal; overflow-wrap: anywhere; } .list th { white-space: normal; vertical-align: bottom; }
.list small { display: block; color: var(--soft); max-width: 76ch; }
a { color: var(--line-0); } nav { display: flex; flex-wrap: wrap; gap: 8px 20px; margin: 8px 0; } form { display: flex; gap: 8px; flex-wrap: wrap; align-items: end; margin: 8px 0; }
label { display: grid; gap: 2px; font-size: 13px; color: var(--soft); }
input { font: inherit; color: var(--ink); background: var(--paper); border: 1px solid var(--line-3); border-radius: 4px; padding: 5px 8px; width: min(36ch, 74vw); }
button { font: inherit; color: var(--paper); background: var(--line-0); border: 0; border-radius: 4px; padding: 6px 14px; cursor: pointer; }
:focus-visible { outline: 3px solid var(--line-1); outline-offset: 2px; }
@media print { :root { --paper: #fff; --ink: #000; --soft: #444; --grid: #ccc; --panel: #fff;
  --line-0: #0b62c4; --line-1: #c2510a; --line-2: #157347; --line-3: #777; }
  main { max-width: none; padding: 0; } section { break-inside: avoid-page; } th, td { padding-right: 8px; font-size: 11px; } }
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_users_and_files_are_called_cannot_become_markup() {
        let row = vec!["<script>alert('x')</script>".to_string(), "a&b".to_string()];
        let html = page("\"t\"", Style::Within, &table(&row, std::slice::from_ref(&row)));
        assert!(
            !html.contains("<script") && html.contains("&lt;script&gt;") && html.contains("a&amp;b"),
            "{html}"
        );
        assert!(html.contains("<title>&quot;t&quot;</title>"));
        let shown = verbatim("a\u{202e}b", "x\u{1b}[2J\n  y\tz");
        assert!(
            shown.contains("<summary>a\\u{202e}b</summary><pre>x\\u{1b}[2J\n  y\\tz</pre>"),
            "{shown}"
        );
    }
}
