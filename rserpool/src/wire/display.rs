//! One line per message, for logs and dumps.

use core::fmt;

use super::asap::AsapMessage;
use super::cause::OperationError;
use super::enrp::{EnrpMessage, UpdateAction};

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

impl fmt::Display for EnrpMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flag = |set: bool, name: &'static str| if set { name } else { "" };
        write!(f, "ENRP {}", self.name())?;
        f.write_str(match self {
            Self::Presence { reply_required, .. } => flag(*reply_required, " [R]"),
            Self::HandleTableRequest { own_only, .. } => flag(*own_only, " [W]"),
            Self::HandleTableResponse { reject, .. } | Self::ListResponse { reject, .. } => flag(*reject, " [R]"),
            Self::HandleUpdate { takeover_suggested, .. } => flag(*takeover_suggested, " [T]"),
            _ => "",
        })?;
        if let Self::HandleTableResponse { more, .. } = self {
            f.write_str(flag(*more, " [M]"))?;
        }
        write!(f, " from {} to {}", self.sender(), self.receiver())?;
        match self {
            Self::HandleTableRequest { .. } | Self::ListRequest { .. } => Ok(()),
            Self::Presence { checksum, server, .. } => {
                if let Some(checksum) = checksum {
                    write!(f, " checksum 0x{checksum:04x}")?;
                }
                optional(f, "; ", server.as_ref())
            }
            Self::HandleTableResponse { pools, .. } => pools.iter().try_for_each(|(handle, elements)| {
                write!(f, " \"{handle}\":")?;
                elements.iter().try_for_each(|e| write!(f, " {e};"))
            }),
            Self::HandleUpdate { action, handle, element, .. } => {
                let action = match action {
                    UpdateAction::Add => "add",
                    UpdateAction::Delete => "delete",
                };
                write!(f, " {action} \"{handle}\" {element}")
            }
            Self::ListResponse { servers, .. } => servers.iter().try_for_each(|s| write!(f, "; {s}")),
            Self::InitTakeover { target, .. } | Self::InitTakeoverAck { target, .. } | Self::TakeoverServer { target, .. } => {
                write!(f, " target {target}")
            }
            Self::Error { error, .. } => write!(f, ": {error}"),
        }
    }
}
