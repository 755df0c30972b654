//! An image on its way to completion, at the user: which pixels are there, and which element computed each.

use thiserror::Error;

use super::wire::{Data, Parameter};

/// Most pixels of an image that a user can hold (they take 5 bytes each).
pub const MAX_PIXELS: u64 = 1 << 28;
/// Most elements that one image tells apart; what further ones compute counts for the last.
pub const MAX_ELEMENTS: usize = 255;

/// Why an image was not begun, or a message of an element was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum ImageError {
    /// More pixels than [`MAX_PIXELS`].
    #[error("an image of {0} pixels is too large: at most {MAX_PIXELS}")]
    TooLarge(u64),
    /// Points outside of the image.
    #[error("the element sent points outside of the image")]
    Outside,
    /// The element says that it is done, but it is not.
    #[error("the element says that the image is complete, but {0} pixels are missing")]
    Missing(u64),
}

/// An image and its history.
#[derive(Clone, Debug)]
pub struct Image {
    parameter: Parameter,
    values: Vec<u32>,
    /// For each pixel, 0 or 1 + the index into `elements`.
    computed_by: Vec<u8>,
    /// Identifiers in order of their first message: at most [`MAX_ELEMENTS`].
    elements: Vec<u32>,
    done: u64,
}

impl Image {
    /// An empty image.
    ///
    /// # Errors
    /// [`ImageError::TooLarge`].
    pub fn new(parameter: Parameter) -> Result<Self, ImageError> {
        let pixels = parameter.pixels();
        let len = usize::try_from(pixels).ok().filter(|_| pixels <= MAX_PIXELS).ok_or(ImageError::TooLarge(pixels))?;
        Ok(Self { parameter, values: vec![0; len], computed_by: vec![0; len], elements: Vec::new(), done: 0 })
    }

    /// An empty image whose history begins with these elements, whether or not they will take part.
    ///
    /// # Errors
    /// [`ImageError::TooLarge`].
    pub fn with_elements(parameter: Parameter, elements: &[u32]) -> Result<Self, ImageError> {
        let elements = elements.iter().copied().take(MAX_ELEMENTS).collect();
        Ok(Self { elements, ..Self::new(parameter)? })
    }

    /// Takes a message of `element` in and says how many pixels were new. What is there already stays.
    ///
    /// # Errors
    /// Points outside of the image (nothing is taken then), or an end that comes too early.
    pub fn handle(&mut self, element: u32, data: &Data) -> Result<u64, ImageError> {
        let Data::Points { x, y, values } = data else {
            let missing = self.total() - self.done;
            return if missing == 0 { Ok(0) } else { Err(ImageError::Missing(missing)) };
        };
        if *x >= self.parameter.width || *y >= self.parameter.height {
            return Err(ImageError::Outside);
        }
        let first = u64::from(*y) * u64::from(self.parameter.width) + u64::from(*x);
        let first = usize::try_from(first).map_err(|_| ImageError::Outside)?;
        let range = first..first.saturating_add(values.len());
        let author = self.author(element);
        let pixels = self.values.get_mut(range.clone()).ok_or(ImageError::Outside)?;
        let authors = self.computed_by.get_mut(range).ok_or(ImageError::Outside)?;
        let mut new = 0;
        for ((pixel, by), &value) in pixels.iter_mut().zip(authors).zip(values) {
            if *by == 0 {
                (*pixel, *by) = (value, author);
                new += 1;
            }
        }
        self.done += new;
        Ok(new)
    }

    fn author(&mut self, element: u32) -> u8 {
        let index = self.elements.iter().position(|&e| e == element).unwrap_or_else(|| {
            if self.elements.len() < MAX_ELEMENTS {
                self.elements.push(element);
            }
            self.elements.len() - 1
        });
        u8::try_from(index + 1).unwrap_or(u8::MAX)
    }

    /// What was asked for.
    #[must_use]
    pub fn parameter(&self) -> &Parameter {
        &self.parameter
    }

