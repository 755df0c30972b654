//! One file per stack. To add one: implement `MemEndpoint` in a new file, add it to
//! `with_peer!` below, and it takes part in every workload.

#[cfg(feature = "dcsctp")]
pub mod dcsctp;
pub mod ideal;
pub mod ours;
#[cfg(feature = "sctp-proto")]
pub mod sctp_proto;
#[cfg(feature = "usrsctp")]
pub mod usrsctp;

/// `with_peer!(name, P => expr)` evaluates `expr` with `P` bound to the adapter type.
#[macro_export]
macro_rules! with_peer {
    ($name:expr, $p:ident => $e:expr) => {
        match $name {
            "ours" => {
                type $p = $crate::peers::ours::Ours;
                $e
            }
            "ideal" => {
                type $p = $crate::peers::ideal::Ideal;
                $e
            }
            #[cfg(feature = "dcsctp")]
            "dcsctp" => {
                type $p = $crate::peers::dcsctp::Dcsctp;
                $e
            }
            #[cfg(feature = "sctp-proto")]
            "sctp-proto" => {
                type $p = $crate::peers::sctp_proto::SctpProto;
                $e
            }
            #[cfg(feature = "usrsctp")]
            "usrsctp" => {
                type $p = $crate::peers::usrsctp::Usrsctp;
                $e
            }
            other => panic!("unknown peer {other}"),
        }
    };
}
