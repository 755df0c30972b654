//! How long a cluster may take, computed from its timers.

use core::time::Duration;

use rserpool::asap::AsapConfig;
use rserpool::registrar::config::RegistrarConfig;

/// The bounds of a cluster.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bound {
    /// A dead element is named no longer than this by a registrar that can speak to its home.
    pub(crate) stale: Duration,
    /// Another registrar has taken the elements over so long after a registrar died or was cut off.
    pub(crate) takeover: Duration,
    /// All agree so long after the last fault.
    pub(crate) converge: Duration,
}

/// Time on the way, for anything that is asked and answered at once: the longest delay of a link there and back, twice, for an
/// association that has to be set up before.
const WAY: Duration = Duration::from_millis(200);

impl Bound {
    /// `detection` is the longest silence after which an association is lost.
    pub(crate) fn of(registrar: &RegistrarConfig, client: &AsapConfig, detection: Duration) -> Self {
        let _ = client;
        let ka = &registrar.keep_alive;
        let stale = ka.period * (100 + ka.spread_percent) / 100
            // the first keep-alive without an answer
            + ka.timeout
            // its repetitions
            + ka.retries * ka.retry_interval
            // the update to the registrar that answers
            + WAY;
        let takeover = Duration::from_secs(30);
        Self { stale, takeover, converge: stale + takeover + detection + Duration::from_secs(20) }
    }
}
