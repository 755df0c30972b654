//! Tests of the configuration: what is refused, what is told, and that the documentation lists every field.

use core::fmt::Debug;
use core::time::Duration;

use super::table::{ASSOC, Changeable, ENDPOINT, Parameter, STACK};
use super::{AssocConfig, Congestion, EndpointConfig, HmacId, StackConfig};
use crate::wire::chunk::ChunkTypes;

const DOC: &str = include_str!("../../../docs/configuration.md");

/// The fields of a configuration with their values, as they print.
fn fields(cfg: &impl Debug) -> Vec<(String, String)> {
    let text = format!("{cfg:?}");
    let inner = text.split_once('{').and_then(|(_, rest)| rest.rsplit_once('}')).unwrap().0;
    let (mut depth, mut start, mut parts) = (0_i32, 0, Vec::new());
    for (at, c) in inner.char_indices() {
        match c {
            '(' | '{' | '[' => depth += 1,
            ')' | '}' | ']' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&inner[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&inner[start..]);
    parts.iter().filter_map(|p| p.split_once(':')).map(|(k, v)| (k.trim().to_owned(), v.trim().to_owned())).collect()
}

/// A value as the page shows it.
fn show(unit: &str, value: &str) -> String {
    match value {
        "None" if unit.contains("off") => "off".to_owned(),
        "None" => "-".to_owned(),
        "true" => "yes".to_owned(),
        "false" => "no".to_owned(),
        _ if value.starts_with("AssocConfig") => "`rfc`".to_owned(),
        _ => value.strip_prefix("Some(").and_then(|v| v.strip_suffix(')')).unwrap_or(value).to_owned(),
    }
}

fn change(c: Changeable) -> &'static str {
    match c {
        Changeable::Running => "at once",
        Changeable::NewOnly => "new ones",
    }
}

fn rows(params: &[Parameter], profiles: &[Vec<(String, String)>]) -> String {
    let mut out = String::new();
    for p in params {
        let values: Vec<_> = profiles.iter().map(|f| show(p.unit, &f.iter().find(|(name, _)| name == p.field).unwrap().1)).collect();
        out +=
            &format!("| `{}` | {} | {} | {} | {} | {} |\n", p.field, p.name, p.unit, values.join(" | "), change(p.changeable), p.section);
    }
    out
}

/// The tables of the page.
fn tables() -> String {
    let assoc = rows(ASSOC, &[AssocConfig::rfc(), AssocConfig::signalling(), AssocConfig::session()].map(|c| fields(&c)));
    let endpoint = rows(ENDPOINT, &[fields(&EndpointConfig::new(0))]);
    let stack = rows(STACK, &[fields(&StackConfig::default())]);
    let head = "| field | what it is | unit | default | changes | where |\n| --- | --- | --- | --- | --- | --- |\n";
    format!(
        "## Association: `AssocConfig`\n\n\
         | field | what it is | unit | `rfc` | `signalling` | `session` | changes | where |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- |\n{assoc}\n\
         ## Endpoint: `EndpointConfig`\n\n{head}{endpoint}\n\
         ## Stack: `StackConfig`\n\n{head}{stack}"
    )
}

#[test]
fn the_documentation_lists_every_field_once_with_its_defaults() {
    let names = |f: Vec<(String, String)>| f.into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    let listed = |t: &[Parameter]| t.iter().map(|p| p.field.to_owned()).collect::<Vec<_>>();
    assert_eq!(listed(ASSOC), names(fields(&AssocConfig::rfc())), "config/table.rs");
    assert_eq!(listed(ENDPOINT), names(fields(&EndpointConfig::new(0))), "config/table.rs");
    assert_eq!(listed(STACK), names(fields(&StackConfig::default())), "config/table.rs");
    let (_, rest) = DOC.split_once("<!-- tables -->\n").unwrap();
    let (found, _) = rest.split_once("<!-- end of tables -->").unwrap();
    let expected = tables();
    assert!(found.trim() == expected.trim(), "docs/configuration.md, between the marks, is to be:\n\n{expected}");
}

/// Changes one field of the RFC's values.
fn rfc_with(change: impl FnOnce(&mut AssocConfig)) -> AssocConfig {
    let mut cfg = AssocConfig::rfc();
    change(&mut cfg);
    cfg
}

/// RFC 9260 rows: 6.2-14, 6.2-15, 3.3.2-8, 3.3.2-13, 3.3.2-17.
/// Attack class 14: values that make timers overflow are refused.
/// RFC 4895 rows: 3.2-6, 6.1-7.
#[test]
fn what_a_must_forbids_or_what_cannot_work_is_refused_by_name() {
    let (zero, days) = (Duration::ZERO, Duration::from_secs(86_401));
    let forbidden: [(&str, AssocConfig); 33] = [
        ("sack_delay", rfc_with(|c| c.sack_delay = Duration::from_millis(501))),
        ("recv_buffer", rfc_with(|c| c.recv_buffer = 1_499)),
        ("recv_buffer", rfc_with(|c| c.recv_buffer = 1 << 32)),
        ("outbound_streams", rfc_with(|c| c.outbound_streams = 0)),
        ("max_inbound_streams", rfc_with(|c| c.max_inbound_streams = 0)),
        ("rto_max", rfc_with(|c| c.rto_min = Duration::from_secs(61))),
        ("rto_max", rfc_with(|c| c.rto_initial = Duration::from_secs(61))),
        ("rto_min", rfc_with(|c| c.rto_min = zero)),
        ("rto_initial", rfc_with(|c| c.rto_initial = zero)),
        ("rto_max", rfc_with(|c| c.rto_max = Duration::MAX)),
        ("rto_alpha_shift", rfc_with(|c| c.rto_alpha_shift = 0)),
        ("rto_beta_shift", rfc_with(|c| c.rto_beta_shift = 8)),
        ("cookie_life", rfc_with(|c| c.cookie_life = days)),
        ("cookie_life", rfc_with(|c| c.cookie_life = zero)),
        ("hb_interval", rfc_with(|c| c.hb_interval = Some(Duration::MAX))),
        ("nat_keepalive", rfc_with(|c| c.nat_keepalive = Some(zero))),
        ("nat_keepalive", rfc_with(|c| c.nat_keepalive = Some(Duration::MAX))),
        ("mtu", rfc_with(|c| c.mtu = 575)),
        ("mtu", rfc_with(|c| c.mtu = 65_536)),
        ("max_burst", rfc_with(|c| c.max_burst = 0)),
        ("max_message", rfc_with(|c| c.max_message = 0)),
        ("send_buffer", rfc_with(|c| c.send_buffer = 0)),
        ("slow_start_l", rfc_with(|c| c.slow_start_l = 3)),
        ("sack_frequency", rfc_with(|c| c.sack_frequency = 0)),
        ("send_buffer", rfc_with(|c| c.send_buffer = 1 << 30)),
        ("max_message", rfc_with(|c| c.max_message = 1 << 30)),
        ("auth_chunks", rfc_with(|c| (c.auth, c.auth_chunks) = (false, ChunkTypes::of(&[0])))),
        ("auth_chunks", rfc_with(|c| (c.auth, c.auth_chunks) = (true, ChunkTypes::of(&[0, 15])))),
        ("auth_hmacs", rfc_with(|c| c.auth_hmacs = Vec::new())),
        ("auth_hmacs", rfc_with(|c| c.auth_hmacs = vec![HmacId::Sha256])),
        ("auth_hmacs", rfc_with(|c| c.auth_hmacs = vec![HmacId::Sha1; 3])),
        ("dscp", rfc_with(|c| c.dscp = 64)),
        ("flow_label", rfc_with(|c| c.flow_label = 1 << 20)),
    ];
    for (field, cfg) in forbidden {
        let refusal = cfg.validate().unwrap_err();
        assert_eq!(refusal.field, field);
        assert!(!refusal.to_string().contains('\n') && refusal.why.len() > 5, "{refusal}");
    }
    let profiles = [AssocConfig::rfc(), AssocConfig::signalling(), AssocConfig::session()];
    assert!(profiles.iter().all(|c| c.validate().is_ok()));
    let mut stack = StackConfig::default();
    assert_eq!(stack.validate(), Ok(()));
    stack.max_associations = (1 << 20) + 1;
    assert_eq!(stack.validate().unwrap_err().field, "max_associations");
}

/// RFC 9260 rows: 16-1, 16-2.
#[test]
fn the_default_has_the_suggested_values() {
    let secs = Duration::from_secs;
    let c = AssocConfig::default();
    assert_eq!((c.rto_initial, c.rto_min, c.rto_max), (secs(1), secs(1), secs(60)));
    assert_eq!((c.max_burst, c.rto_alpha_shift, c.rto_beta_shift), (4, 3, 2));
    assert_eq!((c.cookie_life, c.hb_interval, c.sack_delay), (secs(60), Some(secs(30)), Duration::from_millis(200)));
    assert_eq!((c.assoc_max_retrans, c.path_max_retrans, c.max_init_retransmits), (10, 5, 8));
    let strict = AssocConfig { repeat_fast_retransmit: false, ..c };
    assert!(strict.deviations().is_empty(), "{:?}", strict.deviations());
}

#[test]
fn what_a_should_advises_against_is_accepted_and_told() {
    type Change = fn(&mut AssocConfig);
    let advised: [(&str, Change); 19] = [
        ("RTO.Initial", |c| c.rto_initial = Duration::from_secs(3)),
        ("RTO.Min below", |c| c.rto_min = Duration::from_millis(999)),
        ("RTO.Min above", |c| c.rto_min = Duration::from_secs(2)),
        ("RTO.Max below", |c| c.rto_max = Duration::from_secs(59)),
        ("RTO.Max above", |c| c.rto_max = Duration::from_secs(61)),
        ("RTO.Alpha", |c| c.rto_alpha_shift = 2),
        ("RTO.Beta", |c| c.rto_beta_shift = 3),
        ("Max.Burst", |c| c.max_burst = 5),
        ("Association.Max.Retrans", |c| c.assoc_max_retrans = 11),
        ("Path.Max.Retrans", |c| c.path_max_retrans = 6),
        ("Max.Init.Retransmits", |c| c.max_init_retransmits = 9),
        ("no periodic HEARTBEATs", |c| c.hb_interval = None),
        ("SACK.Delay", |c| c.sack_delay = Duration::from_millis(201)),
        ("CUBIC", |c| c.congestion = Congestion::Cubic),
        ("L above 1", |c| c.slow_start_l = 2),
        ("fewer SACKs", |c| c.sack_frequency = 3),
        ("one SACK", |c| c.ack_per_batch = true),
        ("fragments of I-DATA", |c| c.linux_fsn = true),
        ("Valid.Cookie.Life", |c| c.cookie_life = Duration::from_secs(61)),
    ];
    for (starts, change) in advised {
        let mut cfg = AssocConfig { repeat_fast_retransmit: false, ..AssocConfig::rfc() };
        change(&mut cfg);
        assert_eq!(cfg.validate(), Ok(()));
        let told = cfg.deviations();
        assert!(matches!(told[..], [one] if one.starts_with(starts)), "{starts}: {told:?}");
    }
    let mut stack = StackConfig::default();
    assert!(stack.deviations().is_empty());
    stack.blackhole = true;
    assert_eq!(stack.deviations().len(), 1);
}

#[test]
fn signalling_leaves_a_dead_path_within_seconds() {
    let c = AssocConfig::signalling();
    let ms = Duration::from_millis;
    assert!((ms(100)..=ms(200)).contains(&c.rto_min) && (ms(1000)..=ms(2000)).contains(&c.rto_max));
    assert!((2..=4).contains(&c.path_max_retrans) && c.assoc_max_retrans == 2 * c.path_max_retrans);
    assert!(c.hb_interval.is_some_and(|i| (ms(1000)..=ms(5000)).contains(&i)));
    assert!(c.sack_delay < c.rto_min, "a delayed SACK of such a peer must not look like a loss");
}
