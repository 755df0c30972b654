//! New values for an association that lives (RFC 9260 section 11.1.13).

use std::sync::Arc;

use super::Association;
use super::core::{Context, Core};
use crate::config::AssocConfig;
use crate::error::ConfigError;
use crate::event::Event;

impl Association {
    /// Takes a new configuration, everywhere at once.
    ///
    /// # Errors
    /// It is forbidden, or differs in what was settled when the association was opened; then nothing is changed.
    pub(crate) fn reconfigure(&mut self, ctx: &mut Context<'_>, new: AssocConfig) -> Result<(), ConfigError> {
        let old = self.core.reconfigure(ctx, new)?;
        self.ext.on_reconfigured(&mut self.core, &old);
        Ok(())
    }
}

impl Core {
    /// Takes a new configuration, everywhere at once.
    ///
    /// # Errors
    /// It is forbidden, or differs in what was settled when the association was opened; then nothing is changed.
    fn reconfigure(&mut self, ctx: &mut Context<'_>, new: AssocConfig) -> Result<Arc<AssocConfig>, ConfigError> {
        self.cfg.validate_change(&new)?;
        if new.auth_keys != self.cfg.auth_keys
            && self.cfg.auth_keys.iter().any(|(id, _)| new.auth_keys.get(id).is_none() && self.tx.asks_for_key(id))
        {
            return Err(ConfigError { field: "auth_keys", why: "messages wait that are to be authenticated by a key that is missing" });
        }
        let old = core::mem::replace(&mut self.cfg, Arc::new(new));
        let cfg = Arc::clone(&self.cfg);
        self.buffer_reduced |= cfg.recv_buffer < old.recv_buffer;
        if (old.scheduler, &old.stream_values) != (cfg.scheduler, &cfg.stream_values) {
            self.tx.set_scheduler(&cfg);
        }
        if self.tx.configure(&cfg) {
            self.events.push_back(Event::Writable);
        }
        if let Some(rx) = &mut self.rx {
            rx.configure(&cfg);
        }
        if old.autoclose != cfg.autoclose {
            self.start_autoclose(ctx.now);
        }
        for (_, path) in self.paths.iter_mut() {
            path.configure(ctx.now, &old, &cfg, ctx.entropy);
        }
        Ok(old)
    }

    /// What the association does against the advice of RFC 9260.
    pub(crate) fn deviations(&self) -> Vec<&'static str> {
        let mut all = self.cfg.deviations();
        if self.buffer_reduced {
            all.push("the receive buffer was reduced while the association lived (section 3.3.2)");
        }
        let sum = self.paths.iter().fold(0_u32, |sum, _| sum.saturating_add(self.cfg.path_max_retrans));
        if self.cfg.assoc_max_retrans > sum {
            all.push("Association.Max.Retrans above the sum of Path.Max.Retrans (section 8.2)");
        }
        all
    }
}
