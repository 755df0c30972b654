//! Flags about elements and users: how elements are watched, what is accepted of them, what users are told.

use std::time::Duration;

use clap::Args;
use rserpool::registrar::config::{KeepAliveConfig, RegistrarConfig};
use rserpool::wire::CauseCode;

use super::milliseconds;
use super::values::{MinScope, Switch, Unit};

/// Flags about elements and users.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Elements and users")]
pub struct ElementOptions {
    /// Ask each element for a sign of life once in so many milliseconds
    #[arg(long, alias = "endpointkeepalivetransmissioninterval", value_name = "MS", default_value = "5000", value_parser = milliseconds)]
    pub keep_alive_interval: Duration,
    /// How long an element may take to answer
    #[arg(long, alias = "endpointkeepalivetimeoutinterval", value_name = "MS", default_value = "5000", value_parser = milliseconds)]
    pub keep_alive_timeout: Duration,
    /// How often an unanswered keep-alive is repeated before the element is removed
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(..=100))]
    pub keep_alive_retries: u32,
    /// How long the answer to a repetition may take
    #[arg(long, value_name = "MS", default_value = "1000", value_parser = milliseconds)]
    pub keep_alive_retry_interval: Duration,
    /// How far intervals are spread around their average, in per cent
    #[arg(long, value_name = "PERCENT", default_value_t = 50, value_parser = clap::value_parser!(u32).range(..=90))]
    pub keep_alive_spread: u32,
    /// Whether keep-alives name the element, an addition of RSPLIB's to RFC 5352
    #[arg(long, value_name = "SWITCH", value_enum, default_value_t = Switch::On)]
    pub keepalive_pe_id: Switch,
    /// Remove elements with their association, instead of asking them over a new one
    #[arg(long)]
    pub remove_on_loss: bool,
    /// Whether an identifier that is taken is given away only after its holder failed to answer
    #[arg(long, value_name = "SWITCH", value_enum, default_value_t = Switch::On)]
    pub pe_id_check: Switch,
    /// Remove an element that more than so many address prefixes reported as unreachable
    #[arg(long, alias = "maxbadpereports", value_name = "N", default_value_t = 3)]
    pub max_bad_pe_reports: usize,
    /// Unit of registration lives, the same in the whole scope
    #[arg(long, value_name = "UNIT", value_enum, default_value_t = Unit::Ms)]
    pub life_unit: Unit,
    /// Count the last padding in message lengths, as RSPLIB does and RFC 5354 does not
    #[arg(long)]
    pub count_padding: bool,
    /// Longest pool handle in bytes; above 32 only without RSPLIB in the scope
    #[arg(long, value_name = "BYTES", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub max_handle: u16,
    /// Least scope of an element's addresses
    #[arg(long, alias = "minaddressscope", value_name = "SCOPE", value_enum, default_value_t = MinScope::Auto)]
    pub min_scope: MinScope,
    /// Round the distances of elements to multiples of so many milliseconds, for the policies that prefer near ones
    #[arg(long, alias = "distancestep", value_name = "MS", default_value = "50", value_parser = milliseconds)]
    pub distance_step: Duration,
    /// Most elements in one answer to a user who does not ask for a number; 0 for all
    #[arg(long, alias = "maxhresitems", value_name = "N", default_value_t = 3)]
    pub max_hr_items: usize,
    /// How many of the elements in an answer count as used; 0 for what suits the policy
    #[arg(long, alias = "maxincrement", value_name = "N", default_value_t = 0)]
    pub max_increment: usize,
    /// Cause that a user is told beyond a rate: 6 lack of resources, 9 unknown pool handle as RSPLIB
    #[arg(long, value_name = "CAUSE", default_value_t = 6, value_parser = limit_cause)]
    pub limit_cause: u16,
    /// Tell a subscriber about changes of a pool at most once in so many milliseconds
    #[arg(long, value_name = "MS", default_value = "1000", value_parser = milliseconds)]
    pub update_interval: Duration,
}

fn limit_cause(text: &str) -> Result<u16, String> {
    match text {
        "6" => Ok(6),
        "9" => Ok(9),
        _ => Err("give 6 (lack of resources) or 9 (unknown pool handle)".into()),
    }
}

impl ElementOptions {
    pub(super) fn apply(&self, config: &mut RegistrarConfig) {
        config.keep_alive = KeepAliveConfig {
            period: self.keep_alive_interval,
            timeout: self.keep_alive_timeout,
            retries: self.keep_alive_retries,
            retry_interval: self.keep_alive_retry_interval,
            spread_percent: self.keep_alive_spread,
            with_id: self.keepalive_pe_id.is_on(),
            ..config.keep_alive
        };
        config.remove_on_loss = self.remove_on_loss;
        config.id_check = self.pe_id_check.is_on();
        config.reports.max = self.max_bad_pe_reports;
        config.life_unit = self.life_unit.into();
        config.count_padding = self.count_padding;
        config.max_handle = self.max_handle.into();
        config.min_scope = self.min_scope.scope();
        config.distance_step = self.distance_step;
        config.max_items = (self.max_hr_items > 0).then_some(self.max_hr_items);
        config.max_increment = (self.max_increment > 0).then_some(self.max_increment);
        config.limit_cause = CauseCode(self.limit_cause);
        config.subscriptions.interval = self.update_interval;
    }
}
