//! From iteration counts to colours.

use std::fmt;

/// A colour: red, green, blue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rgb(pub [u8; 3]);

/// Colours that the gradient of escaping points runs through, and back to the first.
const STOPS: [[u8; 3]; 6] = [[9, 12, 58], [24, 82, 177], [123, 196, 234], [255, 246, 206], [246, 160, 30], [112, 26, 46]];
/// Points that never escape.
const INSIDE: [u8; 3] = [4, 4, 12];
/// How often the gradient repeats per factor e of iterations.
const CYCLES: f64 = 0.28;

/// Colours of the elements, and what to call them.
const TINTS: [([u8; 3], &str); 8] = [
    ([230, 60, 50], "red"),
    ([60, 190, 80], "green"),
    ([60, 110, 240], "blue"),
    ([240, 190, 40], "yellow"),
    ([190, 80, 210], "violet"),
    ([40, 200, 210], "turquoise"),
    ([245, 130, 40], "orange"),
    ([160, 160, 160], "grey"),
];

/// The colour that stands for an element: colours repeat after eight elements.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tint(usize);

impl Tint {
    /// The colour of the element with this index.
    #[must_use]
    pub fn of(index: usize) -> Self {
        Self(index % TINTS.len())
    }

    fn entry(self) -> ([u8; 3], &'static str) {
        TINTS.get(self.0).copied().unwrap_or(([160; 3], "grey"))
    }
}

impl fmt::Display for Tint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.entry().1)
    }
}

/// The colour of a point that took `value` iterations out of `max`.
#[must_use]
pub fn colour(value: u32, max: u32) -> Rgb {
    if value >= max {
        return Rgb(INSIDE);
    }
    let at = (f64::from(value) + 1.0).ln() * CYCLES;
    Rgb(gradient(at.fract()))
}

/// `colour` with the element's tint over it: its shape remains visible in dark and light.
#[must_use]
pub fn tinted(colour: Rgb, tint: Tint) -> Rgb {
    let Rgb([r, g, b]) = colour;
    let brightness = (0.299 * f64::from(r) + 0.587 * f64::from(g) + 0.114 * f64::from(b)) / 255.0;
    let (tint, _) = tint.entry();
    let shade = 0.3 + 0.7 * brightness;
    Rgb([0, 1, 2].map(|i| {
        let own = [r, g, b].get(i).copied().unwrap_or(0);
        let over = tint.get(i).copied().unwrap_or(0);
        byte(0.25 * f64::from(own) + 0.75 * shade * f64::from(over))
    }))
}

/// The colour at `at`, 0 to 1, of the closed gradient.
fn gradient(at: f64) -> [u8; 3] {
    let scaled = at.clamp(0.0, 1.0) * (STOPS.len() as f64);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to the number of stops")]
    let index = scaled as usize;
    let (from, to) = (stop(index), stop(index + 1));
    let part = scaled - scaled.floor();
    let mut out = [0; 3];
    for ((o, &a), &b) in out.iter_mut().zip(from).zip(to) {
        *o = byte(f64::from(a) + part * (f64::from(b) - f64::from(a)));
    }
    out
}

fn stop(index: usize) -> &'static [u8; 3] {
    STOPS.get(index % STOPS.len()).unwrap_or(&INSIDE)
}

fn byte(value: f64) -> u8 {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to a byte")]
    return value.round().clamp(0.0, 255.0) as u8;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gradient_passes_its_stops_and_closes() {
        assert_eq!(gradient(0.0), STOPS[0]);
        assert_eq!(gradient(0.5), STOPS[3]);
        assert_eq!(gradient(1.0), STOPS[0]);
        assert_eq!(gradient(1.0 / 12.0), [17, 47, 118], "half way between the first two");
    }

    #[test]
    fn inside_differs_from_outside() {
        assert_eq!(colour(100, 100), Rgb(INSIDE));
        assert_ne!(colour(99, 100), Rgb(INSIDE));
        assert_eq!(colour(0, 100), Rgb(STOPS[0]));
    }

    #[test]
    fn tints_differ_on_every_ground() {
        for ground in [Rgb(INSIDE), Rgb([255; 3]), Rgb([24, 82, 177])] {
            for a in 0..8 {
                for b in 0..a {
                    assert_ne!(tinted(ground, Tint::of(a)), tinted(ground, Tint::of(b)));
                }
            }
        }
        assert_eq!(Tint::of(9), Tint::of(1));
    }
}