    /// Iterations of each pixel, row by row; zero where still missing.
    #[must_use]
    pub fn values(&self) -> &[u32] {
        &self.values
    }

    /// Pixels that are there.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.done
    }

    /// Pixels in all.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.parameter.pixels()
    }

    /// Whether no pixel is missing.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.done == self.total()
    }

    /// Each element that took part, in order of appearance, with the number of its pixels.
    #[must_use]
    pub fn shares(&self) -> Vec<(u32, u64)> {
        let mut shares: Vec<(u32, u64)> = self.elements.iter().map(|&e| (e, 0)).collect();
        for index in self.authors().flatten() {
            if let Some((_, count)) = shares.get_mut(index) {
                *count += 1;
            }
        }
        shares
    }

    /// For each pixel the index of its element in [`Image::shares`].
    pub fn authors(&self) -> impl Iterator<Item = Option<usize>> + '_ {
        self.computed_by.iter().map(|&by| usize::from(by).checked_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::super::wire::{Algorithm, Complex};
    use super::*;

    fn image(width: u32, height: u32) -> Image {
        let c = Complex { re: 0.0, im: 0.0 };
        Image::new(Parameter { width, height, max_iterations: 1, algorithm: Algorithm::Mandelbrot, c1: c, c2: c, n: 2.0 }).unwrap()
    }

    fn points(x: u32, y: u32, values: &[u32]) -> Data {
        Data::Points { x, y, values: values.to_vec() }
    }

    #[test]
    fn runs_go_on_in_the_next_row_and_the_first_to_come_stays() {
        let mut image = image(4, 3);
        assert_eq!(image.handle(7, &points(2, 0, &[1, 2, 3])), Ok(3));
        assert_eq!(image.handle(9, &points(0, 1, &[8, 4])), Ok(1));
        assert_eq!(image.values(), [0, 0, 1, 2, 3, 4, 0, 0, 0, 0, 0, 0]);
        assert_eq!(image.shares(), [(7, 3), (9, 1)]);
        assert_eq!(image.authors().nth(4), Some(Some(0)));
        assert_eq!(image.authors().nth(6), Some(None));
        assert_eq!(image.handle(9, &Data::End), Err(ImageError::Missing(8)));
        assert_eq!(image.handle(9, &points(0, 0, &[1; 12])), Ok(8));
        assert!(image.is_complete());
        assert_eq!(image.handle(9, &Data::End), Ok(0));
    }

    #[test]
    fn points_outside_are_refused_whole() {
        let mut image = image(4, 3);
        assert_eq!(image.handle(7, &points(4, 0, &[1])), Err(ImageError::Outside));
        assert_eq!(image.handle(7, &points(0, 3, &[1])), Err(ImageError::Outside));
        assert_eq!(image.handle(7, &points(3, 2, &[1, 2])), Err(ImageError::Outside));
        assert_eq!(image.handle(7, &points(u32::MAX - 1, u32::MAX - 1, &[1])), Err(ImageError::Outside));
        assert_eq!(image.done(), 0);
    }

    #[test]
    fn more_elements_than_can_be_told_apart() {
        let mut image = image(300, 1);
        for x in 0..300 {
            assert_eq!(image.handle(1000 + x, &points(x, 0, &[1])), Ok(1));
        }
        assert!(image.is_complete());
        assert_eq!(image.shares().len(), MAX_ELEMENTS);
        assert_eq!(image.shares().last(), Some(&(1254, 46)));
    }

    #[test]
    fn a_size_that_no_memory_holds() {
        let c = Complex { re: 0.0, im: 0.0 };
        let huge = Parameter { width: 65_536, height: 65_536, max_iterations: 1, algorithm: Algorithm::Mandelbrot, c1: c, c2: c, n: 2.0 };
        assert_eq!(Image::new(huge).unwrap_err(), ImageError::TooLarge(1 << 32));
    }
}
