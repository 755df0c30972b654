//! Median, least and greatest value of each measurement that was repeated.

use std::collections::BTreeMap;
use std::fs;

/// Prints a line for each (workload, peer, parameters, metric) among the lines of `path` that `work::emit` has written.
pub fn print(path: &str) {
    let text = fs::read_to_string(path).expect("the file with the results");
    let mut order = Vec::new();
    let mut values: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for line in text.lines().filter(|l| l.starts_with("M\t")) {
        let fields: Vec<&str> = line.split('\t').collect();
        let [_, key @ .., value] = &*fields else { continue };
        let key = key.join("\t");
        let all = values.entry(key.clone()).or_default();
        if all.is_empty() {
            order.push(key);
        }
        all.push(value.parse().expect("a number"));
    }
    for key in order {
        let v = values.entry(key.clone()).or_default();
        v.sort_by(f64::total_cmp);
        println!("{key}\t{}\t{}\t{}\tn={}", figure(v[(v.len() - 1) / 2]), figure(v[0]), figure(v[v.len() - 1]), v.len());
    }
}

fn figure(x: f64) -> String {
    match x.abs() {
        y if y >= 1000.0 => format!("{x:.0}"),
        y if y >= 10.0 => format!("{x:.1}"),
        _ => format!("{x:.3}"),
    }
}
