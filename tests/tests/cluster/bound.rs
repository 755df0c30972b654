//! How long a cluster may take, computed from its timers.

use core::time::Duration;

use rserpool::asap::AsapConfig;
use rserpool::registrar::config::RegistrarConfig;

use crate::plan::{ClientPlan, Plan};

/// The bounds of a cluster.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bound {
    /// A dead element is named no longer than this by a registrar that has been in touch with its home, and its home with the
    /// element's host, all the time.
    pub(crate) stale: Duration,
    /// Comes on top of it if the home was dead, or cut off too.
    pub(crate) takeover: Duration,
    /// An answer reaches its user no later than this after it was given.
    pub(crate) answer: Duration,
    /// All agree so long after the last fault.
    pub(crate) converge: Duration,
}

/// A question and its answer, by way of an association that may have to be set up before: some round trips of 50 ms.
const WAY: Duration = Duration::from_millis(250);
/// How many rounds a takeover waits for acknowledgements before it does without.
const ROUNDS: u32 = 3;
/// What the client side waits after a registrar that could not be reached, at most, and how many it tries at once.
const PAUSE: Duration = Duration::from_secs(4);
const AT_ONCE: u32 = 3;
/// A connect that nobody answers has failed after so long ([`sctp_user::AssocConfig::session`]).
const CONNECT: Duration = Duration::from_millis(3_500);

impl Bound {
    /// `detection` is the longest silence after which an association is lost; `registrars` how many may be known.
    pub(crate) fn of(registrar: &RegistrarConfig, client: &AsapConfig, detection: Duration, registrars: usize) -> Self {
        let ka = &registrar.keep_alive;
        let t = &registrar.enrp.timers;
        let stale =
            // An element that has just answered when it dies is asked again after the longest period, 1.5 times the average one.
            ka.period * (100 + ka.spread_percent) / 100
            // The keep-alive gets no answer,
            + ka.timeout
            // nor do its repetitions.
            + ka.retries * ka.retry_interval
            // Its home tells the registrar that answers.
            + WAY;
        let takeover =
            // A registrar that was just heard when it died is silent for so long before it is asked,
            t.max_time_last_heard
            // and does not answer.
            + t.max_time_no_response
            // Each round of the takeover waits for those who have died as well, and begins after a pause of up to the same time,
            // drawn at random, so that not all begin together.
            + ROUNDS * 2 * t.takeover_expiry
            // The new home asks all elements; one that is dead, too, does not answer.
            + registrar.enrp.adoption_timeout
            // The new home tells the others.
            + WAY;
        let hunt =
            // A client finds out that its registrar is gone,
            detection
            // hears of those that live,
            + client.t7_outdate
            // and tries all, some at once; the dead ones do not answer.
            + u32::try_from(registrars).unwrap().div_ceil(AT_ONCE) * (CONNECT + PAUSE)
            // It registers its elements.
            + WAY;
        let audit =
            // Two presences, 12.5 % later than on average: a registrar that owns nothing is believed the second time only.
            2 * (t.heartbeat * 9 / 8)
            // A table transfer may break off, and begin anew with the next presence.
            + t.max_time_no_response
            + t.heartbeat * 9 / 8;
        // A registrar that comes back, or starts when the last fault ends, is found, or learns all from the others, in less than
        // a takeover takes. Then the dead are noticed, and what went wrong on the way is put right.
        let converge = takeover.max(hunt) + stale + audit;
        Self { stale, takeover, answer: client.t1_request, converge }
    }
}

/// How many messages a second a cluster at rest may exchange: three times as many as its timers make on average.
pub(crate) fn chatter(plan: &Plan, registrar: &RegistrarConfig) -> f64 {
    let registrars = plan.registrar_hosts().len() as f64;
    let rate = |period: Duration| 1.0 / period.as_secs_f64();
    let per_client = |c: &ClientPlan| {
        let elements = c.elements.len() as f64;
        // A registration, its answer, and the updates; a keep-alive and its answer; a resolution and its answer, or two.
        elements * (registrars + 1.0) * rate(c.interval)
            + 2.0 * elements * rate(registrar.keep_alive.period)
            + c.resolves.map_or(0.0, |p| 4.0 * rate(p))
    };
    let presences = registrars * registrars * rate(registrar.enrp.timers.heartbeat);
    3.0 * (10.0 + presences + plan.clients.iter().map(per_client).sum::<f64>())
}
