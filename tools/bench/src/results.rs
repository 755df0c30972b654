//! What was measured: the lines of `work::emit` of repeated runs, sorted.

use std::collections::BTreeMap;
use std::io::BufRead;

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

/// Values by workload, row (parameters and peer) and metric.
#[derive(Default)]
pub struct Results {
    workloads: Order,
    rows: BTreeMap<String, Order>,
    columns: BTreeMap<String, Order>,
    /// Ascending.
    values: BTreeMap<[String; 3], Vec<f64>>,
}

fn row(params: &str, peer: &str) -> String {
    format!("{params} | {peer}")
}

impl Results {
    /// Reads lines; others than those of `work::emit` are skipped.
    pub fn read(input: impl BufRead) -> Self {
        let mut new = Self::default();
        for line in input.lines().map_while(Result::ok) {
            let fields: Vec<&str> = line.split('\t').collect();
            let ["M", workload, peer, params, metric, value] = *fields else { continue };
            let row = row(params, peer);
            new.workloads.note(workload);
            new.rows.entry(workload.to_owned()).or_default().note(&row);
            new.columns.entry(workload.to_owned()).or_default().note(metric);
            new.values.entry([workload.to_owned(), row, metric.to_owned()]).or_default().push(value.parse().expect("a number"));
        }
        new.values.values_mut().for_each(|v| v.sort_by(f64::total_cmp));
        new
    }

    /// The workloads, in the order in which they came.
    pub fn workloads(&self) -> &[String] {
        &self.workloads.0
    }

    /// All values of a row, ascending.
    pub fn cell(&self, workload: &str, row: &str, metric: &str) -> Option<&[f64]> {
        self.values.get(&[workload, row, metric].map(str::to_owned)).map(Vec::as_slice)
    }

    /// The rows of a workload that have this metric, and its values.
    pub fn column(&self, workload: &str, metric: &str) -> impl Iterator<Item = (&str, &[f64])> {
        let rows = self.rows.get(workload).map_or(&[][..], |rows| &rows.0);
        rows.iter().filter_map(move |row| Some((row.as_str(), self.cell(workload, row, metric)?)))
    }

    fn sorted(&self, workload: &str, peer: &str, params: &str, metric: &str) -> Option<&[f64]> {
        self.cell(workload, &row(params, peer), metric)
    }

    pub fn median(&self, workload: &str, peer: &str, params: &str, metric: &str) -> Option<f64> {
        self.sorted(workload, peer, params, metric).map(|v| v[(v.len() - 1) / 2])
    }

    pub fn least(&self, workload: &str, peer: &str, params: &str, metric: &str) -> Option<f64> {
        self.sorted(workload, peer, params, metric).map(|v| v[0])
    }

    pub fn mean(&self, workload: &str, peer: &str, params: &str, metric: &str) -> Option<f64> {
        self.sorted(workload, peer, params, metric).map(|v| v.iter().sum::<f64>() / v.len() as f64)
    }

    /// A Markdown table of a workload: a row for each set of parameters and peer, a column for each metric. A cell has the median,
    /// and the least and the greatest value where they differ from it.
    pub fn table(&self, workload: &str) -> Option<String> {
        let (rows, columns) = (&self.rows.get(workload)?.0, &self.columns.get(workload)?.0);
        let mut text = format!("| parameters | peer | {} |\n| --- | --- |{}\n", columns.join(" | "), " ---: |".repeat(columns.len()));
        for row in rows {
            let cells: Vec<_> = columns.iter().map(|c| self.cell(workload, row, c).map_or("–".into(), cell)).collect();
            text += &format!("| {row} | {} |\n", cells.join(" | "));
        }
        Some(text)
    }
}

fn cell(v: &[f64]) -> String {
    let (least, median, most) = (figure(v[0]), figure(v[(v.len() - 1) / 2]), figure(v[v.len() - 1]));
    if least == median && most == median { median } else { format!("{median} ({least}..{most})") }
}

/// Some four digits.
pub fn figure(x: f64) -> String {
    match x.abs() {
        y if y >= 1000.0 || y == x.abs().round() => format!("{x:.0}"),
        y if y >= 10.0 => format!("{x:.1}"),
        _ => format!("{x:.4}"),
    }
}
