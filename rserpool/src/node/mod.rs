//! Whole hosts: an SCTP stack with a core of RSerPool on top, as the simulator and the runtime drive them.

mod registrar;

pub use registrar::RegistrarNode;
