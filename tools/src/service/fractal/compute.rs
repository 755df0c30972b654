//! The numbers of an image: for each pixel, how many iterations until the formula escapes.

use super::wire::{Algorithm, Complex, Parameter};

/// |z|² from which a point counts as escaped.
const ESCAPE: f64 = 2.0;
/// Exponents up to here are computed by multiplication, which is faster and the same on every machine.
const MAX_SMALL_POWER: f64 = 16.0;

/// Walks over the pixels of an image, row by row, from any position.
#[derive(Clone, Debug)]
pub struct Walk {
    parameter: Parameter,
    x: u32,
    y: u32,
    step: Complex,
    rule: Rule,
    test_mode: bool,
}

/// How z becomes the next z, before c is subtracted.
#[derive(Clone, Copy, Debug)]
enum Rule {
    Square,
    SmallPower(u32),
    RealPower(f64),
}

impl Walk {
    /// Starts at column `x` of row `y`. A position behind the last pixel is the end of the image.
    ///
    /// In `test_mode` a pixel's value is (x · y) mod 256, which costs nothing to compute.
    #[must_use]
    pub fn new(parameter: Parameter, x: u32, y: u32, test_mode: bool) -> Self {
        let Parameter { c1, c2, width, height, n, .. } = parameter;
        let step = Complex { re: (c2.re - c1.re) / f64::from(width), im: (c2.im - c1.im) / f64::from(height) };
        let rule = match parameter.algorithm {
            Algorithm::Mandelbrot => Rule::Square,
            Algorithm::MandelbrotN => Rule::power(n),
        };
        Self { parameter, x, y, step, rule, test_mode }
    }

    /// Column and row of the next pixel; the row equals the height at the end.
    #[must_use]
    pub fn position(&self) -> (u32, u32) {
        (self.x, self.y)
    }

    /// The image that is walked over.
    #[must_use]
    pub fn parameter(&self) -> &Parameter {
        &self.parameter
    }

    /// Whether all pixels are done.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.y >= self.parameter.height
    }

    fn value(&self) -> u32 {
        if self.test_mode {
            return self.x.wrapping_mul(self.y) % 256;
        }
        let Parameter { c1, max_iterations, .. } = self.parameter;
        let c = Complex { re: c1.re + f64::from(self.x) * self.step.re, im: c1.im + f64::from(self.y) * self.step.im };
        match self.rule {
            Rule::Square => iterations(c, max_iterations, square),
            Rule::SmallPower(n) => iterations(c, max_iterations, |z| small_power(z, n)),
            Rule::RealPower(n) => iterations(c, max_iterations, |z| real_power(z, n)),
        }
    }
}

impl Iterator for Walk {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        if self.is_done() {
            return None;
        }
        let value = self.value();
        self.x += 1;
        if self.x >= self.parameter.width {
            self.x = 0;
            self.y += 1;
        }
        Some(value)
    }
}

impl Rule {
    fn power(n: f64) -> Self {
        if n.fract() == 0.0 && (1.0..=MAX_SMALL_POWER).contains(&n) {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a whole number from 1 to 16")]
            return Self::SmallPower(n as u32);
        }
        Self::RealPower(n)
    }
}

/// The index of the iteration in which the point escapes, or `limit`. Not a number never escapes.
fn iterations(c: Complex, limit: u32, power: impl Fn(Complex) -> Complex) -> u32 {
    let mut z = Complex { re: 0.0, im: 0.0 };
    for i in 0..limit {
        let p = power(z);
        z = Complex { re: p.re - c.re, im: p.im - c.im };
        if z.re * z.re + z.im * z.im >= ESCAPE {
            return i;
        }
    }
    limit
}

fn multiply(a: Complex, b: Complex) -> Complex {
    Complex { re: a.re * b.re - a.im * b.im, im: a.re * b.im + a.im * b.re }
}

fn square(z: Complex) -> Complex {
    Complex { re: z.re * z.re - z.im * z.im, im: 2.0 * z.re * z.im }
}

fn small_power(z: Complex, n: u32) -> Complex {
    (1..n).fold(z, |product, _| multiply(product, z))
}

