//! `rsp pingpong`: pings to a pool, and what the numbers of the replies tell.

use std::time::Duration;

use anyhow::Result;
use clap::Args;
use registrar::cli::milliseconds;
use registrar::report::{Report, say};
use registrar::signal::Stop;
use sctp_user::socket::MonoClock;
use tools::service::pingpong::POOL_HANDLE;
use tools::service::pingpong::ping::{News, Plan, Summary, ping};

use crate::pool::{PoolOptions, Role};

const EXAMPLES: &str = "\
Examples:
  rsp pingpong                            a ping each 500 ms to the pool PingPongPool (`rsp server --pingpong`)
  rsp pingpong --interval 20 --count 500  500 pings, then a summary
  rsp pingpong --registrar 192.0.2.7      if announces do not come through

Replies are numbered over all elements that serve one after the other: a gap shows that a failover lost some.
It runs until SIGINT (Ctrl-C) or SIGTERM, or until --count is reached.";

/// Flags of `rsp pingpong`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// Send a ping once in so many milliseconds
    #[arg(long, value_name = "MS", default_value = "500", value_parser = milliseconds)]
    interval: Duration,
    /// End after so many pings
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    #[command(flatten)]
    pool: PoolOptions,
}

/// Plays until a signal, or until the plan is fulfilled.
pub(crate) fn run(options: &Options) -> Result<()> {
    options.pool.transport.init_log("error")?;
    let stop = Stop::for_program(&options.pool.child)?;
    let member = options.pool.start(POOL_HANDLE, Role::User)?;
    let mut session = member.session()?;
    let clock = MonoClock::new();
    let plan = Plan { interval: options.interval, count: options.count };
    let report = options.pool.child.report;
    let summary = ping(&mut session, plan, || clock.now(), || stop.is_requested(), |news| tell(&news, report))?;
    session.close();
    conclude(summary, report);
    Ok(())
}

fn tell(news: &News, report: bool) {
    if report {
        return match news {
            News::Sent { message } => Report::new("sent").with("message", message),
            News::Answered { element, message, reply, after } => {
                let report = Report::new("reply").with("element", hex(*element)).with("message", message).with("reply", reply);
                after.iter().fold(report, |report, after| report.with("us", after.as_micros()))
            }
            News::Gap { expected, got } => Report::new("gap").with("expected", expected).with("got", got),
            News::Lost { element, reason } => Report::new("lost").with("element", hex(*element)).with("reason", reason),
            News::FailedOver { element, resumed } => Report::new("failover").with("element", hex(*element)).with("resumed", resumed),
        }
        .print();
    }
    match news {
        News::Sent { .. } => {}
        News::Answered { element, message, reply, after } => {
            let after = after.map_or_else(|| "to nothing that was sent".into(), |after| format!("after {} us", after.as_micros()));
            say(format_args!("ping {message} > reply {reply} of element {} {after}", hex(*element)));
        }
        News::Gap { expected, got } => say(format_args!("GAP: reply {got} where {expected} was expected")),
        News::Lost { element, reason } => say(format_args!("FAILOVER: element {} is lost: {reason}", hex(*element))),
        News::FailedOver { element, resumed } => {
            let how = if *resumed { "counts on" } else { "begins anew" };
            say(format_args!("FAILOVER: element {} serves now and {how}", hex(*element)));
        }
    }
}

fn conclude(summary: Summary, report: bool) {
    let Summary { sent, answered, gaps, failovers } = summary;
    if report {
        let report = Report::new("summary").with("sent", sent).with("answered", answered);
        return report.with("gaps", gaps).with("failovers", failovers).print();
    }
    say(format_args!("{sent} pings, {answered} answered, {gaps} gaps, {failovers} failovers"));
}

fn hex(element: u32) -> String {
    format!("{element:#010x}")
}
