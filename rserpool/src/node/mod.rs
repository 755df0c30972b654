//! Whole hosts: an SCTP stack with a core of RSerPool on top, as the simulator and the runtime drive them.

mod dump;
pub mod pool;
mod registrar;

pub use dump::{DumpFailure, DumpNode};
pub use pool::PoolNode;
pub use registrar::RegistrarNode;
