//! Rows as a web page of one file: a table with bars, no script, nothing fetched.

use super::Row;

const STYLE: &str = "body{font:15px system-ui,sans-serif;margin:2em;max-width:75em}table{border-collapse:collapse}\
    td,th{padding:.3em .7em;text-align:right;border-bottom:1px solid #ccc}\
    td:first-child,th:first-child,td:nth-child(2),th:nth-child(2){text-align:left}\
    .bar{width:12em;background:#eee}.bar div{background:#47a;height:1em}";

/// The page.
pub fn page(what: &str, rows: &[Row]) -> String {
    let adapter = rows.first().map_or("", |r| r.adapter.as_str());
    let body: String = rows.iter().map(line).collect();
    let (what, adapter) = (escape(what), escape(adapter));
    format!(
        "<!doctype html><meta charset=utf-8><title>omma bench {what}</title><style>{STYLE}</style>\
         <h1>omma bench {what}</h1><p>{adapter}</p><table><tr><th>name<th>shape<th>type<th>ms<th>GFLOP/s<th>GB/s\
         <th>of ceiling<th><th>submits<th>buffers</tr>{body}</table>\
         <p>Work: 2 x multiply-adds of matrix products; each input read and each output written once. Ceilings are \
         measured before and after each row.</p>\n"
    )
}

fn line(row: &Row) -> String {
    let share = 100.0 * row.of_ceiling;
    format!(
        "<tr><td>{}<td>{}<td>{}<td>{:.3}<td>{:.2}<td>{:.2}<td>{share:.1} %<td class=bar><div style=\"width:{:.1}%\">\
         </div><td>{}<td>{}</tr>",
        escape(&row.name),
        escape(&row.shape),
        escape(&row.dtype),
        row.ms,
        row.gflops,
        row.gbps,
        share.clamp(0.0, 100.0),
        row.submits,
        row.allocations
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_cannot_break_out() {
        assert_eq!(super::escape("<b a=\"&\">"), "&lt;b a=&quot;&amp;&quot;&gt;");
    }
}
