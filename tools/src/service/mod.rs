//! Services of pool elements, and the users of them: one module each.

pub mod echo;
pub mod fractal;
pub mod pingpong;
pub mod session;
