//! Plots of CPU time by message size.

use std::error::Error;
use std::path::Path;

use plotters::prelude::*;

use crate::results::Results;

const SIZES: [u32; 6] = [64, 1_024, 1_424, 16_384, 65_536, 262_144];
const COLOURS: [RGBColor; 7] = [
    RGBColor(200, 30, 30),
    RGBColor(230, 140, 0),
    RGBColor(30, 90, 200),
    RGBColor(20, 140, 60),
    RGBColor(130, 60, 180),
    RGBColor(90, 90, 90),
    RGBColor(0, 160, 170),
];

/// Draws CPU time per gigabyte of `workload` by message size, a line for each peer that was measured, ours first.
///
/// # Errors
/// The file cannot be written.
pub fn bulk(r: &Results, workload: &str, title: &str, peers: &[(&str, &str)], file: &Path) -> Result<(), Box<dyn Error>> {
    let cpu = |peer: &str, size: u32| r.median(workload, peer, &format!("size={size} streams=1 ordered win=1024K"), "cpu_s/GB");
    let curve = |peer: &str| SIZES.iter().filter_map(|&s| Some((f64::from(s), cpu(peer, s)?))).collect::<Vec<_>>();
    let curves: Vec<_> = peers.iter().map(|&(peer, name)| (name, curve(peer))).filter(|(_, c)| !c.is_empty()).collect();
    let all = curves.iter().flat_map(|(_, c)| c).map(|p| p.1);
    let (least, most) = all.fold((f64::MAX, 0.0_f64), |(l, m), y| (l.min(y), m.max(y)));
    if most == 0.0 {
        return Ok(());
    }
    let root = SVGBackend::new(file, (860, 520)).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .caption(title, ("sans-serif", 20))
        .margin(12)
        .x_label_area_size(44)
        .y_label_area_size(64)
        .build_cartesian_2d((50f64..320_000f64).log_scale(), (least * 0.7..most * 8.0).log_scale())?;
    chart
        .configure_mesh()
        .x_desc("bytes of a message")
        .y_desc("CPU seconds per GB, both ends")
        .x_label_formatter(&|x| format!("{x:.0}"))
        .y_label_formatter(&|y| if *y < 10.0 { format!("{y:.1}") } else { format!("{y:.0}") })
        .light_line_style(WHITE)
        .draw()?;
    for ((name, points), colour) in curves.into_iter().zip(COLOURS) {
        let width = if name.starts_with("ours") { 3 } else { 2 };
        chart
            .draw_series(LineSeries::new(points, colour.stroke_width(width)).point_size(3))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(width)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .border_style(RGBColor(200, 200, 200))
        .background_style(WHITE)
        .label_font(("sans-serif", 14))
        .draw()?;
    root.present()?;
    Ok(())
}
