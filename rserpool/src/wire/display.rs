//! One line per message, for logs and dumps.

use core::fmt;

use super::asap::AsapMessage;
use super::cause::OperationError;

impl fmt::Display for OperationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, cause) in self.causes.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{}", cause.code)?;
            if !cause.data.is_empty() {
                write!(f, " ({} bytes)", cause.data.len())?;
            }
        }
        Ok(())
    }
}

fn optional<T: fmt::Display>(f: &mut fmt::Formatter<'_>, before: &str, value: Option<&T>) -> fmt::Result {
    value.map_or(Ok(()), |v| write!(f, "{before}{v}"))
}

impl fmt::Display for AsapMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ASAP {}", self.name())?;
        match self {
            Self::Registration { handle, element } => write!(f, " \"{handle}\" {element}"),
            Self::Deregistration { handle, id } | Self::KeepAliveAck { handle, id } | Self::Unreachable { handle, id } => {
                write!(f, " \"{handle}\" PE {id}")
            }
            Self::RegistrationResponse { reject, handle, id, error } => {
                write!(f, "{} \"{handle}\" PE {id}", if *reject { " [R]" } else { "" })?;
                optional(f, ": ", error.as_ref())
            }
            Self::DeregistrationResponse { handle, id, error } => {
                write!(f, " \"{handle}\" PE {id}")?;
                optional(f, ": ", error.as_ref())
            }
            Self::HandleResolution { subscribe, handle, items } => {
                write!(f, "{} \"{handle}\"", if *subscribe { " [S]" } else { "" })?;
                match items {
                    Some(u32::MAX) => f.write_str(" all items"),
                    other => optional(f, " items ", other.as_ref()),
                }
            }
            Self::HandleResolutionResponse { subscribed, handle, policy, elements, error } => {
                write!(f, "{} \"{handle}\"", if *subscribed { " [A]" } else { "" })?;
                optional(f, " ", policy.as_ref())?;
                elements.iter().try_for_each(|e| write!(f, "; {e}"))?;
                optional(f, ": ", error.as_ref())
            }
            Self::KeepAlive { new_home, registrar, handle, id } => {
                write!(f, "{} from {registrar} \"{handle}\"", if *new_home { " [H]" } else { "" })?;
                optional(f, " PE ", id.as_ref())
            }
            Self::ServerAnnounce { registrar, transports } => {
                write!(f, " {registrar}")?;
                transports.iter().try_for_each(|t| write!(f, "; {t}"))
            }
            Self::Cookie(cookie) | Self::CookieEcho(cookie) => write!(f, " of {} bytes", cookie.len()),
            Self::BusinessCard { handle, policy, elements } => {
                write!(f, " \"{handle}\"")?;
                optional(f, " ", policy.as_ref())?;
                elements.iter().try_for_each(|e| write!(f, "; {e}"))
            }
            Self::Error(error) => write!(f, ": {error}"),
        }
    }
}
