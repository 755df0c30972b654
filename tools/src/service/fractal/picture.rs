//! Images as PNG files.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use super::image::Image;
use super::palette::{Rgb, Tint, colour, tinted};

/// What a picture shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Style {
    /// The image.
    Plain,
    /// The image, tinted by the element that computed each part.
    Elements,
}

/// Writes `image` to `path`. Missing pixels are white.
///
/// # Errors
/// What the file system says.
pub fn save(image: &Image, style: Style, path: &Path) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    write(image, style, &mut file)?;
    file.flush()
}

/// Writes `image` as PNG to `out`.
///
/// # Errors
/// What `out` says.
pub fn write(image: &Image, style: Style, out: impl Write) -> io::Result<()> {
    let parameter = image.parameter();
    let mut encoder = png::Encoder::new(out, parameter.width, parameter.height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&pixels(image, style))?;
    writer.finish()?;
    Ok(())
}

fn pixels(image: &Image, style: Style) -> Vec<u8> {
    let max = image.parameter().max_iterations;
    let mut out = Vec::with_capacity(image.values().len() * 3);
    for (&value, author) in image.values().iter().zip(image.authors()) {
        let Rgb(bytes) = match (author, style) {
            (None, _) => Rgb([255; 3]),
            (Some(_), Style::Plain) => colour(value, max),
            (Some(index), Style::Elements) => tinted(colour(value, max), Tint::of(index)),
        };
        out.extend_from_slice(&bytes);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::wire::{Algorithm, Complex, Data, Parameter};
    use super::*;

    #[test]
    fn what_is_written_can_be_read_again() {
        let c = Complex { re: 0.0, im: 0.0 };
        let parameter = Parameter { width: 3, height: 2, max_iterations: 9, algorithm: Algorithm::Mandelbrot, c1: c, c2: c, n: 2.0 };
        let mut image = Image::new(parameter).unwrap();
        image.handle(1, &Data::Points { x: 0, y: 0, values: vec![0, 9, 1] }).unwrap();
        image.handle(2, &Data::Points { x: 0, y: 1, values: vec![9, 9] }).unwrap();
        for style in [Style::Plain, Style::Elements] {
            let mut file = Vec::new();
            write(&image, style, &mut file).unwrap();
            let mut reader = png::Decoder::new(io::Cursor::new(file)).read_info().unwrap();
            let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
            let info = reader.next_frame(&mut bytes).unwrap();
            assert_eq!((info.width, info.height, info.color_type), (3, 2, png::ColorType::Rgb));
            let rgb: Vec<&[u8]> = bytes.chunks(3).collect();
            assert_eq!(rgb[5], [255; 3], "missing");
            assert_eq!(rgb[1] == rgb[3], style == Style::Plain, "same value, another element");
            assert_eq!(rgb[3], rgb[4]);
        }
    }
}
