//! What every implementation that has them is put through of the extensions of SCTP, asserted from both ends.

mod authentication;