fn real_power(z: Complex, n: f64) -> Complex {
    if z.re == 0.0 && z.im == 0.0 {
        // The limit of the polar form, whose angle is undefined here.
        return z;
    }
    let (radius, angle) = (z.re.hypot(z.im).powf(n), z.im.atan2(z.re) * n);
    Complex { re: radius * angle.cos(), im: radius * angle.sin() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One pixel whose c is exactly `re + im i`.
    fn at(re: f64, im: f64, algorithm: Algorithm, n: f64, max_iterations: u32) -> u32 {
        let c1 = Complex { re, im };
        let parameter = Parameter { width: 1, height: 1, max_iterations, algorithm, c1, c2: c1, n };
        Walk::new(parameter, 0, 0, false).next().unwrap()
    }

    #[test]
    fn values_computed_by_hand() {
        let m = |re, im| at(re, im, Algorithm::Mandelbrot, 0.0, 50);
        assert_eq!(m(0.0, 0.0), 50, "0 stays 0");
        assert_eq!(m(1.0, 0.0), 50, "-1, 0, -1, 0 ...");
        assert_eq!(m(2.0, 0.0), 0, "-2: 4 >= 2");
        assert_eq!(m(-1.0, 0.0), 1, "1, 2: 4 >= 2");
        assert_eq!(m(1.0, 1.0), 0, "-1-i: 2 >= 2");
        assert_eq!(m(-0.5, 0.0), 3, "0.5, 0.75, 1.0625, 1.62890625: 2.65 >= 2");
        assert_eq!(m(f64::NAN, 0.0), 50);
    }

    #[test]
    fn powers_agree() {
        for (re, im) in [(0.3, 0.5), (-0.7, 0.2), (1.2, -0.1), (0.0, 0.9)] {
            assert_eq!(at(re, im, Algorithm::Mandelbrot, 9.0, 500), at(re, im, Algorithm::MandelbrotN, 2.0, 500));
        }
        // z^3 - c with c = -0.5: 0.5, 0.625, 0.744.., 0.912.., 1.258.., 2.49..
        assert_eq!(at(-0.5, 0.0, Algorithm::MandelbrotN, 3.0, 50), 5);
        // z^1.5 - c with c = -1: 1, 2.
        assert_eq!(at(-1.0, 0.0, Algorithm::MandelbrotN, 1.5, 50), 1);
        assert_eq!(at(0.0, 0.0, Algorithm::MandelbrotN, 2.5, 50), 50);
        let z = Complex { re: 0.6, im: -0.4 };
        let (by_product, by_angle) = (small_power(z, 5), real_power(z, 5.0));
        assert!((by_product.re - by_angle.re).abs() < 1e-12 && (by_product.im - by_angle.im).abs() < 1e-12);
    }

    #[test]
    fn a_walk_resumed_anywhere_gives_the_same_image() {
        let parameter = Parameter {
            width: 13,
            height: 7,
            max_iterations: 40,
            algorithm: Algorithm::Mandelbrot,
            c1: Complex { re: -1.5, im: -1.5 },
            c2: Complex { re: 1.5, im: 1.5 },
            n: 2.0,
        };
        let whole: Vec<u32> = Walk::new(parameter, 0, 0, false).collect();
        assert_eq!(whole.len(), 91);
        assert!(whole.iter().min() < whole.iter().max());
        for cut in 0..=91_u32 {
            let mut first = Walk::new(parameter, 0, 0, false);
            let mut image: Vec<u32> = first.by_ref().take(cut as usize).collect();
            let (x, y) = first.position();
            assert_eq!(y * 13 + x, cut);
            image.extend(Walk::new(parameter, x, y, false));
            assert_eq!(image, whole);
        }
    }

    #[test]
    fn test_mode_needs_no_computing() {
        let c = Complex { re: 0.0, im: 0.0 };
        let parameter =
            Parameter { width: 65_536, height: 65_536, max_iterations: 1, algorithm: Algorithm::Mandelbrot, c1: c, c2: c, n: 0.0 };
        let mut walk = Walk::new(parameter, 65_535, 65_534, true);
        assert_eq!(walk.next(), Some(2), "-1 * -2 modulo 2^32, modulo 256");
        assert_eq!(walk.next(), Some(0));
    }
}
