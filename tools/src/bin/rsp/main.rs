//! rsp
fn main() {}
