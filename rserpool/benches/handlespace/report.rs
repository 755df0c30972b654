//! The table: figures, multiples, and whether they are within their limits.

use crate::bed::Costs;

/// A column: what it is, its figure, and its limit as a multiple of the unit.
struct Column {
    name: &'static str,
    of: fn(&Costs) -> f64,
    limit: f64,
}

const COLUMNS: [Column; 7] = [
    Column { name: "register", of: |c| c.register, limit: 5.0 },
    Column { name: "renew", of: |c| c.renew, limit: 2.5 },
    Column { name: "change", of: |c| c.change, limit: 4.0 },
    Column { name: "deregister", of: |c| c.deregister, limit: 5.0 },
    Column { name: "resolve 1", of: |c| c.resolve_1, limit: 2.0 },
    Column { name: "resolve 10", of: |c| c.resolve_10, limit: 10.0 },
    Column { name: "takeover", of: |c| c.takeover, limit: 2.0 },
];

/// A policy at one size.
pub(crate) struct Row {
    name: &'static str,
    /// Nanoseconds, multiple, limit.
    figures: Vec<(f64, f64, f64)>,
    unit: f64,
    allocations: u64,
    memory: f64,
    memory_limit: f64,
    longest: f64,
}

pub(crate) fn head(size: usize, pools: usize) {
    println!("\n### {size} elements in {pools} pools\n");
    let names: Vec<&str> = COLUMNS.iter().map(|c| c.name).collect();
    println!("| policy | unit | {} | bytes | longest |", names.join(" | "));
    println!("|---|---:|{}---:|---:|", "---:|".repeat(names.len()));
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

impl Row {
    pub(crate) fn of(name: &'static str, (size, pools): (usize, usize), runs: &[(Costs, f64)], memory: f64, longest: f64) -> Self {
        let figures = COLUMNS.iter().map(|column| {
            // Ten of weighted random are more work; a map of 100,000 fits into a cache that the records do not fit into.
            let limit = if name == "WeightedRandom" && column.name == "resolve 10" {
                12.5 + f64::from(u8::from(size != 100_000)) / 2.0
            } else {
                column.limit
            };
            let limit = if size == 100_000 { 2.0 * limit } else { limit };
            let ns = median(runs.iter().map(|(costs, _)| (column.of)(costs)).collect());
            (ns, median(runs.iter().map(|(costs, unit)| (column.of)(costs) / unit).collect()), limit)
        });
        Self {
            name,
            figures: figures.collect(),
            unit: median(runs.iter().map(|r| r.1).collect()),
            allocations: runs.iter().map(|(costs, _)| costs.allocations).sum(),
            memory,
            // A pool takes some hundred bytes, which few elements cannot share.
            memory_limit: if size / pools >= 100 { 250.0 } else { f64::INFINITY },
            longest,
        }
    }

    /// Returns how many figures miss their limits.
    pub(crate) fn print(&self) -> usize {
        let mark = |ok: bool| if ok { "" } else { " **!**" };
        let figures = self.figures.iter().map(|(ns, multiple, limit)| format!("{ns:.0} = {multiple:.1}{}", mark(multiple <= limit)));
        let figures: Vec<String> = figures.collect();
        let allocations = if self.allocations == 0 { String::new() } else { format!(" **{} allocations!**", self.allocations) };
        println!(
            "| {}{allocations} | {:.0} | {} | {:.0}{} | {:.3} ms{} |",
            self.name,
            self.unit,
            figures.join(" | "),
            self.memory,
            mark(self.memory <= self.memory_limit),
            self.longest,
            mark(self.longest <= 1.0),
        );
        let slow = self.figures.iter().filter(|(_, multiple, limit)| multiple > limit).count();
        slow + usize::from(self.allocations > 0) + usize::from(self.memory > self.memory_limit) + usize::from(self.longest > 1.0)
    }
}
