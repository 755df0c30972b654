//! Tables of what was measured, from repeated runs.

use std::collections::BTreeMap;
use std::io::stdin;

/// Keys in the order in which they came.
#[derive(Default)]
struct Order(Vec<String>);

impl Order {
    fn note(&mut self, key: &str) {
        if !self.0.iter().any(|k| k == key) {
            self.0.push(key.to_owned());
        }
    }
}

/// Turns the lines of `work::emit` on standard input into a Markdown table for each workload: a row for each set of parameters and
/// peer, a column for each metric. A cell has the median, and the least and the greatest value where they differ from it.
pub fn print() {
    let mut workloads = Order::default();
    let mut rows: BTreeMap<String, Order> = BTreeMap::new();
    let mut columns: BTreeMap<String, Order> = BTreeMap::new();
    let mut values: BTreeMap<[String; 3], Vec<f64>> = BTreeMap::new();
    for line in stdin().lines().map_while(Result::ok) {
        let fields: Vec<&str> = line.split('\t').collect();
        let ["M", workload, peer, params, metric, value] = *fields else { continue };
        let row = format!("{params} | {peer}");
        workloads.note(workload);
        rows.entry(workload.to_owned()).or_default().note(&row);
        columns.entry(workload.to_owned()).or_default().note(metric);
        values.entry([workload.to_owned(), row, metric.to_owned()]).or_default().push(value.parse().expect("a number"));
    }
    for w in workloads.0 {
        let (rows, columns) = (&rows[&w].0, &columns[&w].0);
        println!("\n## {w}\n\n| parameters | peer | {} |", columns.join(" | "));
        println!("| --- | --- |{}", " ---: |".repeat(columns.len()));
        for row in rows {
            let cells: Vec<_> =
                columns.iter().map(|c| values.get(&[w.clone(), row.clone(), c.clone()]).map_or("–".into(), |v| cell(v))).collect();
            println!("| {row} | {} |", cells.join(" | "));
        }
    }
}

fn cell(values: &[f64]) -> String {
    let mut v = values.to_vec();
    v.sort_by(f64::total_cmp);
    let (least, median, most) = (figure(v[0]), figure(v[(v.len() - 1) / 2]), figure(v[v.len() - 1]));
    if least == median && most == median { median } else { format!("{median} ({least}..{most})") }
}

fn figure(x: f64) -> String {
    match x.abs() {
        y if y >= 1000.0 || y == x.abs().round() => format!("{x:.0}"),
        y if y >= 10.0 => format!("{x:.1}"),
        _ => format!("{x:.4}"),
    }
}
