//! Flags about who is allowed.

use clap::Args;
use rserpool::registrar::Prefix;
use rserpool::registrar::access::ElementRule;
use rserpool::registrar::config::RegistrarConfig;

use super::values::{element_rule, prefix};

/// Flags about who is allowed; without any of a kind, everybody is. All may be repeated.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Access (by address; everybody, unless somebody is named)")]
pub struct AccessOptions {
    /// Let registrars from there be peers
    #[arg(long, value_name = "PREFIX", value_delimiter = ',', value_parser = prefix)]
    pub allow_registrar: Vec<Prefix>,
    /// Let elements from there register in pools whose handles fit: POOL@PREFIX, for example 'Echo*@10.0.0.0/8'
    #[arg(long, value_name = "RULE", value_delimiter = ',', value_parser = element_rule)]
    pub allow_element: Vec<ElementRule>,
    /// Let users from there resolve handles and report elements
    #[arg(long, value_name = "PREFIX", value_delimiter = ',', value_parser = prefix)]
    pub allow_user: Vec<Prefix>,
}

impl AccessOptions {
    pub(super) fn apply(&self, config: &mut RegistrarConfig) {
        config.access.registrars.clone_from(&self.allow_registrar);
        config.access.elements.clone_from(&self.allow_element);
        config.access.users.clone_from(&self.allow_user);
    }
}
